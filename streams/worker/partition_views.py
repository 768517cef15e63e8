"""Judges the partitions of a worker: what each is doing, how far it is, and what it waits for."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from streams.health.report import Partition, State
from streams.health.standing import STILL_S, Movement, Standing, standing_of
from streams.worker.group_watch import GroupFacts
from streams.worker.measuring.facts import Facts

__all__ = ["PartitionViews", "Surroundings"]

_RECOVERY_STILL_S: Final = 60.0
"""How long a recovery may read nothing while Kafka answers. A poll takes a second at most."""

_MORE_THAN_PATIENCE_S: Final = 60.0
"""A step that waits for brokers ends the worker itself after their patience. Beyond that it hangs."""

_TURNS: Final = 3
"""In so many passes over the partitions each of them has had its turn."""

_STARTED: Final = GroupFacts("the start of the worker")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What holds for all partitions.

    Attributes:
        now: the present time, by the clock that runs while the process runs.
        now_ms: the present time, in milliseconds since the epoch.
        loop_silent_s: the age of the event loop's last sign.
        lost: the brokers that do not answer, in words; None: all answer.
        ends: the last stable offsets that were asked for.
    """

    now: float
    now_ms: int
    loop_silent_s: float
    lost: str | None
    ends: Mapping[int, int]


