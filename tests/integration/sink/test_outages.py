"""A database that is lost, locked, full or restarted stops the sink and nothing else, and it goes on by itself."""

import os
import sqlite3

import pytest

from tests.databases.model import Model, sqlite_url
from tests.databases.postgresql import PostgresServer
from tests.inputs.workloads import believable
from tests.real_kafka.small_disk import mounted_disk
from tests.real_kafka.worker_process import wait_until

pytestmark = pytest.mark.kafka

RESTARTS = int(os.environ.get("CONSOLIDATOR_SINK_RESTARTS", "3"))
"""Ten in the long form."""

DISK_MIB = 32
FREE_BYTES = 1_145_728
"""What the ballast leaves of it: room for the tables, and not for the rows."""


@pytest.fixture
def own_server(request):
    """A PostgreSQL server that a test may kill."""
    request.getfixturevalue("postgres")
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.mark.postgres
def test_postgresql_is_killed_and_restarted(installation, own_server):
    """As often as it is: nothing is lost, nothing doubled, and the same process goes on."""
    model = Model(installation, own_server.new_database())
    worker, sink = installation.start(), model.start()
    for number in range(RESTARTS):
        before = sum(model.positions().values())
        installation.publish(believable(940 + number, 80))
        wait_until(
            lambda before=before: sum(model.positions().values()) > before, "rows", limit_s=60, details=sink.tail
        )
        own_server.kill()
        installation.publish(believable(960 + number, 20))
        wait_until(
            lambda number=number: (
                len(sink.entries("database is away: waiting for it")) > number or sink.entries("database is back")
            ),
            "the loss to be noticed",
            limit_s=60,
            details=sink.tail,
        )
        own_server.start()
    installation.wait_consumed(worker)
    model.wait_through(sink)
    model.check()
    assert sink.entries("database is back")
    sink.stop()
    model.close()


def test_a_locked_file_is_waited_for(installation, tmp_path):
    """Somebody else's transaction, longer than SQLite waits."""
    model = Model(installation, sqlite_url(tmp_path))
    worker, sink = installation.start(), model.start()
    installation.publish(believable(971, 20))
    installation.wait_consumed(worker)
    model.wait_through(sink)
    other = sqlite3.connect(tmp_path / "model.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    installation.publish(believable(972, 20))
    sink.wait(lambda: sink.entries("database is away: waiting for it"), "the lock to be noticed", limit_s=60)
    other.execute("ROLLBACK")
    other.close()
    installation.wait_consumed(worker)
    model.wait_through(sink)
    model.check()
    model.close()


def test_a_full_disk_is_waited_for(installation, tmp_path):
    """Nothing half-written: with room it goes on where it was."""
    # Without the ballast everything fits: a disk that is full again may keep the sink from coming back.
    with mounted_disk(tmp_path / "small", f"{DISK_MIB}m") as disk:
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(DISK_MIB * 1024 * 1024 - FREE_BYTES))
        model = Model(installation, sqlite_url(disk))
        worker, sink = installation.start(), model.start()
        installation.publish(believable(981, 150))
        installation.wait_consumed(worker)
        sink.wait(lambda: sink.entries("database is away: waiting for it"), "the disk to be full", limit_s=60)
        ballast.unlink()
        sink.wait(lambda: sink.entries("database is back"), "room", limit_s=60)
        sink.stop()
        model.close()
        roomy = Model(installation, sqlite_url(tmp_path))
        with sqlite3.connect(disk / "model.db") as source, sqlite3.connect(tmp_path / "model.db") as copy:
            source.backup(copy)
        source.close()
        copy.close()
    sink = roomy.start()
    roomy.wait_through(sink)
    roomy.check()
    roomy.close()
