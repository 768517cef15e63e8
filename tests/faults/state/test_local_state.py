"""The disk fails a worker: damaged files, a state that is not its changelog's, no room left.

The changelog has everything, so a damaged database costs a rebuild: no crash loop, and no event.
"""

import random
import subprocess
import time
from pathlib import Path

import pytest
import rocksdict

from streams.worker.table.store import BatchStore
from tests.inputs.design_workload import design_workload
from tests.inputs.workloads import believable
from tests.real_kafka.installed import installed
from tests.real_kafka.small_disk import mounted_disk

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

EXIT_INFRASTRUCTURE = 3
WIPED = "local state wiped, it is rebuilt from the changelog"
SMALL_BATCHES = {"CONSOLIDATOR_BATCH_EVENTS": "250"}

DISK_MIB = 5
LARGER_DISK_MIB = 256


def settle(installation, events):
    installation.publish(events)
    worker = installation.start().wait_ready(installation.partitions)
    installation.wait_consumed(worker)
    worker.stop()


def databases(installation) -> list[Path]:
    """The directory of each partition's database, by partition."""
    found = sorted(installation.state_dir.rglob("*.db"))
    assert len(found) == installation.partitions
    return found


def overwrite(path: Path, start: float, end: float) -> None:
    """Put noise into a file, between two shares of its length."""
    content = bytearray(path.read_bytes())
    span = slice(int(len(content) * start), int(len(content) * end))
    content[span] = random.Random(6).randbytes(len(content[span]))
    path.write_bytes(content)


def tables(database: Path) -> list[Path]:
    found = sorted(database.glob("*.sst"))
    assert found, f"{database} has no table file"
    return found


def move_stored_offset(database: Path, offset: int) -> None:
    """Say in the database that it contains the changelog up to this offset."""
    opened = rocksdict.Rdict(str(database), options=rocksdict.Options(raw_mode=True))
    opened.put(BatchStore.offset_key, str(offset).encode())
    opened.close()


def test_damaged_databases_are_wiped_and_rebuilt(installation, conclude):
    """With a damaged CURRENT, MANIFEST or table, or a state ahead of its changelog, the worker rebuilds and goes on.

    Each partition has a damage of its own.
    """
    events = believable(81, 60)
    settle(installation, events[: len(events) // 2])
    current, manifest, table, ahead = databases(installation)
    overwrite(current / "CURRENT", 0, 1)
    for file in manifest.glob("MANIFEST-*"):
        overwrite(file, 0, 1)
    for file in tables(table):
        overwrite(file, 0.9, 1)
    changelog_end = installation.ends(installation.topics.changelog.name)[3]
    move_stored_offset(ahead, changelog_end)
    installation.publish(events[len(events) // 2 :])
    worker = installation.start().wait_ready(installation.partitions)
    recovered_s = time.monotonic() - worker.started_at
    wiped = {entry["database"]: entry for entry in worker.entries(WIPED)}
    assert set(wiped) == {str(database) for database in (current, manifest, table, ahead)}
    assert {entry["level"] for entry in wiped.values()} == {"warning"}
    assert "Corruption" in wiped[str(table)]["reason"]
    assert f"stands at offset {changelog_end} of" in wiped[str(ahead)]["reason"]
    installation.wait_consumed(worker)
    worker.stop()
    again = installation.start().wait_ready(installation.partitions)
    assert not again.entries(WIPED)
    again.stop()
    conclude(
        installation,
        scenario="6 damaged at the start",
        fault="CURRENT, MANIFEST and a table file damaged; a stored offset beyond the changelog's end",
        held="the laws; wiped, rebuilt from the changelog, said why; no crash loop",
        faults=4,
        recovery_s=(recovered_s,),
        state=installation.state_dir,
    )


def test_damage_that_is_met_later_ends_the_worker_once(installation, conclude):
    """A block that turns out unreadable stops the worker with nothing acknowledged; the next start rebuilds."""
    events = believable(82, 60)
    settle(installation, events)
    before = installation.committed()
    damaged = databases(installation)[2]
    # The rows; neither the first block, with the mark, nor the index and the filter, which are read at the opening.
    for file in tables(damaged):
        overwrite(file, 0.2, 0.5)
    worker = installation.start().wait_ready(installation.partitions)
    # Copies: nothing comes of them, but their rows are read.
    installation.publish(events)
    assert worker.wait_exit() == EXIT_INFRASTRUCTURE, worker.tail()
    [halt] = worker.entries("worker halted")
    assert f"{damaged} is damaged" in halt["error"]
    assert "rebuilds it from the changelog" in halt["error"]
    assert installation.committed()[2] == before[2]
    worker = installation.start().wait_ready(installation.partitions)
    recovered_s = time.monotonic() - worker.started_at
    [wiped] = worker.entries(WIPED)
    assert wiped["database"] == str(damaged)
    conclude(
        installation,
        worker,
        scenario="6 damage met later",
        fault="data blocks of a table file damaged, met when a row was read",
        held="the laws; exit 3 with nothing of the batch acknowledged, rebuilt by the next start",
        recovery_s=(recovered_s,),
        state=installation.state_dir,
    )


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own, too small for the state."""
    with mounted_disk(tmp_path / "disk", f"{DISK_MIB}m") as directory:
        yield directory


def test_a_full_disk_stops_the_worker_until_there_is_room(kafka, tmp_path, small_disk, conclude):
    """The worker names the disk and ends with 3; it does so again while there is no room, and then goes on."""
    with installed(kafka, tmp_path / "run", CONSOLIDATOR_STATE_DIR=str(small_disk / "state")) as installation:
        installation.publish_messages(design_workload(18_000, 900, 83))
        worker = installation.start(**SMALL_BATCHES)
        assert worker.wait_exit() == EXIT_INFRASTRUCTURE, worker.tail()
        landed = installation.progress()
        assert 0.05 < landed < 0.95
        [halt] = worker.entries("worker halted")
        assert "disk of" in halt["error"]
        assert "CONSOLIDATOR_STATE_DIR" in halt["error"]
        again = installation.start(**SMALL_BATCHES)
        assert again.wait_exit() == EXIT_INFRASTRUCTURE, again.tail()
        assert "No space left" in again.log
        subprocess.run(["mount", "-o", f"remount,size={LARGER_DISK_MIB}m", str(small_disk)], check=True)
        worker = installation.start(**SMALL_BATCHES)
        before = installation.progress()
        worker.wait(lambda: installation.progress() > before, "new work to be committed", limit_s=60)
        recovered_s = time.monotonic() - worker.started_at
        assert not worker.entries(WIPED)
        conclude(
            installation,
            worker,
            scenario="7 disk full",
            fault=f"state directory on a disk of {DISK_MIB} MiB that runs full, later {LARGER_DISK_MIB} MiB",
            held="the laws; exit 3 with what to do, and on from there when there is room",
            recovery_s=(recovered_s,),
            more={"full at, share of the events": round(landed, 2)},
            state=installation.state_dir,
        )
