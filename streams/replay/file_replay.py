"""Replay of a file: its lines are decoded as strictly as records of the topic, and folded one by one."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from models.errors import BadEventError
from models.events import Position
from streams.replay.event_lines import BadLine, EventLine, read_event_lines
from streams.replay.in_memory import ReplayFold

__all__ = ["LineCounts", "replay_lines"]

_PARTITION = 0
"""A file has no partitions, and the result does not depend on the partition."""


@dataclass(frozen=True, slots=True)
class LineCounts:
    """The numbers of folded and of bad lines; blank lines count as neither."""

    folded: int
    bad: int


def replay_lines(
    lines: Iterable[bytes],
    fold: ReplayFold,
    *,
    source: str,
    max_event_bytes: int,
    on_bad: Callable[[BadLine], None],
    on_progress: Callable[[int], None] = lambda _: None,
) -> LineCounts:
    """Fold every line of JSON Lines that is a lifecycle event; a bad one changes nothing.

    An event's offset is its line's number. Whether ``occurred_at`` lies in the future is not checked: a file has no
    timestamps to compare it with.

    Args:
        lines: the lines, with or without line ends.
        fold: takes the events.
        source: the file's name in positions.
        max_event_bytes: a longer line is bad.
        on_bad: called for every bad line: it is no event, or its execution does not fit into the row.
        on_progress: called with how many lines are done.
    """
    folded = bad = 0
    for line in read_event_lines(lines, max_event_bytes=max_event_bytes):
        problem = line if isinstance(line, BadLine) else _apply(line, fold, source)
        if problem is None:
            folded += 1
        else:
            bad += 1
            on_bad(problem)
        on_progress(folded + bad)
    return LineCounts(folded, bad)


def _apply(line: EventLine, fold: ReplayFold, source: str) -> BadLine | None:
    try:
        fold.apply(line.event, Position(source, _PARTITION, line.number))
    except BadEventError as error:
        return BadLine(line.number, error)
    return None
