"""How fast cuts become rows, and how fast the strategy's query is answered: ``python -m benchmarks.sink``.

The worker's fold makes the topics, in memory, from the design's workload; what is measured is the sink from a record's
bytes to a committed row, on disk, without fetching: its own pipeline, with all rows that come of the events. The load
is offered in pieces, between which the clock stands still; with ``--executions`` in as many as it takes, so that rates,
memory and queries are seen as the database grows. ``benchmarks.sink_kafka`` has fetching in it.
"""

import argparse
import gc
import json
import os
import random
import re
import sqlite3
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, func, select

from benchmarks.load.session import say
from benchmarks.report.machine import machine, versions
from benchmarks.sink_answers import GROUP, answered_ms
from consolidator.keys import partition_of
from streams.sink.database import migrate, open_for_reading, open_for_writing, transaction, url_of
from streams.sink.interpreter import set_for_cuts
from streams.sink.lane import Cursor, Lane, most_waiting
from streams.sink.ownership import Installed, claim, database_id
from streams.sink.pipeline import Pipeline
from streams.sink.repository import SqlExecutionRepository
from streams.sink.schema import CURRENT
from streams.sink.service import CONNECTIONS, CUT_RECORDS
from streams.sink.writing import CutWriter
from tests.databases.postgresql import PostgresServer
from tests.inputs.design_workload import (
    DESIGN_APPLICATIONS,
    DESIGN_EVENTS,
    Message,
    design_workload,
    events_per_execution,
)
from tests.inputs.workloads import load_catalogue
from tests.oracle import folds
from topics.reading.progress import Published
from topics.records.adoptions import KnownRulesets
from topics.records.erasure_authority import EveryErasure
from topics.records.record import Record

BATCH = 4_000
PIECE_EVENTS = 200_000
LOOKUPS = 1_000
ANSWERS = 200
NOW_MS = folds.RECORDED_MS
_VERSIONS = ("consolidator", "Python", "Kafka", "confluent-kafka", "msgspec")
TABLES = (CURRENT.lifecycle_events, CURRENT.factor_changes, CURRENT.consolidations, CURRENT.factors)

Raw = tuple[str, int, int, int, bytes, bytes, tuple[()]]
"""What a record is made of, in the order of its fields."""

_OFFSET = re.compile(rb'"offset":(\d+)')


class Topics:
    """What a worker makes of one partition: of one piece of the workload, and of as many copies of it as are wanted.

    A copy has applications of its own, which come between those of the other pieces by name: folding millions of events
    anew would take longer than anything that is measured.

    Args:
        partition: which one.
        partitions: how many there are.

    Attributes:
        events: records of ``executions`` that were not read yet.
        changes: likewise, of ``factor-changes``.
        consolidated: the worker's offset.
        published: how many changes there were.
    """

    def __init__(self, partition: int, partitions: int) -> None:
        self.partition = partition
        self._partitions = partitions
        self.declared = folds.topics_of(partitions)
        self._messages: list[folds.Record] = []
        self._piece: tuple[list[Raw], list[Raw]] = ([], [])
        self.events: deque[Raw] = deque()
        self.changes: deque[Raw] = deque()
        self.consolidated = 0
        self.published = 0

    def publish(self, message: Message) -> None:
        """A producer's event, of the piece."""
        self._messages.append(folds.Record(len(self._messages), message.key, message.value))

    def consolidate(self) -> None:
        """The worker takes in what was published."""
        worker = folds.Partition(load_catalogue(), partition=self.partition, partitions=self._partitions)
        events, changes = self._piece
        for begin in range(0, len(self._messages), BATCH):
            batch = self._messages[begin : begin + BATCH]
            for one in batch:
                assert one.key
                assert one.value
                events.append(("executions", self.partition, one.offset, one.timestamp, one.key, one.value, ()))
            for sent in worker.take(*batch).outgoing:
                if sent.topic == self.declared.factor_changes.name and sent.value:
                    changes.append((sent.topic, self.partition, len(changes), NOW_MS, sent.key, sent.value, ()))
            worker.sent.clear()
        self._messages.clear()

    def offer(self, number: int) -> None:
        """Have the piece, or a copy of it, read next; everything before was read.

        Args:
            number: 0: the piece itself.
        """
        names: dict[bytes, bytes] = {}
        for kind, (waiting, before) in enumerate(((self.events, self.consolidated), (self.changes, self.published))):
            for topic, partition, offset, timestamp, key, value, headers in self._piece[kind]:
                record = key, value
                if number:
                    application = key.partition(b"/")[0]
                    name = names.get(application) or names.setdefault(application, self._copied(application, number))
                    record = self._renamed(key, value, application, name)
                waiting.append((topic, partition, offset + before, timestamp, *record, headers))
        self.consolidated += len(self._piece[0])
        self.published += len(self._piece[1])

    def _renamed(self, key: bytes, value: bytes, application: bytes, name: bytes) -> tuple[bytes, bytes]:
        """A copy's record; a change has offsets of events in it."""
        moved = value.replace(b'"%b"' % application, b'"%b"' % name, 1)
        before = self.consolidated
        if before and b'"version":{' in moved:
            moved = _OFFSET.sub(lambda found: b'"offset":%d' % (int(found[1]) + before), moved)
        return name + key[len(application) :], moved

    def _copied(self, application: bytes, number: int) -> bytes:
        """A name next to an application's, in the same partition."""
        names = (f"{application.decode()}-{number:03d}-{one}" for one in count())
        return next(name for name in names if partition_of(name, self._partitions) == self.partition).encode()


