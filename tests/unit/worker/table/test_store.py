"""The store's databases: each knows up to when it is complete."""

import asyncio
import time
from contextlib import suppress

import pytest
import rocksdict
from faust.types import TP

from streams.worker.table.store import BatchStore
from tests.real_kafka.worker_process import wait_until
from tests.simulation.idle_app import idle_app
from topics.contract.declared import TABLE_NAME

PARTITION = 1
KEY, ROW = b"app/p", b"row"
LIMIT_S = 20.0


def on_a_store(tmp_path, *steps):
    """Run each step on a store of its own, one after the other, on the same disk."""

    async def scenario(step):
        async with idle_app(tmp_path) as app:
            return step(app.tables[TABLE_NAME].data)

    return [asyncio.run(scenario(step)) for step in steps]


def write(offset, **when):
    return lambda store: store.write_rows(PARTITION, [(KEY, ROW)], offset, **when)


def as_of(store):
    return store.as_of_ms(PARTITION)


def test_an_empty_database_is_complete_from_now_on(tmp_path):
    """What is not in the changelog any more when its reading begins cannot be missing in what is read of it."""
    before_ms = time.time_ns() // 1_000_000
    old_record_ms = before_ms - 86_400_000
    _, found_ms = on_a_store(tmp_path, write(7, as_of_ms=old_record_ms), as_of)
    assert before_ms <= found_ms <= time.time_ns() // 1_000_000


def test_a_database_is_complete_up_to_its_last_record(tmp_path):
    """Read or committed; a record that is older than what was known takes nothing back."""
    _, first_ms = on_a_store(tmp_path, write(7), as_of)
    _, same_ms, _, later_ms = on_a_store(
        tmp_path, write(8, as_of_ms=first_ms - 1), as_of, write(9, as_of_ms=first_ms + 5_000), as_of
    )
    assert (same_ms, later_ms) == (first_ms, first_ms + 5_000)


def test_a_position_without_a_time_stays_without_one(tmp_path):
    """What an earlier version wrote is not known to be complete, whatever is written on top of it."""

    def forget(store):
        store._db_for_partition(PARTITION)
        batch = rocksdict.WriteBatch(raw_mode=True)
        batch.delete(BatchStore.as_of_key)
        store._db_for_partition(PARTITION).write_batch(batch)

    _, _, without, _, still, _, rebuilt_ms = on_a_store(
        tmp_path,
        write(7),
        forget,
        as_of,
        write(8),
        as_of,
        lambda store: store.discard(PARTITION, "a test"),
        as_of,
    )
    assert (without, still) == (None, None)
    assert rebuilt_ms is not None


def test_a_time_that_is_none_counts_as_none(tmp_path):
    """As a later version may write it in another form: one rebuild, and no crash."""
    _, _, found = on_a_store(
        tmp_path,
        write(7),
        lambda store: store._db_for_partition(PARTITION).put(BatchStore.as_of_key, b"2:5e12"),
        as_of,
    )
    assert found is None


def test_a_position_of_a_later_version_costs_a_rebuild(tmp_path):
    """What cannot be read is no number to go on from, and no reason to end: the changelog has everything."""
    tp = TP("changelog", PARTITION)
    _, _, position, row = on_a_store(
        tmp_path,
        write(7),
        lambda store: store._db_for_partition(PARTITION).put(BatchStore.offset_key, b"2:7"),
        lambda store: store.persisted_offset(tp),
        lambda store: store.rows(PARTITION).get(KEY),
    )
    assert (position, row) == (None, None)


ERASED = [b"app-to-be-forgotten", b"value-to-be-forgotten"]


def files_with(directory, text):
    found = []
    for file in directory.rglob("*"):
        # RocksDB removes files in the background.
        with suppress(FileNotFoundError):
            if file.is_file() and text in file.read_bytes():
                found.append(file.name)
    return sorted(found)


def wait_gone(directory):
    wait_until(lambda: not any(files_with(directory, text) for text in ERASED), "all of it to be gone", limit_s=LIMIT_S)


@pytest.mark.parametrize("is_young", [False, True], ids=["in files", "in memory"])
@pytest.mark.parametrize("neighbours", [b"", b"a", b"z", b"az"], ids=["alone", "last", "first", "between"])
def test_nothing_of_an_erased_application_is_left_on_the_disk(tmp_path, neighbours, is_young):
    """Neither in the tables nor in RocksDB's log of writes, nor in its list of files with their first and last keys."""
    name, secret = ERASED
    before = []

    def erase(store):
        for number in range(20):
            others = [(b"%c-%d/%d" % (one, number, n), b"other" * 50) for one in neighbours for n in range(50)]
            rows = [(name + b"/p%d" % number, secret), *others]
            store.write_rows(PARTITION, rows, number)
            if not is_young:
                # Each in a file of its own, so that the application's keys are the borders of many.
                store._db_for_partition(PARTITION)._db.flush()
        before.extend(files_with(tmp_path, name))
        store.write_rows(PARTITION, [(name + b"/p%d" % number, None) for number in range(20)], 20)
        store.compact(PARTITION)
        wait_gone(tmp_path)
        # The other rows, the position and the time are there, and it goes on being written.
        store.write_rows(PARTITION, [(KEY, ROW)], 21)
        return {key for key, _ in store.rows(PARTITION).scan(b"")}

    def again(store):
        assert store.persisted_offset(TP("changelog", PARTITION)) == 21
        assert store.as_of_ms(PARTITION) is not None
        return {key for key, _ in store.rows(PARTITION).scan(b"")}

    first, second = on_a_store(tmp_path, erase, again)
    assert first == second
    assert len([key for key in first if b"/" in key]) == 1 + 20 * 50 * len(neighbours)
    wait_gone(tmp_path)
    # Between others it is packed with them.
    assert before or neighbours, "the search finds what is there"


def test_an_empty_database_can_be_compacted(tmp_path):
    """An erasure may come first of all."""
    on_a_store(tmp_path, lambda store: store.compact(PARTITION))