class PartitionViews:
    """Remembers what is needed to judge partitions, from one look to the next.

    Args:
        topic: the source topic.
        patience_s: how long a transaction waits for brokers that are down.

    Attributes:
        group: what the event loop said last.
    """

    def __init__(self, topic: str, patience_s: float) -> None:
        self._topic = topic
        self._limit_s = patience_s + _MORE_THAN_PATIENCE_S
        self._movement = Movement()
        self.group = _STARTED
        # The consumer's passes of the last seconds, with their times.
        self._passes: deque[tuple[float, int]] = deque()
        # By partition: the offsets of the changelog that were read, and when that number last rose.
        self._recovered: dict[int, tuple[int, float]] = {}
        self._recovery_began: tuple[float, int] | None = None

    def note(self, group: GroupFacts, now: float) -> None:
        """Take what the event loop says; to be called once a second.

        Args:
            group: what it says.
            now: the present time.
        """
        self._passes.append((now, group.passes))
        while len(self._passes) > 1 and now - self._passes[1][0] >= STILL_S:
            self._passes.popleft()
        for partition, restored in group.restored.items():
            if self._recovered.get(partition, (-1, now))[0] != restored:
                self._recovered[partition] = (restored, now)
        if not group.in_recovery:
            self._recovery_began = None
        elif self._recovery_began is None:
            self._recovery_began = (now, sum(group.restored.values()))
        self.group = group

    def recovery_left_s(self, now: float) -> float | None:
        """How long the recovery will take at its present speed, in seconds; None: nobody can say, or there is none."""
        began = self._recovery_began
        if began is None:
            return None
        since, before = began
        speed = (sum(self.group.restored.values()) - before) / max(now - since, 1.0)
        return sum(self.group.remaining.values()) / speed if speed > 0 else None

    def views(self, facts: list[Facts], around: Surroundings) -> list[Partition]:
        """Every partition."""
        self._movement.keep({one.partition for one in facts})
        pending = [(one, self._pending(one, around)) for one in facts]
        # One that hangs in the middle of its batch is at work for nobody.
        busy = {one.partition for one, found in pending if one.is_busy and found.still_s < self._limit_s}
        return [self._view(one, around, found, others_work=bool(busy - {one.partition})) for one, found in pending]

    def _pending(self, facts: Facts, around: Surroundings) -> "_Pending":
        partition = facts.partition
        end = max((each[partition] for each in (around.ends, self.group.ends) if partition in each), default=None)
        lag = None if end is None or facts.committed is None else max(end - facts.committed, 0)
        behind_since = self._movement.behind_since(partition, lag, around.now)
        still_s = 0.0 if behind_since is None else around.now - max(behind_since, facts.since)
        return _Pending(end, lag, behind_since, still_s)

    def _view(self, facts: Facts, around: Surroundings, found: "_Pending", *, others_work: bool) -> Partition:
        if facts.committed is None:
            standing, moved = self._before_work(facts, around)
        else:
            standing, moved = self._at_work(facts, around, found, others_work=others_work), facts.since
        return Partition(
            self._topic,
            facts.partition,
            standing.state.value,
            facts.position,
            facts.committed,
            found.end,
            found.lag,
            _lag_s(facts, found, around),
            max(around.now - moved, 0.0),
            standing.waits_for,
        )

    def _before_work(self, facts: Facts, around: Surroundings) -> tuple[Standing, float]:
        """The standing of a partition that is not taken into work yet, and when it last moved."""
        partition, since = facts.partition, facts.since
        if facts.stage is State.FENCING:
            standing = Standing(State.FENCING, "transactions of earlier owners")
            return self._unless_hanging(standing, around, since, self._limit_s), since
        moved = max(since, self._recovered.get(partition, (0, since))[1])
        # All of them are taken into work together: as long as one of them moves, the others do not hang.
        any_moved = max((when for _, when in self._recovered.values()), default=moved)
        remaining = self.group.remaining.get(partition, 0)
        if self.group.in_recovery and remaining:
            standing = Standing(State.RECOVERING, f"{remaining:,} changelog records{self._about(around.now)}")
            return self._unless_hanging(standing, around, max(moved, any_moved), _RECOVERY_STILL_S), moved
        standing = Standing(State.WAITING, self.group.stage or "the look at where state, group and topic stand")
        return self._unless_hanging(standing, around, max(moved, any_moved), self._limit_s), moved

    def _about(self, now: float) -> str:
        left_s = self.recovery_left_s(now)
        return "" if left_s is None else f", for about {left_s:,.0f} s more"

    @staticmethod
    def _unless_hanging(standing: Standing, around: Surroundings, since: float, limit_s: float) -> Standing:
        """The standing, or that it is stuck: it takes too long although Kafka answers."""
        still_s = around.now - since
        if around.lost is not None:
            return Standing(standing.state, around.lost)
        return (
            Standing(State.STUCK, f"{standing.waits_for}: no progress for {still_s:.0f} s")
            if still_s > limit_s
            else standing
        )

    def _at_work(self, facts: Facts, around: Surroundings, found: "_Pending", *, others_work: bool) -> Standing:
        if facts.stage is State.ADOPTING:
            done, expected = facts.adoption or (0, 0)
            return Standing(State.ADOPTING, f"the new ruleset: {done:,} of {expected:,} records are folded with it")
        return standing_of(
            found.lag, found.still_s, self._reason(facts, around, found.still_s, others_work=others_work)
        )

    def _reason(self, facts: Facts, around: Surroundings, still_s: float, *, others_work: bool) -> str | None:
        """Why a partition may stand still; None: there is no reason."""
        if around.loop_silent_s > STILL_S:
            return f"the event loop, which has been blocked for {around.loop_silent_s:.0f} s"
        if around.lost is not None:
            return around.lost
        if self.group.stage is not None:
            return self.group.stage
        if facts.is_busy and still_s < self._limit_s:
            return "the commit of its batch: Kafka, or the disk"
        if others_work and self._turns() < _TURNS:
            return "its turn: other partitions are at work"
        return None

    def _turns(self) -> int:
        """How many passes over the partitions there were in the last seconds."""
        passes = list(self._passes)
        return passes[-1][1] - passes[0][1] if passes else 0


@dataclass(frozen=True, slots=True)
class _Pending:
    """What a partition has still to do.

    Attributes:
        end: its last stable offset.
        lag: offsets that are not committed.
        behind_since: since when there are some.
        still_s: for how long none of them was committed.
    """

    end: int | None
    lag: int | None
    behind_since: float | None
    still_s: float


def _lag_s(facts: Facts, found: _Pending, around: Surroundings) -> float | None:
    """The age of the oldest record that is not committed.

    Of a record that was not fetched yet nobody knows the time; it is at least as old as it has been seen waiting.
    """
    if found.lag is None:
        return None
    if not found.lag:
        return 0.0
    seen_s = 0.0 if found.behind_since is None else around.now - found.behind_since
    known_s = 0.0 if facts.oldest_ms is None else (around.now_ms - facts.oldest_ms) / 1000
    return max(seen_s, known_s)