class Sink:
    """A sink's pipeline over all partitions.

    Args:
        engine: the database, at this version's schema.
        topics: what is read, by partition.
    """

    def __init__(self, engine: Engine, topics: list[Topics]) -> None:
        self._writer = CutWriter(
            engine,
            topics[0].declared,
            max_event_bytes=folds.MAX_EVENT_BYTES,
            authority=EveryErasure(),
            keeping=lambda _: [],
            rulesets=KnownRulesets,
        )
        beginning = Cursor(0, 0, 0)
        self._served = [
            (
                one,
                Lane(one.partition, beginning),
                claim(engine, one.partition, owner="b", beginning=beginning, now_ms=NOW_MS, absence_ms=1),
            )
            for one in topics
        ]
        self.pipeline = Pipeline(
            lambda planned: self._writer.write(planned, NOW_MS), 1 if engine.dialect.name == "sqlite" else CONNECTIONS
        )

    def write(self) -> None:
        """Write everything that the topics have."""
        while True:
            progressed = False
            for topics, lane, owned in self._served:
                if lane.at.next == topics.consolidated or not self.pipeline.has_room(topics.partition):
                    continue
                self._read(topics, lane)
                cut = lane.next_cut(CUT_RECORDS)
                assert cut is not None, "there is more, and no cut is possible"
                self.pipeline.put(self._writer.plan(cut, owned))
                lane.moved(cut)
                progressed = True
            for outcome in self.pipeline.take_finished():
                if isinstance(outcome.result, Exception):
                    raise outcome.result
                assert outcome.result.refused == 0
            if not progressed:
                if self.pipeline.is_idle:
                    return
                self.pipeline.wait(1.0)

    def _read(self, topics: Topics, lane: Lane) -> None:
        lane.bound = Published(topics.consolidated, topics.published, 0)
        most = most_waiting(len(self._served))
        while topics.events and len(lane.events) < most:
            lane.events.append(Record(*topics.events.popleft()))
            lane.events_end += 1
        while topics.changes and len(lane.changes) < most:
            lane.take_change(Record(*topics.changes.popleft()))
            lane.changes_end += 1


def looked_up_ms(engine: Engine, pairs: list[tuple[str, str]]) -> dict[str, float]:
    """Median and 99th percentile of the strategy's query for random pairs."""
    repository = SqlExecutionRepository(engine)
    times = []
    for application, processor in pairs:
        began = time.perf_counter()
        repository.get_active_executions(application, processor)
        times.append(1_000 * (time.perf_counter() - began))
    return {"median": round(statistics.median(times), 3), "p99": round(statistics.quantiles(times, n=100)[98], 3)}


def random_pairs(engine: Engine, seed: int = 1) -> list[tuple[str, str]]:
    """Some of those that there are."""
    table = CURRENT.consolidations
    with engine.connect() as connection:
        pairs = [tuple(row) for row in connection.execute(select(table.c.application_id, table.c.processor))]
    return random.Random(seed).choices(pairs, k=LOOKUPS)


