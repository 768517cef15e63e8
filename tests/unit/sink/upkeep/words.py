"""Words for the tests of rebuilding and verifying: a running sink, a rebuild, a verification."""

import random
from collections.abc import Callable
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import Engine, Table, select

from streams.sink.database import open_for_snapshots, transaction
from streams.sink.lane import Cursor
from streams.sink.ownership import database_id
from streams.sink.upkeep.comparison import Difference
from streams.sink.upkeep.rebuild import Rebuild
from streams.sink.upkeep.report import Report
from streams.sink.upkeep.verify import Verification
from tests.inputs.cases import failed, ok, one_factor
from tests.oracle.expected import Tombstone
from tests.oracle.folds import Record, record_of
from tests.simulation.sink import START, SimulatedTopics
from tests.simulation.upkeep import log_of
from topics.records.erasures import erasure_of

CATALOGUE = one_factor("sum", policy="keep_previous")
GONE = erasure_of("gone", bytes(16), lifted=False)
LOG = [
    ok("a", 1, {"x": 1}),
    failed("b", 2),
    ok("c", 3, {"x": 2}),
    Record(0, b"k", b"no JSON"),
    ok("d", 4, {"x": 5}),
    Tombstone("app", "d-completed-4-None-None"),
    ok("z", 5, {"x": 1}, application_id="gone"),
    Record(0, GONE.key, GONE.value),
    ok("c", 3, {"x": 2}),
]


def taken(*items, catalogue=CATALOGUE) -> SimulatedTopics:
    """Topics as they are when a worker has consolidated these, one by one."""
    topics = SimulatedTopics(catalogue)
    for offset, item in enumerate(items):
        record = item if isinstance(item, Record) else record_of(offset, item)
        topics.take([Record(offset, record.key, record.value, record.timestamp, record.headers)])
    return topics


def quiet(_name: str, _total: int | None) -> Callable[[int], None]:
    """Nobody looks at the progress."""
    return lambda _: None


def belongs(engine: Engine, topics: SimulatedTopics) -> None:
    """Say in the database whose it is, as the first sink does."""
    database_id(engine, log_of(topics, random.Random(1)).installed, "db")


def rows(engine: Engine, table: Table) -> list:
    """All rows of a table, in the order of its key."""
    with transaction(engine) as connection:
        return [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key.columns))]


@contextmanager
def rebuilding(engine: Engine, topics: SimulatedTopics, rng: random.Random, *, breaks_after=None, first=START):
    """A rebuild of a database."""
    snapshots = open_for_snapshots(engine.url)
    try:
        with closing(Rebuild(engine, snapshots, log_of(topics, rng, first=first, breaks_after=breaks_after))) as one:
            yield one
    finally:
        snapshots.dispose()


def rebuild(
    engine: Engine, topics: SimulatedTopics, *, switched: bool = False, restart: bool = False, first: Cursor = START
) -> tuple[list[Difference], Report]:
    """Rebuild a database, and switch."""
    with rebuilding(engine, topics, random.Random(7), first=first) as one:
        one.begin(restart=restart)
        found = [*one.run(quiet)]
        if switched:
            one.switch(quiet)
        return found, one.report()


@contextmanager
def verifying(engine: Engine, topics: SimulatedTopics, directory: Path, *, first: Cursor = START):
    """A verification of a database."""
    directory.mkdir(exist_ok=True)
    for left in directory.iterdir():
        left.unlink()
    snapshots = open_for_snapshots(engine.url)
    try:
        yield Verification(snapshots, log_of(topics, random.Random(9), first=first), directory)
    finally:
        snapshots.dispose()


def verify(
    engine: Engine, topics: SimulatedTopics, directory: Path, *, first: Cursor = START
) -> tuple[list[Difference], Report]:
    """Verify a database."""
    with verifying(engine, topics, directory, first=first) as verification:
        return [*verification.run(quiet)], verification.report()
