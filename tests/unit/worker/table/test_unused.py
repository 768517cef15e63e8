"""Databases that nobody uses any more go, and no other one does."""

import asyncio
import fcntl
import os

import pytest

from streams.worker.table.unused import UnusedDatabases
from tests.simulation.idle_app import idle_app
from topics.contract.declared import TABLE_NAME

NOW_S = 1_900_000_000.0
DAY_S = 86_400.0
MAX_AGE_S = 15 * DAY_S


def database(worker, partition, age_s):
    """A database whose files were last written so long ago."""
    path = worker / "v1" / "tables" / f"{TABLE_NAME}-{partition}.db"
    path.mkdir(parents=True)
    for name in ("CURRENT", "000004.log"):
        (path / name).write_bytes(b"x")
        os.utime(path / name, (NOW_S - age_s - 5, NOW_S - age_s - 5))
    os.utime(path / "CURRENT", (NOW_S - age_s, NOW_S - age_s))
    (worker / "lock").touch()
    return path


def look(worker, *open_ones, max_age_s=MAX_AGE_S):
    unused = UnusedDatabases(worker, set(open_ones).__contains__, lambda: max_age_s, now_s=lambda: NOW_S)
    asyncio.run(unused.look())


def left(directory):
    return {path for path in directory.rglob("*") if path.is_dir() and ".db" in path.name}


def test_databases_of_partitions_that_went_away_are_removed(tmp_path):
    """After the age at which they would be wiped if they came back; what is open stays, however quiet it is."""
    mine = tmp_path / "worker-0"
    old, fresh, mine_and_old = (database(mine, number, age) for number, age in enumerate((16e6, 14 * DAY_S, 16e6)))
    look(mine, mine_and_old)
    assert left(tmp_path) == {fresh, mine_and_old}
    assert not old.exists()


def test_databases_of_workers_that_are_gone_are_removed(tmp_path):
    """Where fewer processes are started than before, or none of that number ever again."""
    mine, gone = tmp_path / "worker-0", tmp_path / "worker-7"
    mine.mkdir()
    old, fresh = database(gone, 0, 16 * DAY_S), database(gone, 1, DAY_S)
    look(mine)
    assert left(tmp_path) == {fresh}
    assert not old.exists()


def test_databases_of_a_running_worker_are_left_alone(tmp_path):
    """Its lock tells: nothing below its directory is touched, whatever its files' times say."""
    mine, running = tmp_path / "worker-0", tmp_path / "worker-1"
    mine.mkdir()
    theirs = database(running, 0, 400 * DAY_S)
    with (running / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        look(mine)
        assert left(tmp_path) == {theirs}
    look(mine)
    assert left(tmp_path) == set()


def test_its_lock_is_free_again_afterwards(tmp_path):
    """A worker that starts later finds its directory free."""
    mine, gone = tmp_path / "worker-0", tmp_path / "worker-7"
    mine.mkdir()
    database(gone, 0, 16 * DAY_S)
    look(mine)
    with (gone / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_removal_that_was_interrupted_is_finished(tmp_path):
    """What was put aside by a worker that died is deleted by the next look."""
    mine = tmp_path / "worker-0"
    path = database(mine, 0, DAY_S)
    path.rename(path.with_name(path.name + ".removed"))
    look(mine)
    assert left(tmp_path) == set()


@pytest.mark.parametrize("max_age_s", [0.0, 60.0])
def test_a_day_is_the_least(tmp_path, max_age_s):
    """However short the retention of tombstones is: a restarted worker finds what can still be used."""
    mine = tmp_path / "worker-0"
    fresh, old = database(mine, 0, DAY_S - 60), database(mine, 1, DAY_S + 60)
    look(mine, max_age_s=max_age_s)
    assert left(tmp_path) == {fresh}
    assert not old.exists()


def test_what_the_worker_itself_has_open_is_known(tmp_path):
    """The application asks its own store, whose databases lie where the look finds them."""

    async def scenario():
        async with idle_app(tmp_path / "worker-0") as app:
            store = app.tables[TABLE_NAME].data
            store.rows(3)
            path = store.partition_path(3)
            assert path.match(f"worker-0/v*/tables/{TABLE_NAME}-3.db")
            unused = app.unused_databases
            unused._now_s = lambda: NOW_S + 10_000 * DAY_S
            await unused.look()
            assert path.exists()
            await store.stop()
            await unused.look()
            assert not path.exists()

    asyncio.run(scenario())
