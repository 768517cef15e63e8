"""The screen of ``consolidator status``: it fits into 80 columns and 24 lines."""

from collections.abc import Iterator
from shutil import get_terminal_size

from streams.cli.output.console import is_read_by_people
from streams.diagnosis.checks.partitions import IDLE, problems, ranges, state_of
from streams.diagnosis.reading.answer import Unanswered, known
from streams.diagnosis.reading.group import Member
from streams.diagnosis.reading.health import Health
from streams.diagnosis.reading.progress import PartitionProgress
from streams.diagnosis.status import Status, moment

__all__ = ["screen_of"]

_LABEL = 14
_MOST_MEMBERS = 4
_LEAST_ROWS = 6
_UNBOUNDED = 10_000


def screen_of(status: Status, *, lines: int | None = None) -> Iterator[str]:
    """The lines of the screen: what is wrong, the whole, then the partitions; those that wait, if not all fit.

    Args:
        status: the installation.
        lines: how many lines there are; None: as the terminal has, and without one all partitions.
    """
    if lines is None:
        lines = get_terminal_size().lines if is_read_by_people() else _UNBOUNDED
    head = [f"{status.where.app_id}, Kafka at {status.where.servers}, {moment(status.at_ms)}"]
    head += [f"WRONG: {problem}" for problem in problems(status)] or ["nothing is wrong"]
    head += _whole(status)
    head += [_labelled(name, f"not known: {reason}") for name, reason in status.unanswered()]
    yield from head
    yield from _partitions(status, max(_LEAST_ROWS, lines - len(head) - 4))


def _labelled(label: str, text: str) -> str:
    return f"{label:<{_LABEL}} {text}"


def _whole(status: Status) -> Iterator[str]:
    group, letters, rulesets = known(status.group), known(status.letters), known(status.rulesets)
    if group is not None:
        yield _labelled("workers", f"{len(group.people)} in the group, which is {group.state.replace('_', ' ')}")
        for member in group.people[:_MOST_MEMBERS]:
            yield _labelled("", f"{_who(member)}: {_partitions_of(member)}")
        if len(group.people) > _MOST_MEMBERS:
            yield _labelled("", f"and {len(group.people) - _MOST_MEMBERS} more")
    progress = known(status.progress)
    if progress is not None:
        waiting = [one for one in progress if one.first_offset is not None]
        longest_s = max((one.waits_s(status.at_ms) for one in waiting), default=0.0)
        told = f"{sum(one.lag for one in waiting):,} offsets in {len(waiting)} of {len(progress)} partitions"
        yield _labelled("lag", f"{told}, the first waits for {_seconds(longest_s)}" if waiting else "none")
    if rulesets is not None:
        yield _labelled("ruleset", ", ".join(sorted(map(rulesets.text, rulesets.digests))) or "none yet")
    if letters is not None:
        by_class = ", ".join(f"{name} {count:,}" for name, count in letters.by_class.items())
        least = "" if letters.is_complete else "at least "
        yield _labelled("dead letters", f"{least}{letters.count:,} open: {by_class}" if letters.count else "none open")
    if not isinstance(status.change, Unanswered):
        yield _labelled("last change", _change(status))
    yield from _others(status)


def _change(status: Status) -> str:
    change = known(status.change)
    if change is None:
        return "none yet"
    ago_s = max(0, status.at_ms - change.timestamp_ms) / 1_000
    return f"{_seconds(ago_s)} ago, factor-changes partition {change.partition} offset {change.offset:,}"


def _others(status: Status) -> Iterator[str]:
    for sink in known(status.sinks) or ():
        yield _labelled(
            "sink", f"{sink.name}: {len(sink.people)} in the group, which is {sink.state.replace('_', ' ')}"
        )
    database = status.database
    if database is not None and not isinstance(database.status, Unanswered):
        behind = [one.lag_log for one in database.status.partitions if one.lag_log is not None]
        seen = [one.seen_s for one in database.status.partitions if one.seen_s is not None]
        told = [f"{sum(behind):,} offsets behind the log"] if behind else []
        told += [f"seen {_seconds(max(seen))} ago"] if seen else ["no sink was ever there"]
        yield _labelled("database", f"{database.name}: {', '.join(told)}")
    for answer in status.health.values():
        if isinstance(answer, Health):
            alive = "alive" if answer.is_alive else "NOT ALIVE"
            ready = "ready" if answer.is_ready else "NOT READY"
            who = f"{answer.worker} at {answer.address}" if answer.worker else answer.address
            yield _labelled("health", f"{answer.role} {who}: {alive}, {ready}")


def _partitions_of(member: Member) -> str:
    numbers = list(member.partitions)
    return f"{'partition' if len(numbers) == 1 else 'partitions'} {ranges(numbers)}" if numbers else "no partition"


def _who(member: Member) -> str:
    return f"{member.name} at {member.host}"


def _partitions(status: Status, room: int) -> Iterator[str]:
    progress = known(status.progress)
    if not progress:
        return
    shown = list(progress)
    if len(shown) > room:
        busy = [one for one in progress if state_of(status, one) != IDLE]
        shown = sorted(busy, key=lambda one: -one.waits_s(status.at_ms))[: room - 1]
    yield ""
    yield from _table([_HEADINGS, *(_row(status, one) for one in sorted(shown, key=lambda one: one.partition))])
    left = [one for one in progress if one not in shown]
    if left:
        is_idle = all(state_of(status, one) == IDLE for one in left)
        yield f"and {len(left)} more{', all idle' if is_idle else ': --format json shows them'}"


_HEADINGS = ("partition", "state", "lag", "waits", "committed", "end", "owner")
_NUMBERS = frozenset({0, 2, 3, 4, 5})


def _row(status: Status, one: PartitionProgress) -> tuple[str, ...]:
    group = known(status.group)
    owner = None if group is None else group.owner(one.partition)
    return (
        str(one.partition),
        state_of(status, one),
        f"{one.lag:,}",
        "-" if one.first_offset is None else _seconds(one.waits_s(status.at_ms)),
        "-" if one.committed is None else f"{one.committed:,}",
        f"{one.end:,}",
        "?" if group is None else "nobody" if owner is None else owner.name,
    )


def _table(rows: list[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    for row in rows:
        cells = [
            f"{text:>{width}}" if column in _NUMBERS else f"{text:<{width}}"
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()


def _seconds(seconds: float) -> str:
    """A time in the unit that says it best."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {unit}"
    return f"{seconds:,.0f} s" if seconds >= 10 else f"{seconds:.1f} s"  # noqa: PLR2004 - two digits say enough
