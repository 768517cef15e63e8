"""What a caller has asked for, checked."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from consolidator.subscribing.items import Revoked
from consolidator.subscribing.start import Filter, Start

__all__ = ["Options"]


@dataclass(frozen=True, slots=True)
class Options:
    """The arguments of :func:`~consolidator.subscribe`, which explains them.

    Attributes:
        config: for librdkafka.
        prefix: of the topics' names.
        wanted: the filter.
        start: where to begin.
        ends: whether the iteration ends once it has caught up.
        group: the group's id.
        stored: gives tokens of partitions.
        on_revoke: called before partitions are given away.
        stall_s: seconds without getting on.
        progress_s: seconds between two reports.
    """

    config: Mapping[str, str | int]
    prefix: str
    wanted: Filter
    start: Start
    ends: bool
    group: str | None
    stored: Callable[[Sequence[int]], Mapping[int, str]] | None
    on_revoke: Callable[[Revoked], None] | None
    stall_s: float
    progress_s: float
