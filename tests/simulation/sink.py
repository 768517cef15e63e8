"""A sink without Kafka: the worker's fold makes the topics, and they are read in pieces that a test chooses."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Engine

from streams.partition.batch import Outgoing
from streams.rulesets.catalogue_file import catalogue_json
from streams.sink.lane import Cursor, Lane
from streams.sink.ownership import Ownership, claim
from streams.sink.writing import CutWriter
from tests.oracle import folds
from tests.oracle.folds import MAX_EVENT_BYTES, Partition, catalogue_of, topics_of
from topics.reading.progress import Published
from topics.records.adoptions import KnownRulesets
from topics.records.erasure_authority import EveryErasure
from topics.records.record import Record

NOW_MS = folds.RECORDED_MS
ABSENCE_MS = 1_000_000
MOST_ROUNDS = 2_000
START = Cursor(0, 0, 0)


class SimulatedTopics:
    """What a worker makes of one partition's records.

    Args:
        content: the catalogue.
        partition: which one.
        partitions: how many there are.

    Attributes:
        worker: its fold.
        source: the source topic.
        changes: ``factor-changes``.
        letters: the dead letters.
        consolidated: the group's committed offset.
        rulesets: what is kept of rulesets.
    """

    def __init__(self, content: Mapping[str, Any], *, partition: int = 0, partitions: int = 1) -> None:
        self.content = content
        self.partition = partition
        self.topics = topics_of(partitions)
        self.worker = Partition(content, partition=partition, partitions=partitions)
        self.source: list[Record] = []
        self.changes: list[Record] = []
        self.letters: list[Record] = []
        self.consolidated = 0
        catalogue = catalogue_of(content)
        self.rulesets = KnownRulesets({catalogue.digest: catalogue_json(catalogue).encode()})

    def take(self, batch: Sequence[folds.Record]) -> None:
        """The worker consolidates a batch of the source topic."""
        self.source += [
            Record("executions", self.partition, one.offset, one.timestamp, one.key, one.value, tuple(one.headers))
            for one in batch
        ]
        for sent in self.worker.take(*batch).outgoing:
            if sent.topic == self.topics.factor_changes.name:
                self.changes.append(self._record(sent, len(self.changes)))
            elif sent.topic == self.topics.dlq.name:
                self.letters.append(self._record(sent, len(self.letters)))
        self.consolidated = batch[-1].offset + 1

    def _record(self, sent: Outgoing, offset: int) -> Record:
        headers = tuple(sent.headers or ())
        return Record(sent.topic, self.partition, offset, folds.RECORDED_MS, sent.key, sent.value, headers)

    @property
    def bound(self) -> Published:
        """What a sink is told now."""
        return Published(self.consolidated, len(self.changes), len(self.letters))


class SimulatedSink:
    """Reads a partition's topics, piece by piece, into a database.

    Args:
        engine: the database, at this version's schema.
        topics: what is read.
        owner: its name.
        writer: writes cuts.
    """

    def __init__(
        self,
        engine: Engine,
        topics: SimulatedTopics,
        owner: str = "sink",
        *,
        writer: type[CutWriter] = CutWriter,
    ) -> None:
        catalogue = catalogue_of(topics.content)
        self._topics = topics
        self.writer = writer(
            engine,
            topics.topics,
            max_event_bytes=MAX_EVENT_BYTES,
            authority=EveryErasure(),
            keeping=lambda _: [
                name for name, rule in catalogue.processors.items() if rule.on_failed_rerun.value == "keep_previous"
            ],
            rulesets=lambda: topics.rulesets,
        )
        self.owned: Ownership = claim(
            engine, topics.partition, owner=owner, beginning=START, now_ms=NOW_MS, absence_ms=ABSENCE_MS
        )
        place = self.owned.place
        self.lane = Lane(topics.partition, place, place.next, place.changes, place.letters)

    def read(self, rng: random.Random) -> None:
        """Read a random piece of each topic, and ask how far the worker is, or do not."""
        lane, topics = self.lane, self._topics
        if rng.random() < 0.7 or lane.bound is None:
            lane.bound = topics.bound
        read = [one for one in topics.source if one.offset >= lane.events_end][: rng.randrange(8)]
        lane.events.extend(read)
        if read:
            lane.events_end = read[-1].offset + 1
        for record in topics.changes[lane.changes_end :][: rng.randrange(6)]:
            lane.take_change(record)
            lane.changes_end = record.offset + 1
        for record in topics.letters[lane.letters_end :][: rng.randrange(3)]:
            lane.take_letter(record, topics.topics.executions.name)
            lane.letters_end = record.offset + 1

    def write(self, most_records: int) -> bool:
        """Write the next cut, if there is one."""
        cut = self.lane.next_cut(most_records)
        if cut is None:
            return False
        self.writer.write(self.writer.plan(cut, self.owned), NOW_MS)
        self.lane.moved(cut)
        return True

    def run(self, rng: random.Random) -> None:
        """Read and write until the rows are where the worker is."""
        for _ in range(MOST_ROUNDS):
            if self.lane.at.next == self._topics.consolidated:
                return
            self.read(rng)
            self.write(rng.randrange(1, 9))
        raise AssertionError(f"the rows stay at {self.lane.at}, and the worker is at {self._topics.bound}: {self.lane}")
