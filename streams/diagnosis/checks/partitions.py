"""The state of each partition, and what is wrong with an installation as ``status`` shows it."""

from collections.abc import Iterator
from typing import Final

from streams.diagnosis.reading.answer import Unanswered, known
from streams.diagnosis.reading.health import Health
from streams.diagnosis.reading.progress import PartitionProgress
from streams.diagnosis.status import Status
from streams.health.report import State

__all__ = [
    "IDLE",
    "PINNED_S",
    "STANDS_S",
    "STATES",
    "is_told_already",
    "partition_members",
    "problems",
    "ranges",
    "standing",
    "state_of",
]

STANDS_S: Final = 30.0
"""A record that waits longer, in a partition that does not move, is stuck: a round takes seconds at most, a rebalance
the session's timeout."""

PINNED_S: Final = 15.0
"""A transaction that is open for longer holds readers back: a worker's takes seconds at most."""

IDLE: Final = State.IDLE.value
_RUNNING: Final = State.RUNNING.value
_UNOWNED: Final = "unowned"
_STUCK: Final = State.STUCK.value
_PINNED: Final = "pinned"
_UNKNOWN: Final = "unknown"

STATES: Final = (IDLE, _RUNNING, _STUCK, _UNOWNED, _PINNED)
"""The states as they are seen from outside; docs/commands.md explains each."""

_STANDS: Final = frozenset({_STUCK, State.STALLED.value})
_ILL: Final = frozenset({_UNOWNED, _PINNED}) | _STANDS
_LEGITIMATE: Final = frozenset({State.FENCING.value, State.RECOVERING.value, State.WAITING.value, State.ADOPTING.value})
"""States of a worker in which nothing is committed, and nothing is wrong: it says for how long itself."""


def state_of(status: Status, one: PartitionProgress) -> str:
    """The state of a partition, in a word; docs/commands.md explains each.

    Args:
        status: the installation.
        one: the partition's progress.
    """
    pins = known(status.pins) or ()
    if any(
        pin.topic == status.where.source
        and pin.partition == one.partition
        and (pin.age_s(status.at_ms) or 0) > PINNED_S
        for pin in pins
    ):
        return _PINNED
    own = status.own_state(one.partition)
    if own in _LEGITIMATE or own in _ILL:
        return own or _UNKNOWN
    group = known(status.group)
    if group is not None and group.is_settled and group.owner(one.partition) is None:
        return _UNOWNED
    if one.first_offset is None:
        return IDLE
    if one.waits_s(status.at_ms) > STANDS_S and status.other is not None and not status.has_moved(one):
        return _STUCK
    return _RUNNING


def problems(status: Status) -> list[str]:
    """What is wrong, the worst first; empty: all is well, as far as it could be asked."""
    return [*_of_group(status), *_of_partitions(status), *_of_pins(status), *_of_health(status), *_of_sinks(status)]


def _of_group(status: Status) -> Iterator[str]:
    group = known(status.group)
    if group is not None and not group.people:
        yield f"no worker runs: nobody is in the group {group.name}"
    elif group is not None and group.is_settled and (unowned := group.unowned(status.where.partitions)):
        yield f"nobody has partition {ranges(unowned)}, although the group is {group.state}"
    rulesets = known(status.rulesets)
    if rulesets is not None and rulesets.bound_to not in {None, status.where.app_id}:
        yield (
            f"the topics belong to the application id {rulesets.bound_to}, the settings say {status.where.app_id}: "
            "this is about the wrong workers"
        )


def standing(status: Status) -> tuple[PartitionProgress, ...]:
    """The partitions that stand still."""
    return tuple(one for one in known(status.progress) or () if state_of(status, one) in _STANDS)


def is_told_already(status: Status, answer: Health) -> bool:
    """Whether a worker is not alive, and that only because of partitions that are told to stand still: one cause."""
    return bool(answer.stuck) and answer.stuck <= {one.partition for one in standing(status)}


def _of_partitions(status: Status) -> Iterator[str]:
    for one in standing(status):
        yield (
            f"partition {one.partition} stands still at offset {one.committed or 0}: its first record waits for "
            f"{one.waits_s(status.at_ms):,.0f} s"
        )


def _of_pins(status: Status) -> Iterator[str]:
    for pin in known(status.pins) or ():
        age_s = pin.age_s(status.at_ms)
        if age_s is not None and age_s > PINNED_S:
            yield (
                f"{pin.topic} partition {pin.partition}: a transaction is open for {age_s:,.0f} s, and hides "
                f"{pin.hidden:,} offsets from {pin.offset} on; consolidator doctor says whose"
            )


def _of_health(status: Status) -> Iterator[str]:
    for address, answer in status.health.items():
        if isinstance(answer, Unanswered):
            yield answer.reason
        elif not answer.is_alive and not is_told_already(status, answer):
            yield f"{answer.role or 'the program'} at {address} is not alive: {answer.reasons}"


def _of_sinks(status: Status) -> Iterator[str]:
    if status.database is not None and not isinstance(status.database.status, Unanswered):
        yield from (f"database: {problem}" for problem in status.database.status.problems())


def partition_members(status: Status) -> list[dict[str, object]]:
    """Each partition as a JSON object."""
    group = known(status.group)
    found: list[dict[str, object]] = []
    for one in known(status.progress) or ():
        owner = None if group is None else group.owner(one.partition)
        found.append(
            {
                "partition": one.partition,
                "state": state_of(status, one),
                "owner": None if owner is None else owner.name,
                "host": None if owner is None else owner.host,
                "committed": one.committed,
                "end": one.end,
                "lag_offsets": one.lag,
                "lag_seconds": round(one.waits_s(status.at_ms), 3),
            }
        )
    return found


def ranges(numbers: list[int]) -> str:
    """Numbers in words, runs of them together: ``0 to 3, 7``."""
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ", ".join(
        f"{part[0]} to {part[-1]}" if len(part) > 2 else ", ".join(map(str, part))  # noqa: PLR2004 - a pair is no run
        for part in parts
    )
