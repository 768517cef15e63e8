"""A disk comes back on which state lay for longer than the changelog keeps word of removed rows."""

import shutil
import time
from itertools import count
from pathlib import Path

import pytest
import rocksdict
from click.testing import CliRunner

from consolidator.keys import application_prefix, event_key, partition_of
from streams.cli.main import cli
from streams.worker.table.store import BatchStore
from tests.fault_runs.figures import Figures
from tests.inputs.workloads import Rates, believable, parse_json, to_json
from tests.real_kafka.installation import Installation
from tests.real_kafka.installed import installed
from tests.real_kafka.stored_table import table_of_changelog, table_on_disk
from tests.real_kafka.transactions import committed_transactions
from tests.real_kafka.worker_process import WorkerProcess, wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

FORGETFUL = {
    "delete.retention.ms": "0",
    "segment.ms": "100",
    "min.cleanable.dirty.ratio": "0.01",
}
"""A changelog that compacts at once, and keeps no tombstone longer than it has to.

The retention comes first: a tombstone keeps what was in force when the cleaner first saw it.
"""

COMPACTION_LIMIT_S = 120.0
DAY_S = 86_400
WIPED = "local state wiped, it is rebuilt from the changelog"

APPLICATION = "app/erased-elsewhere"
PREFIX = application_prefix(APPLICATION)
SECRET = "4204170816"


def told(number: int, revenue: str) -> dict[str, object]:
    return {
        "application_id": APPLICATION,
        "execution_id": f"e{number}",
        "event_id": f"evt-{number}",
        "processor": "bank_statement",
        "status": "completed",
        "occurred_at": f"2026-03-01T09:00:{number:02d}Z",
        "output": {"factors": {"f_revenue_monthly": int(revenue)}},
    }


