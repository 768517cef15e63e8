"""What the event loop knows of the group, the recovery and the fetches, noted once a second for those who judge it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from streams.worker.app import ConsolidatorApp
from streams.worker.long_starts import stage_of

__all__ = ["GroupFacts", "group_facts"]


@dataclass(frozen=True, slots=True)
class GroupFacts:
    """What is known of a running application.

    Attributes:
        stage: what the worker waits for before its partitions run; None: it waits for nothing.
        is_member: whether it is in the consumer group.
        in_recovery: whether state is being read from the changelog.
        remaining: offsets of each partition's changelog that are still to be read.
        restored: those that were read since the start.
        ends: the last stable offset of each source partition as of its last fetch.
        passes: how many passes over the partitions the consumer has begun.
    """

    stage: str | None
    is_member: bool = False
    in_recovery: bool = False
    remaining: Mapping[int, int] = field(default_factory=dict)
    restored: Mapping[int, int] = field(default_factory=dict)
    ends: Mapping[int, int] = field(default_factory=dict)
    passes: int = 0


def group_facts(app: ConsolidatorApp) -> GroupFacts:
    """What is known now. To be called on the application's event loop: other threads would see Faust half made."""
    # Faust makes its consumer, and that one aiokafka's, when they are first asked for.
    thread = getattr(app._consumer, "_thread", None)  # noqa: SLF001
    consumer = getattr(thread, "_consumer", None)
    coordinator = getattr(consumer, "_coordinator", None)
    recovery = app.tables.recovery
    return GroupFacts(
        stage_of(app),
        coordinator is not None and coordinator.generation >= 0,
        bool(app.in_recovery),
        recovery.remaining() if app.in_recovery else {},
        recovery.restored,
        {} if consumer is None else _stable_ends(consumer, app.source_topic),
        0 if thread is None else thread._turn,  # noqa: SLF001
    )


def _stable_ends(consumer: Any, source_topic: str) -> dict[int, int]:
    subscription = consumer._subscription.subscription  # noqa: SLF001
    assignment = None if subscription is None else subscription.assignment
    if assignment is None:
        return {}
    found = {tp.partition: assignment.state_value(tp).lso for tp in assignment.tps if tp.topic == source_topic}
    return {partition: end for partition, end in found.items() if end is not None}