def resident_mib() -> int:
    """This process's memory now."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) // 1024


def measure(name: str, url: str, load: argparse.Namespace) -> dict[str, Any]:
    """One database: what is found after each piece, and at the end."""
    writing, reading = open_for_writing(url_of(url)), open_for_reading(url_of(url))
    migrate(writing)
    database_id(writing, Installed(GROUP, "executions", "", load.partitions), "benchmark")
    topics = [Topics(one, load.partitions) for one in range(load.partitions)]
    sink = Sink(writing, topics)
    pieces = max(1, round(load.events / PIECE_EVENTS))
    for message in design_workload(load.events // pieces, load.applications // pieces):
        topics[partition_of(message.application_id, load.partitions)].publish(message)
    for one in topics:
        one.consolidate()
    found = []
    for number in range(pieces):
        for one in topics:
            one.offer(number)
        found.append(_piece(sink, topics, sum(each["changes"] for each in found)))
        say(json.dumps({"database": name, **found[-1]}))
    sink.pipeline.close(1.0)
    with transaction(writing) as connection:
        if name == "postgresql":
            connection.exec_driver_sql("ANALYZE")
        rows = {table.name: connection.execute(select(func.count()).select_from(table)).scalar() for table in TABLES}
        table = CURRENT.lifecycle_events
        different = select(table.c.application_id, table.c.processor, table.c.execution_id).distinct().subquery()
        executions = connection.execute(select(func.count()).select_from(different)).scalar()
    seconds, pairs = sum(one["seconds"] for one in found), random_pairs(reading)
    summary = {
        "database": name,
        "executions": executions,
        "rows": rows,
        "seconds": round(seconds, 2),
        "changes_a_second": round(rows[CURRENT.factor_changes.name] / seconds),
        "get_active_executions_ms": looked_up_ms(reading, pairs),
        **answered_ms(url, [application for application, _ in pairs[:ANSWERS]], load.partitions),
    }
    say(json.dumps(summary))
    writing.dispose()
    reading.dispose()
    return {**summary, "pieces": found}


def _piece(sink: Sink, topics: list[Topics], before: int) -> dict[str, Any]:
    """Write what is offered. Memory: what the sink added to that of the topics, which stand for Kafka."""
    gc.collect()
    gc.freeze()
    offered_mib = resident_mib()
    began, used = time.perf_counter(), time.process_time()
    sink.write()
    seconds, cpu_s = time.perf_counter() - began, time.process_time() - used
    changes = sum(one.published for one in topics) - before
    return {
        "changes": changes,
        "seconds": round(seconds, 2),
        "cpu_seconds": round(cpu_s, 2),
        "changes_a_second": round(changes / seconds),
        "resident_mib": resident_mib(),
        "offered_mib": offered_mib,
    }


@contextmanager
def databases(names: list[str]) -> Iterator[dict[str, str]]:
    """URLs of empty databases, on disk."""
    with ExitStack() as stack:
        found = {}
        if "sqlite" in names:
            directory = stack.enter_context(tempfile.TemporaryDirectory())
            found["sqlite"] = f"sqlite:///{Path(directory) / 'model.db'}"
        if "postgresql" in names:
            server = PostgresServer(is_lasting=True)
            stack.callback(server.close)
            server.start()
            found["postgresql"] = server.new_database()
        yield found


def arguments() -> argparse.Namespace:
    """What is asked for: as many events as were given, or as so many executions have."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=DESIGN_EVENTS)
    parser.add_argument("--executions", type=int, help="instead of --events")
    parser.add_argument("--applications", type=int, help="as many as the design has for so many events, by default")
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--databases", default="sqlite,postgresql")
    parser.add_argument("--json", type=Path, help="write the report for the page there")
    found = parser.parse_args()
    found.load = os.getloadavg()[0]
    if found.executions is not None:
        found.events = round(found.executions * events_per_execution())
    if found.applications is None:
        found.applications = max(1_000, round(found.events * DESIGN_APPLICATIONS / DESIGN_EVENTS))
    return found


def report(kind: str, load: argparse.Namespace, found: list[dict[str, Any]]) -> dict[str, Any]:
    """What the page is made of."""
    names = {"SQLite": sqlite3.sqlite_version, **{name: version(name) for name in ("sqlalchemy", "psycopg")}}
    return {
        "kind": kind,
        "machine": machine(),
        "versions": {name: text for name, text in versions().items() if name in _VERSIONS} | names,
        "settings": {"events": load.events, "load": load.load},
        "databases": found,
    }


def main() -> None:
    """Measure what was asked for; a JSON object a line as it comes."""
    load = arguments()
    found = []
    with databases(load.databases.split(",")) as urls, set_for_cuts():
        for name, url in urls.items():
            found.append(measure(name, url, load))
    if load.json is not None:
        load.json.write_text(json.dumps(report("sink", load, found), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
