"""What a process says about itself at one moment: checks, partitions and numbers, as values for a socket."""

from enum import StrEnum
from typing import Final

import msgspec

__all__ = ["STANDING_STILL", "Check", "Partition", "Snapshot", "State"]


class State(StrEnum):
    """What a partition is doing."""

    FENCING = "fencing"
    """Earlier owners are being fenced, and their open transactions waited for."""
    RECOVERING = "recovering"
    """Its state is being read from the changelog."""
    WAITING = "waiting"
    """It waits for the group, or for the end of a rebalance."""
    RUNNING = "running"
    """There is something to do, and it is being done."""
    ADOPTING = "adopting"
    """It is going over to another ruleset, in the background."""
    STALLED = "stalled"
    """There is something to do, and a reason from outside why it is not being done."""
    STUCK = "stuck"
    """There is something to do, it is not being done, and no reason is known."""
    IDLE = "idle"
    """Everything is done."""


class Check(msgspec.Struct, frozen=True):
    """One check.

    Attributes:
        name: one word.
        ok: whether all is well.
        says: in words, what is known.
        deadly: without it the program is not alive: a restart would help.
        needed: without it the program is not ready.
    """

    name: str
    ok: bool
    says: str
    deadly: bool = False
    needed: bool = False


class Partition(msgspec.Struct, frozen=True):
    """One partition; None is what is not known.

    Attributes:
        topic: the source topic.
        partition: its number.
        state: one of :class:`State`.
        position: the offset before which everything is folded.
        committed: the offset before which everything is committed.
        end: its last stable offset.
        lag: offsets that are not committed yet.
        lag_seconds: the age of the oldest record that is not committed yet; 0: there is none.
        last_progress_seconds: seconds since it moved.
        waits_for: the reason why it does not run, in words.
    """

    topic: str
    partition: int
    state: str
    position: int | None = None
    committed: int | None = None
    end: int | None = None
    lag: int | None = None
    lag_seconds: float | None = None
    last_progress_seconds: float | None = None
    waits_for: str | None = None

    @property
    def line(self) -> str:
        """As a line of text."""
        known = [f"{name} {value}" for name, value in (("position", self.position), ("committed", self.committed))]
        since = self.last_progress_seconds
        progress = "no progress yet" if since is None else f"last progress {since:.0f} s ago"
        lag = [] if not self.lag else [f"{self.lag:,} behind"]
        words = [word for word in known if not word.endswith(" None")]
        parts = [self.state, *words, *lag, progress, f"waits for {self.waits_for or 'nothing'}"]
        return f"partition {self.partition}: {', '.join(parts)}"


STANDING_STILL: Final = frozenset({State.STALLED, State.STUCK})
"""There is something to do, and it is not being done."""

Labelled = tuple[tuple[str, ...], float]
"""The values of a metric's labels, in their order, and the number."""


class Snapshot(msgspec.Struct):
    """Everything at one moment.

    Attributes:
        role: ``worker`` or ``sink``.
        version: the program's version.
        app_id: the application id.
        worker: the host and the worker's slot on it; of several processes, all of them.
        checks: what was looked at.
        partitions: those that the process has.
        values: counters and gauges by name.
        histograms: the counts of the buckets and the sum of the values, by name.
    """

    role: str
    version: str
    app_id: str
    worker: str
    checks: list[Check] = []
    partitions: list[Partition] = []
    values: dict[str, list[Labelled]] = {}
    histograms: dict[str, tuple[list[int], float]] = {}
