"""How a database stands: what it says by itself, what Kafka adds, and what is wrong."""

import random

from streams.sink.database import open_for_snapshots, transaction
from streams.sink.schema import CURRENT
from streams.sink.upkeep.status import NOBODY_S, Pending, Status, with_log, written
from tests.simulation.sink import NOW_MS, SimulatedSink
from tests.unit.sink.upkeep.words import LOG, belongs, rebuild, taken


def kept(database) -> None:
    """Rows of one partition, at the log's end."""
    topics = taken(*LOG)
    belongs(database, topics)
    SimulatedSink(database, topics).run(random.Random(1))
    rebuild(database, topics)


def status_of(database, *, partitions=1, later_s=0.0) -> Status:
    """What the database says, so many seconds later."""
    snapshots = open_for_snapshots(database.url)
    with transaction(snapshots) as connection:
        found = written(connection, partitions, NOW_MS + int(later_s * 1_000))
    snapshots.dispose()
    return found


def test_a_database_that_is_well(database):
    """Its cut and its owner; of what Kafka has nothing is known yet; and how far a rebuild is."""
    kept(database)
    status = status_of(database)
    [one] = status.partitions
    assert (one.next_offset, one.owner, one.epoch, one.quarantined) == (len(LOG), "sink", 1, 0)
    assert one.members()["lag_seconds"] is None
    assert status.problems() == []
    assert status.beside == {"next_": {0: len(LOG)}}


def test_a_partition_that_nobody_is_at_is_a_problem(database):
    """For three minutes nobody has been at it, or nobody ever was."""
    kept(database)
    assert status_of(database, later_s=NOBODY_S).problems() == []
    [problem] = status_of(database, later_s=NOBODY_S + 1).problems()
    assert "no sink was at it for 181 s" in problem
    assert status_of(database, partitions=2).problems() == ["partition 1: no sink was ever at it"]


def test_rows_in_quarantine_are_a_problem(database):
    """Counted by partition; a row of no known record, too."""
    kept(database)
    with transaction(database) as connection:
        for place in [("executions", 0, 1, "factors", "x"), ("executions", -1, -1, "lifecycle_events", "x")]:
            connection.execute(CURRENT.sink_quarantine.insert().values(place))
    status = status_of(database)
    assert status.partitions[0].quarantined == 1
    assert status.problems() == [
        "partition 0: 1 rows in sink_quarantine",
        "1 rows in sink_quarantine of no known record",
    ]


def test_lag_is_counted_in_offsets_and_seconds(database):
    """Of the oldest record that is not in the rows; behind the workers only where that record is."""
    kept(database)

    def lag(*pending: int | None) -> tuple[int | None, int | None, float | None]:
        [one] = with_log(status_of(database), lambda _, __: Pending(*pending), NOW_MS).partitions
        return one.lag_workers, one.lag_log, one.lag_s

    cut = len(LOG)
    assert lag(cut + 7, cut + 7, cut + 2, NOW_MS - 1_500) == (7, 7, 1.5)
    assert lag(cut + 7, cut + 1, cut + 2, NOW_MS - 1_500) == (0, 7, 1.5)
    # Markers only, and a broker's clock that is ahead.
    assert lag(cut + 2, cut + 2, None, None) == (0, 0, 0.0)
    assert lag(cut + 1, cut, cut, NOW_MS + 5_000) == (0, 1, 0.0)
