"""Looks at a sink for probes, scrapes and the log's summary: one snapshot at a time, from any thread."""

import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from streams.health.awake import AwakeClock
from streams.health.process_figures import ProcessFigures, program_version
from streams.health.report import Check, Labelled, Partition, Snapshot, State
from streams.health.standing import Movement, Standing, standing_of
from streams.health.summary import Totals
from streams.runtime.clock import system_ms
from streams.runtime.contact import KafkaContact
from streams.sink.lane import Lane
from streams.sink.watching.figures import SinkFigures
from topics.contract.declared import Topics

__all__ = ["SinkProbe"]


class SinkProbe:
    """Sees a sink from the beginning of its process on.

    Args:
        app_id: the application id.
        topics: the declared topics.
        contact: knows whether Kafka answers.
        directory: the state directory.
        clock: runs while the process runs; None: one of its own.

    Attributes:
        clock: runs while the process runs.
        figures: what the sink counts.
        name: the host, and that it is a sink.
    """

    def __init__(
        self,
        app_id: str,
        topics: Topics,
        contact: KafkaContact,
        directory: Path,
        clock: AwakeClock | None = None,
    ) -> None:
        self.clock = clock or AwakeClock()
        self.figures = SinkFigures(contact, self.clock)
        self._process = ProcessFigures("sink", self.clock, contact, "the sink's loop")
        self._process.directory = directory
        self._process.loop_waits = lambda: self.figures.waits_for
        self.figures.beat = self._process.beat
        self._app_id = app_id
        self._version = program_version()
        self.name = f"{socket.gethostname()}/sink"
        self._topics = topics
        self._contact = contact
        self._movement = Movement()
        self._lanes: Callable[[], dict[int, Lane]] | None = None
        self._looking = threading.Lock()

    def attach(self, lanes: Callable[[], dict[int, Lane]]) -> None:
        """From now on look at a service.

        Args:
            lanes: returns the partitions that it serves.
        """
        self._lanes = lanes

    def look(self) -> Snapshot:
        """Everything at this moment."""
        with self._looking:
            lanes = {} if self._lanes is None else self._lanes()
            self._movement.keep(lanes.keys())
            partitions = [self._view(partition, lanes[partition]) for partition in sorted(lanes)]
            found = Snapshot("sink", self._version, self._app_id, self.name)
            found.checks = [*self._process.checks(), self._database(), self._group()]
            found.partitions = partitions
            found.values = {
                **self._process.values(),
                **self.figures.values(),
                **self._of_partitions(partitions, lanes),
            }
            durations = self.figures.cut_seconds
            found.histograms = {"consolidator_sink_cut_seconds": (list(durations.counts), durations.total)}
            return found

    def totals(self) -> Totals:
        """The numbers of the log's summary."""
        figures = self.figures
        return Totals.of(
            self.look().partitions,
            events=figures.events,
            changes=figures.changes,
            failures=0,
            dead_letters=figures.letters,
        )

    def _view(self, partition: int, lane: Lane) -> Partition:
        now, written, bound = self.clock(), lane.written, lane.bound
        lag = None if bound is None else max(bound.consolidated - written.next, 0)
        behind_since = self._movement.behind_since(partition, lag, now)
        moved = self.figures.moved_at.get(partition, now)
        still_s = 0.0 if behind_since is None else now - max(behind_since, moved)
        standing = Standing(State.WAITING, "an answer of Kafka: how far the workers are")
        if bound is not None:
            standing = standing_of(lag, still_s, self._reason(lane))
        return Partition(
            self._topics.executions.name,
            partition,
            standing.state.value,
            lane.events_end,
            written.next,
            None if bound is None else bound.consolidated,
            lag,
            self._lag_s(lane, lag, still_s),
            now - moved,
            standing.waits_for,
        )

    def _reason(self, lane: Lane) -> str:
        """Why a partition may stand still. Nothing that it waits for would come with a restart."""
        lost = self._contact.lost()
        if self.figures.database_lost_at is not None:
            return "the database"
        if lost is not None:
            return "an answer of Kafka"
        bound = lane.bound
        if bound is not None and lane.events_end < bound.consolidated:
            return f"{self._topics.executions.name} up to offset {bound.consolidated}"
        if bound is not None and lane.changes_end < bound.changes:
            return f"{self._topics.factor_changes.name} up to offset {bound.changes}: is a transaction open?"
        if bound is not None and lane.letters_end < bound.letters:
            return f"{self._topics.dlq.name} up to offset {bound.letters}: is a transaction open?"
        return "the database: a cut is being written"

    @staticmethod
    def _lag_s(lane: Lane, lag: int | None, still_s: float) -> float | None:
        """How long the oldest record waits; at least since the last cut, where it was not even read.

        A sink that is always some cuts behind has had something to do for hours, and no record waits so long.
        """
        if not lag:
            return None if lag is None else 0.0
        oldest_ms = lane.oldest_ms
        return still_s if oldest_ms is None else max(still_s, (system_ms() - oldest_ms) / 1000)

    def _database(self) -> Check:
        lost_at = self.figures.database_lost_at
        if lost_at is None:
            return Check("database", ok=True, says="it answers", needed=True)
        return Check("database", ok=False, says=f"it has not answered for {self.clock() - lost_at:.0f} s", needed=True)

    def _group(self) -> Check:
        if self._lanes is None:
            says = "the sink is starting: it asks Kafka and the database"
            return Check("group", ok=False, says=says, needed=True)
        return Check("group", ok=True, says="shares the partitions with other sinks", needed=True)

    def _of_partitions(self, partitions: Sequence[Partition], lanes: Mapping[int, Lane]) -> dict[str, list[Labelled]]:
        source, topics = self._topics.executions.name, self._topics
        behind: list[Labelled] = []
        for partition, lane in lanes.items():
            bound, at, name = lane.bound, lane.written, str(partition)
            if bound is not None:
                behind += [
                    ((source, name), float(max(bound.consolidated - at.next, 0))),
                    ((topics.factor_changes.name, name), float(max(bound.changes - at.changes, 0))),
                    ((topics.dlq.name, name), float(max(bound.letters - at.letters, 0))),
                ]
        return {
            "consolidator_sink_partition_state": [
                ((source, str(one.partition), state.value), float(one.state == state))
                for one in partitions
                for state in State
            ],
            "consolidator_sink_lag_offsets": behind,
            "consolidator_sink_lag_seconds": [
                ((str(one.partition),), one.lag_seconds) for one in partitions if one.lag_seconds is not None
            ],
            "consolidator_sink_last_cut_seconds": [
                ((str(one.partition),), one.last_progress_seconds)
                for one in partitions
                if one.last_progress_seconds is not None
            ],
        }
