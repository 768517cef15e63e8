"""Looks at a worker for probes, scrapes and the log's summary: one snapshot at a time, from any thread."""

import socket
import threading
from collections.abc import Sequence
from pathlib import Path

from streams.health.awake import AwakeClock
from streams.health.process_figures import ProcessFigures, program_version
from streams.health.report import Check, Labelled, Partition, Snapshot, State
from streams.health.summary import Totals
from streams.health.watch import guarded
from streams.runtime.clock import system_ms
from streams.runtime.contact import KafkaContact
from streams.worker.app import ConsolidatorApp
from streams.worker.group_watch import group_facts
from streams.worker.measuring.counts import EventCounts
from streams.worker.measuring.facts import Facts
from streams.worker.measuring.offsets import OffsetWatch
from streams.worker.partition_views import PartitionViews, Surroundings
from topics.contract.declared import Topics

__all__ = ["WorkerProbe"]

_STARTING = Check(
    "group", ok=False, says="the worker is starting: it asks Kafka for topics and permissions", needed=True
)


class WorkerProbe:
    """Sees a worker from the beginning of its process on.

    Args:
        app_id: the application id.
        topics: the declared topics.
        contact: knows whether Kafka answers.
        counted: the counts of events.
        patience_s: how long a transaction waits for brokers that are down.

    Attributes:
        clock: runs while the process runs.
        process: what is known of any process.
        name: the host and the worker's slot on it.
    """

    def __init__(
        self, app_id: str, topics: Topics, contact: KafkaContact, counted: EventCounts, *, patience_s: float
    ) -> None:
        self.clock = AwakeClock()
        self.process = ProcessFigures("worker", self.clock, contact, "the event loop")
        self.name = socket.gethostname()
        self._app_id = app_id
        self._version = program_version()
        self._contact = contact
        self._counted = counted
        self._views = PartitionViews(topics.executions.name, patience_s)
        self._app: ConsolidatorApp | None = None
        self._offsets: OffsetWatch | None = None
        # Of the HTTP thread, the parent's requests and the summary: one at a time. No batch ever waits for it.
        self._looking = threading.Lock()

    def use(self, directory: Path) -> None:
        """Take the worker's directory, which names its slot."""
        self.name = f"{socket.gethostname()}/{directory.name}"
        self.process.directory = directory

    def attach(self, app: ConsolidatorApp, offsets: OffsetWatch) -> None:
        """From now on look at an application.

        Args:
            app: the application.
            offsets: knows where its partitions end.
        """
        self._offsets = offsets
        self._app = app

    def beat(self) -> None:
        """Note that the event loop runs, and what it knows; to be called from it, every second."""
        if self._app is not None:
            # It reads private parts of Faust and aiokafka, and who calls this may not end for that.
            guarded(self._note_group)
        self.process.beat()

    def owned(self) -> list[int]:
        """The partitions that the worker has now."""
        return [] if self._app is None else [one.partition for one in self._app.partition_owner.facts()]

    def look(self) -> Snapshot:
        """Everything at this moment."""
        with self._looking:
            facts = [] if self._app is None else self._app.partition_owner.facts()
            partitions = self._views.views(facts, self._surroundings())
            found = Snapshot("worker", self._version, self._app_id, self.name)
            found.checks = [*self.process.checks(), self._group()]
            found.partitions = partitions
            found.values = {
                **self.process.values(),
                **self._counted.values(),
                **_of_partitions(partitions),
                **self._of_recovery(facts),
                **_of_adoptions(facts),
                **self._of_store(),
            }
            if self._offsets is not None:
                found.values |= self._offsets.values()
            if self._app is not None:
                found.histograms = self._app.partition_owner.figures.histograms()
            return found

    def totals(self) -> Totals:
        """The numbers of the log's summary."""
        counted = self._counted
        return Totals.of(
            self.look().partitions,
            events=counted.folded,
            changes=counted.changes,
            failures=counted.failures,
            dead_letters=counted.dead_letters,
        )

    def _note_group(self) -> None:
        if self._app is not None:
            self._views.note(group_facts(self._app), self.clock())

    def _surroundings(self) -> Surroundings:
        offsets = self._offsets
        return Surroundings(
            self.clock(),
            system_ms(),
            self.process.silent_s,
            self._lost() or (None if offsets is None else offsets.leaderless),
            {} if offsets is None else offsets.ends,
        )

    def _lost(self) -> str | None:
        lost = self._contact.lost()
        return None if lost is None else f"an answer of Kafka: {', '.join(lost.brokers)}"

    def _group(self) -> Check:
        """Whether the worker is a member of its group, and nothing holds up all of its partitions."""
        if self._app is None:
            return _STARTING
        group = self._views.group
        left_s = self._views.recovery_left_s(self.clock())
        about = "" if left_s is None else f", for about {left_s:,.0f} s more: do not scale now"
        if group.stage is not None:
            return Check("group", ok=False, says=f"waits for {group.stage}{about}", needed=True)
        if not group.is_member:
            return Check("group", ok=False, says="waits for the consumer group", needed=True)
        return Check("group", ok=True, says="a member of the consumer group", needed=True)

    def _of_recovery(self, facts: Sequence[Facts]) -> dict[str, list[Labelled]]:
        group = self._views.group
        return {
            "consolidator_recovery_remaining_records": [
                ((str(one.partition),), float(group.remaining.get(one.partition, 0))) for one in facts
            ],
            "consolidator_recovery_records_total": [
                ((str(partition),), float(number)) for partition, number in group.restored.items()
            ],
        }

    def _of_store(self) -> dict[str, list[Labelled]]:
        on_disk, memory = ({}, 0) if self._app is None else self._app.partition_owner.stored()
        return {
            "consolidator_rocksdb_bytes": [((str(one),), float(size)) for one, size in on_disk.items()],
            "consolidator_rocksdb_memory_bytes": [((), float(memory))],
        }


def _of_adoptions(facts: Sequence[Facts]) -> dict[str, list[Labelled]]:
    under_way = [(str(one.partition), one.adoption) for one in facts if one.adoption is not None]
    return {
        "consolidator_adoption_done_records": [((name,), float(done)) for name, (done, _) in under_way],
        "consolidator_adoption_expected_records": [((name,), float(expected)) for name, (_, expected) in under_way],
    }


def _of_partitions(partitions: Sequence[Partition]) -> dict[str, list[Labelled]]:
    numbers: dict[str, list[float | None]] = {
        "consolidator_partition_position": [one.position for one in partitions],
        "consolidator_partition_committed_offset": [one.committed for one in partitions],
        "consolidator_partition_end_offset": [one.end for one in partitions],
        "consolidator_partition_lag_offsets": [one.lag for one in partitions],
        "consolidator_partition_lag_seconds": [one.lag_seconds for one in partitions],
        "consolidator_partition_last_progress_seconds": [one.last_progress_seconds for one in partitions],
    }
    names = [str(one.partition) for one in partitions]
    found: dict[str, list[Labelled]] = {
        metric: [((name,), float(value)) for name, value in zip(names, values, strict=True) if value is not None]
        for metric, values in numbers.items()
    }
    found["consolidator_partition_state"] = [
        ((str(one.partition), state.value), float(one.state == state)) for one in partitions for state in State
    ]
    return found
