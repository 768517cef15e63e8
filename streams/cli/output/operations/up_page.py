"""What ``consolidator up`` shows: on a terminal a table that changes, elsewhere lines of a log."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Protocol

import structlog

from streams.cli.output.console import cell, is_watched, stderr
from streams.runtime.escaping import escaped
from streams.supervisor.house import Shown
from streams.supervisor.kafka_watch import Progress

# Rich is imported where something is drawn: see streams.cli.output.console.
if TYPE_CHECKING:
    from rich.console import Group
    from rich.live import Live

__all__ = ["Display", "duration", "open_display", "page_of", "progress_line"]

_LOG_EACH_S: Final = 30.0
_OLD_AFTER_S: Final = 5.0
_DRAWN_A_SECOND: Final = 4
_MINUTE: Final = 60
_HOUR: Final = 3_600


class Display(Protocol):
    """Where it is shown."""

    def report(self, level: str, event: str, **facts: Any) -> None:
        """Say what happened."""

    def tell(self, text: str) -> None:
        """Say which step takes time."""

    def show(self, shown: Shown) -> None:
        """Show how it stands."""


@contextmanager
def open_display() -> Iterator[Display]:
    """A display, until the context ends."""
    if not is_watched():
        yield _Log()
        return
    from rich.live import Live  # noqa: PLC0415 - see above

    with Live(console=stderr(), refresh_per_second=_DRAWN_A_SECOND, transient=True) as live:
        yield _Screen(live)


class _Screen:
    """A table on a terminal, and above it what happened."""

    def __init__(self, live: "Live") -> None:
        self._live = live

    def report(self, level: str, event: str, **facts: Any) -> None:
        told = ", ".join(f"{name} {value}" for name, value in facts.items() if value not in {"", None})
        text = f"{event} ({told})" if told else event
        # The terminal wraps it, so that a command in it can be copied.
        self._live.console.print(cell(text, "yellow" if level == "warning" else ""), soft_wrap=True)

    def tell(self, text: str) -> None:
        from rich.text import Text  # noqa: PLC0415 - see above

        self._live.update(Text(escaped(text)), refresh=True)

    def show(self, shown: Shown) -> None:
        self._live.update(page_of(shown))


class _Log:
    """Lines of a log on stderr, one of how it stands each 30 s, and one when all is running."""

    def __init__(self) -> None:
        self._log = structlog.get_logger()
        self._last = 0.0
        self._were_well = False

    def report(self, level: str, event: str, **facts: Any) -> None:
        (self._log.warning if level == "warning" else self._log.info)(event, **facts)

    def tell(self, text: str) -> None:
        self._log.info(text)

    def show(self, shown: Shown) -> None:
        are_well = bool(shown.rows) and all(row.is_well for row in shown.rows)
        if are_well == self._were_well and monotonic() - self._last < _LOG_EACH_S:
            return
        self._were_well, self._last = are_well, monotonic()
        facts: dict[str, Any] = {row.name: row.state for row in shown.rows}
        if shown.progress is not None:
            facts |= _facts_of(shown.progress)
        if shown.day:
            facts["day"] = shown.day
        self._log.info("everything runs" if are_well else "not everything runs", servers=shown.servers, **facts)


def _facts_of(progress: Progress) -> dict[str, Any]:
    if progress.error:
        return {"kafka": progress.error}
    return {"offsets": progress.end, "waiting": progress.waiting, "a_second": round(progress.rate, 1)}


def page_of(shown: Shown) -> "Group":
    """The screen."""
    from rich.console import Group  # noqa: PLC0415 - see above
    from rich.table import Table  # noqa: PLC0415 - see above

    table = Table("what", "state", "for", "restarts", "process", "says")
    if not shown.has_broker:
        table.add_row("broker", cell(f"not ours: {shown.servers}"), "", "", "", "")
    for row in shown.rows:
        table.add_row(
            row.name,
            cell(row.state, "green" if row.is_well else "yellow"),
            duration(row.since_s),
            str(row.restarts),
            "" if row.pid is None else str(row.pid),
            cell(shown.servers if row.name == "broker" else shown.says.get(row.name, "")),
        )
    lines = [progress_line(shown.progress, monotonic()), *([f"the day: {shown.day}"] if shown.day else [])]
    if shown.look_with:
        lines.append(f"look at it with: {shown.look_with}")
    lines.append(f"logs: {shown.logs}   Ctrl-C stops everything")
    return Group(table, *(cell(line) for line in lines))


def progress_line(progress: Progress | None, now: float) -> str:
    """How far the workers are.

    Args:
        progress: what Kafka said.
        now: monotonic seconds.
    """
    if progress is None:
        return "executions: not asked yet"
    text = (
        f"executions: {progress.through:,} of {progress.end:,} offsets consolidated, {progress.waiting:,} waiting, "
        f"{progress.rate:,.0f} a second"
    )
    age_s = now - progress.looked_at
    if progress.error or age_s > _OLD_AFTER_S:
        # Only one line of it: the next look says whether it is over.
        why = progress.error.partition("\n")[0]
        return f"{text} ({duration(age_s)} ago{'; ' if why else ''}{why})" if progress.looked_at else why
    return text


def duration(seconds: float) -> str:
    """A time in words: ``7 s``, ``3 min 20 s``, ``2 h 5 min``."""
    whole = max(0, int(seconds))
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"
