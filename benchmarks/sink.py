"""How fast cuts become rows, and how fast the strategy's query is answered: ``python -m benchmarks.sink``.

The worker's fold makes the topics of one partition, in memory, from the design's workload; what is measured is the sink
from a record of Kafka to a committed row, without fetching. All rows are written that come of the events.
"""

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, func, select

from streams.sink.database import migrate, open_for_reading, open_for_writing, transaction, url_of
from streams.sink.lane import MOST_WAITING
from streams.sink.repository import SqlExecutionRepository
from streams.sink.schema import CURRENT
from streams.sink.service import CUT_RECORDS
from tests.databases.postgresql import PostgresServer
from tests.inputs.design_workload import design_workload
from tests.inputs.workloads import load_catalogue
from tests.oracle import folds
from tests.simulation.sink import SimulatedSink, SimulatedTopics

BATCH = 4_000
LOOKUPS = 300
TABLES = (CURRENT.lifecycle_events, CURRENT.factor_changes, CURRENT.consolidations, CURRENT.factors)


def topics_of(events: int, applications: int) -> SimulatedTopics:
    """What a worker makes of the design's workload, in one partition."""
    topics = SimulatedTopics(load_catalogue())
    batch: list[folds.Record] = []
    for offset, message in enumerate(design_workload(events, applications)):
        batch.append(folds.Record(offset, message.key, message.value))
        if len(batch) == BATCH:
            topics.take(batch)
            batch = []
    if batch:
        topics.take(batch)
    return topics


def written_s(engine: Engine, topics: SimulatedTopics) -> tuple[float, float]:
    """Seconds from the first record to the last row: by the clock, and of this process's CPU time."""
    sink = SimulatedSink(engine, topics)
    lane = sink.lane
    lane.bound = topics.bound
    began, used = time.perf_counter(), time.process_time()
    while lane.at.next < topics.consolidated:
        events = topics.source[lane.events_end : lane.events_end + MOST_WAITING - len(lane.events)]
        lane.events.extend(events)
        lane.events_end += len(events)
        for record in topics.changes[lane.changes_end :][: MOST_WAITING - len(lane.changes)]:
            lane.take_change(record)
            lane.changes_end += 1
        lane.letters_end = len(topics.letters)
        sink.write(CUT_RECORDS)
    return time.perf_counter() - began, time.process_time() - used


def looked_up_ms(engine: Engine, seed: int = 1) -> float:
    """The median of the strategy's query for random pairs."""
    repository = SqlExecutionRepository(engine)
    with engine.connect() as connection:
        table = CURRENT.consolidations
        pairs = connection.execute(select(table.c.application_id, table.c.processor)).all()
    rng = random.Random(seed)
    times = []
    for application, processor in rng.choices(pairs, k=LOOKUPS):
        began = time.perf_counter()
        repository.get_active_executions(application, processor)
        times.append(time.perf_counter() - began)
    return 1_000 * statistics.median(times)


def measure(name: str, url: str, topics: SimulatedTopics) -> dict[str, Any]:
    """One database."""
    writing, reading = open_for_writing(url_of(url)), open_for_reading(url_of(url))
    migrate(writing)
    seconds, cpu_s = written_s(writing, topics)
    with transaction(writing) as connection:
        if name == "postgresql":
            connection.exec_driver_sql("ANALYZE")
        rows = {table.name: connection.execute(select(func.count()).select_from(table)).scalar() for table in TABLES}
    found = {
        "database": name,
        "events": len(topics.source),
        "changes": len(topics.changes),
        "seconds": round(seconds, 2),
        "cpu_seconds": round(cpu_s, 2),
        "changes_a_second": round(len(topics.changes) / seconds),
        "rows": rows,
        "get_active_executions_ms": round(looked_up_ms(reading), 3),
    }
    writing.dispose()
    reading.dispose()
    return found


@contextmanager
def databases(names: list[str]) -> Iterator[dict[str, str]]:
    """URLs of empty databases."""
    with ExitStack() as stack:
        found = {}
        if "sqlite" in names:
            directory = stack.enter_context(tempfile.TemporaryDirectory())
            found["sqlite"] = f"sqlite:///{Path(directory) / 'model.db'}"
        if "postgresql" in names:
            server = PostgresServer()
            stack.callback(server.close)
            server.start()
            found["postgresql"] = server.new_database()
        yield found


def main() -> None:
    """Measure what was asked for; one JSON object a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--applications", type=int, default=20_000)
    parser.add_argument("--databases", default="sqlite,postgresql")
    arguments = parser.parse_args()
    topics = topics_of(arguments.events, arguments.applications)
    with databases(arguments.databases.split(",")) as urls:
        for name, url in urls.items():
            print(json.dumps(measure(name, url, topics)), flush=True)


if __name__ == "__main__":
    main()
