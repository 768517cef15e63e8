"""Starts children in order, starts again what ends, and stops all of them together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from models.errors import ConsolidatorError, ContractError, InfrastructureError
from streams.runtime.exit_codes import REFUSED
from streams.runtime.signals import deferred_signals
from streams.supervisor.children import Child, Ended
from streams.supervisor.restarts import MOST_ENDS, WITHIN_S, Restarts

__all__ = ["Report", "Row", "Supervisor"]

Report = Callable[..., None]
"""Called with a level (info, warning), what happened, and fields, as a log's methods are."""


@dataclass(frozen=True, slots=True)
class Row:
    """What is to be shown of a child.

    Attributes:
        name: the child's.
        state: ``starting``, ``running``, ``waits for the broker`` or ``starts again in … s``.
        is_well: whether it runs.
        since_s: how long it has been in that state.
        restarts: how often it was started again.
        pid: its process id.
    """

    name: str
    state: str
    is_well: bool
    since_s: float
    restarts: int
    pid: int | None


@dataclass(slots=True)
class _Watched:
    """A child, and what the supervisor knows of it."""

    child: Child
    restarts: Restarts = field(default_factory=Restarts)
    due: float | None = 0.0
    since: float = 0.0
    was_starting: bool = False


class Supervisor:
    """Watches children until :meth:`close`.

    Args:
        children: in the order of their start. If the first one is the broker, the others start once it answers.
        report: called with what happens.
        has_broker: whether the first child is the broker.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        children: Sequence[Child],
        report: Report,
        *,
        has_broker: bool,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._clock = clock
        self._report = report
        self._watched = [_Watched(child, since=clock()) for child in children]
        self._broker = self._watched[0] if has_broker else None

    def adopt(self, child: Child) -> None:
        """Take a child that is running already."""
        for watched in self._watched:
            if watched.child is child:
                watched.due, watched.since = None, self._clock()

    def tick(self) -> None:
        """Look at every child once, and start what is due. Waits for nothing.

        Raises:
            ContractError: a child ended with exit code 2: starting it again would change nothing.
            InfrastructureError: a child ended too often.
        """
        for watched in self._watched:
            if watched.due is None:
                self._look(watched)
            elif self._clock() >= watched.due and self._may_start(watched):
                self._start(watched)

    def rows(self) -> list[Row]:
        """What is to be shown of each child."""
        now = self._clock()
        return [
            Row(
                watched.child.name,
                self._state_of(watched, now),
                watched.due is None and not watched.child.is_starting,
                now - watched.since,
                watched.restarts.count,
                watched.child.pid,
            )
            for watched in self._watched
        ]

    def close(self, tell: Callable[[str], None], *, keep: Sequence[Child] = ()) -> None:
        """Stop every child, the last one first; the workers commit what is in flight, while the broker is there.

        Args:
            tell: called with a text about what takes time.
            keep: children that go on.

        Raises:
            InfrastructureError: one of them could not be ended; the others were.
        """
        failures = []
        # A second Ctrl-C would leave some of them running.
        with deferred_signals():
            for watched in reversed(self._watched):
                if any(watched.child is one for one in keep):
                    continue
                tell(f"Stopping the {watched.child.name}")
                try:
                    watched.child.stop(tell)
                except (ConsolidatorError, OSError) as error:
                    failures.append(f"the {watched.child.name} could not be ended: {error}")
        if failures:
            raise InfrastructureError("; ".join(failures))

    def _may_start(self, watched: _Watched) -> bool:
        broker = self._broker
        return broker is None or watched is broker or (broker.due is None and not broker.child.is_starting)

    def _start(self, watched: _Watched) -> None:
        now = self._clock()
        try:
            watched.child.start()
        except ConsolidatorError as error:
            self._ended(watched, Ended(None), str(error))
            return
        watched.due, watched.since, watched.was_starting = None, now, watched.child.is_starting
        self._report("info", f"{watched.child.name} starting", **self._facts(watched))

    def _look(self, watched: _Watched) -> None:
        if watched.was_starting and not watched.child.is_starting:
            watched.was_starting, watched.since = False, self._clock()
        ended = watched.child.look()
        if ended is not None:
            self._ended(watched, ended, watched.child.last_error())

    def _ended(self, watched: _Watched, ended: Ended, error: str) -> None:
        """Decide what becomes of a child that ended, or that could not be started."""
        name, now = watched.child.name, self._clock()
        # No more of its log than that: other lines have ids of applications.
        log = f"its log is in {watched.child.log_file}"
        told = f"{error}\n{log}" if error else log
        if ended.code == REFUSED:
            raise ContractError(f"the {name} ended {ended}: what it says has to be mended first\n{told}")
        pause_s = watched.restarts.pause_after_end(now)
        if pause_s is None:
            raise InfrastructureError(
                f"the {name} ended {MOST_ENDS} times within {WITHIN_S:.0f} s, the last time {ended}: it is not started "
                f"again, and everything is stopped\n{told}"
            )
        watched.due, watched.since = now + pause_s, now
        self._report(
            "warning",
            f"{name} ended {ended}: it starts again in {pause_s:.0f} s",
            restarts=watched.restarts.count,
            why=told.partition("\n")[0],
        )

    def _state_of(self, watched: _Watched, now: float) -> str:
        if watched.due is None:
            return "starting" if watched.child.is_starting else "running"
        if now < watched.due:
            return f"starts again in {watched.due - now:.0f} s"
        return "starting" if self._may_start(watched) else "waits for the broker"

    def _facts(self, watched: _Watched) -> dict[str, Any]:
        facts: dict[str, Any] = {"restarts": watched.restarts.count}
        if watched.child.pid is not None:
            facts["pid"] = watched.child.pid
        return facts