def run(installation: Installation, *arguments: str) -> list[dict]:
    result = CliRunner(env=installation.variables).invoke(cli, [*arguments, "--format", "json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return [parse_json(line) for line in result.stdout.splitlines()]


def rows_of(table: dict[int, dict[bytes, bytes]]) -> set[bytes]:
    """The keys of the application's rows, in whichever copy of the table."""
    return {key for rows in table.values() for key in rows if key.startswith(PREFIX)}


def forget_the_removed_rows(installation: Installation, worker: WorkerProcess, others) -> None:
    """Compact the changelog until nothing in it tells that there ever were those rows; then declare it as it was."""
    changelog = installation.topics.changelog
    before = {name: changelog.config[name] for name in FORGETFUL}
    for name, value in FORGETFUL.items():
        installation.alter_topic(changelog.name, name, value)
    neighbours = {partition_of(event["application_id"], installation.partitions): event for event in others}
    rounds = count()

    def forgotten() -> bool:
        # A segment is rolled, and may be cleaned, when something is written after its time.
        number = next(rounds)
        for partition, event in neighbours.items():
            one = {**event, "event_id": f"roll-{number}", "execution_id": f"roll-{number}", "status": "requested"}
            key = event_key(event["application_id"], one["event_id"])
            installation.publish_raw([(key, to_json(one), partition)])
        installation.wait_consumed(worker)
        return not any((record.key or b"").startswith(PREFIX) for record in installation.read(changelog.name))

    wait_until(forgotten, "the tombstones of the removed rows to be gone", limit_s=COMPACTION_LIMIT_S)
    for name, value in before.items():
        installation.alter_topic(changelog.name, name, value)


def is_written(database: Path) -> bool:
    """Whether anything was written into a database."""
    return any(path.stat().st_size for path in (*database.glob("*.log"), *database.glob("*.sst")))


def lie_aside(state: Path, days: float) -> None:
    """Let every database below a directory be so old, but for those of standbys into which nothing was written yet."""
    aged = 0
    as_of_ms = time.time_ns() // 1_000_000 - round(days * DAY_S * 1000)
    for path in state.rglob("*.db"):
        database = rocksdict.Rdict(str(path), options=rocksdict.Options(raw_mode=True))
        if database.get(BatchStore.as_of_key) is not None:
            database.put(BatchStore.as_of_key, str(as_of_ms).encode())
            aged += 1
        database.close()
    assert aged > 0


def test_no_removed_row_lives_again_on_an_old_disk(eager_installation, record_figures):
    """The old state is wiped and rebuilt, and after the erasure was lifted nothing that was erased is published again.

    A copy of the disk that claims to be fresh shows that the changelog tells nothing of the removal any more.
    """
    installation = eager_installation
    others = believable(171, 30, rates=Rates())
    installation.publish([*others, told(1, SECRET), told(2, SECRET)])
    worker = installation.start().wait_ready(installation.partitions)
    installation.wait_consumed(worker)
    worker.stop()
    assert rows_of(table_on_disk(installation.state_dir))
    elsewhere = installation.start(CONSOLIDATOR_STATE_DIR=str(installation.directory / "elsewhere"))
    elsewhere.wait_ready(installation.partitions)
    run(installation, "erase", APPLICATION, "--yes")
    run(installation, "erase", APPLICATION, "--lift", "--yes")
    installation.wait_consumed(elsewhere)
    forget_the_removed_rows(installation, elsewhere, others)
    elsewhere.stop()

    copy = installation.directory / "copy"
    shutil.copytree(installation.state_dir, copy)
    trusting = installation.start(CONSOLIDATOR_STATE_DIR=str(copy)).wait_ready(installation.partitions)
    trusting.stop()
    assert rows_of(table_on_disk(copy)), "who trusts such a disk has the removed rows again"

    lie_aside(installation.state_dir, days=20)
    before = installation.ends(installation.topics.factor_changes.name)
    returning = installation.start().wait_ready(installation.partitions)
    recovered_s = time.monotonic() - returning.started_at
    wiped = returning.entries(WIPED)
    assert len(wiped) == installation.partitions
    assert all("delete.retention.ms" in entry["reason"] for entry in wiped)
    installation.publish([told(9, "7")])
    installation.wait_consumed(returning)
    returning.stop()
    later = [
        record
        for record in installation.read(installation.topics.factor_changes.name)
        if record.offset >= before[record.partition]
    ]
    assert [parse_json(record.value)["factors"] for record in later] == [
        {"f_months_analyzed": 1, "f_revenue_monthly_avg": 7}
    ]
    on_disk = table_on_disk(installation.state_dir)
    assert on_disk == table_of_changelog(installation.read(installation.topics.changelog.name))
    assert not any(SECRET.encode() in row for rows in on_disk.values() for row in rows.values())
    *differences, summary = run(installation, "replay", "--verify")
    assert differences == []
    assert summary["factors"]["equal"] > 0
    record_figures(
        Figures(
            "old state",
            fault="a disk comes back after 20 days; the changelog has forgotten which rows were removed meanwhile",
            held="wiped and rebuilt, said why; no removed row lives again, nothing erased is published after the lift",
            events=sum(installation.ends().values()),
            faults=installation.partitions,
            recovery_s=(recovered_s,),
            transactions=committed_transactions(installation.config, installation.name),
        )
    )


def test_younger_state_is_kept_whatever_the_clock_says(installation, conclude):
    """After ten days, or with a clock that was an hour ahead, a disk that is behind is brought up, and not rebuilt."""
    events = believable(172, 40)
    third = len(events) // 3
    installation.publish(events[:third])
    worker = installation.start().wait_ready(installation.partitions)
    installation.wait_consumed(worker)
    worker.stop()
    for days, start in ((10, third), (-1 / 24, 2 * third)):
        elsewhere = installation.start(CONSOLIDATOR_STATE_DIR=str(installation.directory / f"elsewhere-{start}"))
        installation.publish(events[start : start + third])
        installation.wait_consumed(elsewhere.wait_ready(installation.partitions))
        elsewhere.stop()
        lie_aside(installation.state_dir, days)
        returning = installation.start().wait_ready(installation.partitions)
        assert not returning.entries(WIPED)
        returning.stop()
    conclude(
        installation,
        scenario="old state, not too old",
        fault="a disk comes back behind its changelog, after ten days; and with a time an hour ahead",
        held="the laws; brought up from where it stood",
        faults=2,
        state=installation.state_dir,
    )


def test_a_quiet_partition_is_never_rebuilt(installation):
    """Where nothing was written since, the state is complete after a year as well."""
    installation.publish(believable(173, 20))
    worker = installation.start().wait_ready(installation.partitions)
    installation.wait_consumed(worker)
    worker.stop()
    lie_aside(installation.state_dir, days=365)
    again = installation.start().wait_ready(installation.partitions)
    assert not again.entries(WIPED)
    again.stop()
    installation.check_laws(state=installation.state_dir)


def test_standbys_are_as_old_as_they_are(kafka, tmp_path):
    """A standby whose disk lay aside is rebuilt before it may take over."""
    with installed(kafka, tmp_path, CONSOLIDATOR_STANDBY_REPLICAS="1") as installation:
        events = believable(174, 40)
        half = len(events) // 2
        installation.publish(events[:half])
        both = [installation.start(), installation.start()]
        wait_until(
            lambda: (
                all(len(list(worker.state().rglob("*.db"))) == installation.partitions for worker in both)
                if all(worker.entries("worker starting") for worker in both)
                else False
            ),
            "each worker to have every partition, active or standby",
            limit_s=60,
        )
        installation.wait_consumed(*both)
        wait_until(
            lambda: all(map(is_written, (path for worker in both for path in worker.state().rglob("*.db")))),
            "each standby to have heard of its partition",
            limit_s=60,
        )
        # The next worker takes the first directory that is free; which of the two has it depends on who came first.
        aside = min(worker.state() for worker in both)
        for worker in both:
            worker.stop()
        alone = installation.start(CONSOLIDATOR_STATE_DIR=str(tmp_path / "elsewhere"))
        installation.publish(events[half:])
        installation.wait_consumed(alone.wait_ready(installation.partitions))
        lie_aside(aside, days=20)
        standby = installation.start()
        standby.wait(lambda: standby.entries(WIPED), "the standby's old databases to be wiped", limit_s=60)
        assert {Path(entry["database"]).parents[2] for entry in standby.entries(WIPED)} == {aside}
        alone.stop()
        standby.wait_ready(installation.partitions)
        installation.wait_consumed(standby)
        standby.stop()
        installation.check_laws(state=aside)
