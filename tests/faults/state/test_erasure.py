"""An application is erased beside a live worker: what is left of it is searched for in every file, byte by byte."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from aiokafka.record import MemoryRecords
from click.testing import CliRunner

from consolidator.keys import application_prefix, event_key, partition_of
from models.errors import ContractError, InfrastructureError
from streams.cli.main import cli
from tests.inputs.workloads import Rates, believable, parse_json, to_json
from tests.real_kafka.installation import Installation
from tests.real_kafka.worker_process import wait_until
from topics.records.erasures import ERASURE_PREFIX

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

COMPACTED_AT_ONCE = {"segment.ms": "100", "min.cleanable.dirty.ratio": "0.01", "min.compaction.lag.ms": "0"}
COMPACTION_LIMIT_S = 120.0

APPLICATION = "app/to-be-forgotten"
SECRET = "4204170815"
"""A factor's value, in each of the application's events."""


def secret_event(execution: str, second: int, **more: object) -> dict[str, object]:
    return {
        "application_id": APPLICATION,
        "execution_id": execution,
        "event_id": f"{execution}-{second}",
        "processor": "bank_statement",
        "status": "completed",
        "occurred_at": f"2026-03-01T09:00:{second:02d}Z",
        "output": {"factors": {"f_revenue_monthly": int(SECRET)}},
    } | more


def run(installation: Installation, *arguments: str, exit_code: int = 0) -> list[dict]:
    result = CliRunner(env=installation.variables).invoke(cli, arguments, catch_exceptions=False)
    assert result.exit_code == exit_code, result.output
    return [parse_json(line) for line in result.stdout.splitlines()]


def where_it_is(installation: Installation, data: Path) -> set[str]:
    """The topics, and the parts of the worker's disk, in whose files the secret is; records are unpacked."""
    found = {
        segment.parent.name.rpartition("-")[0].removeprefix(f"{installation.name}.")
        for segment in data.glob(f"**/{installation.name}*/*.log")
        if any(SECRET.encode() in part for part in parts_of(segment))
    }
    for file in installation.directory.rglob("*"):
        if file.is_file() and SECRET.encode() in file.read_bytes():
            found.add("state" if installation.state_dir in file.parents else file.name)
    return found


def roll_segments(installation: Installation, events: Mapping[int, dict], number: int) -> None:
    """Publish something to every topic: a segment is rolled, and may be cleaned, when that is done after its time.

    Args:
        installation: where.
        events: of each partition an event, of which a like one is published.
        number: tells one call from the next.
    """
    for partition, event in events.items():
        name = f"roll-{number}"
        fresh = {**event, "event_id": name, "execution_id": name, "attempt": 1, "status": "failed"}
        key = event_key(event["application_id"], name)
        installation.publish_raw([(key, to_json(fresh), partition), (b"bad-%d" % number, b"{", partition)])


def parts_of(segment: Path) -> Iterator[bytes]:
    """Everything that a segment's records are made of."""
    try:
        records = MemoryRecords(segment.read_bytes())
    except FileNotFoundError:
        # The cleaner has just replaced it.
        return
    while records.has_next():
        batch = records.next_batch()
        for record in batch or ():
            yield from (record.key or b"", record.value or b"", *(value or b"" for _, value in record.headers))


def test_nothing_of_an_erased_application_can_be_found(eager_installation, eager_kafka_directory):
    """After erasure and compaction no topic's segment, RocksDB file or log has a value of it; verification holds."""
    installation = eager_installation
    source = installation.topics.executions.name
    home = partition_of(APPLICATION, installation.partitions)
    elsewhere = (home + 1) % installation.partitions
    others = believable(161, 30, rates=Rates())
    installation.publish(others)
    foreign, bad = secret_event("foreign", 3), to_json(secret_event("bad", 4))[:-1]
    installation.publish([secret_event("first", 1), secret_event("second", 2)])
    installation.publish_raw([(b"a-producers-own-key", to_json(foreign), elsewhere), (b"bad", bad, elsewhere)])
    worker = installation.start().wait_ready(installation.partitions)
    installation.wait_consumed(worker)
    everywhere = {
        "executions",
        "factor-changes",
        "factors",
        "executions.dlq",
        f"{installation.name}-consolidation-changelog",
    }
    assert where_it_is(installation, eager_kafka_directory) >= everywhere | {"state"}, "the search finds what is there"

    before = installation.ends()
    [told] = run(installation, "erase", APPLICATION, "--format", "json")
    assert (told["done"], told["erased"], installation.ends()) == (False, False, before)
    assert all(topic["without_tombstone"] for topic in told["topics"])
    [done] = run(installation, "erase", APPLICATION, "--yes", "--format", "json")
    assert (done["done"], done["erased"], done["erasure"]["partition"]) == (True, True, home)
    installation.publish([secret_event("late", 9)])
    installation.wait_consumed(worker)
    letters = [record for record in installation.read(installation.topics.dlq.name) if record.value == b""]
    assert len(letters) == 1, "the late event was refused"
    *differences, summary = run(installation, "replay", "--verify", "--format", "json")
    assert differences == []
    assert summary["factor_changes"]["erased"] + summary["factor_changes"]["equal"] > 0

    for topic in installation.topics:
        for setting, value in COMPACTED_AT_ONCE.items():
            installation.alter_topic(topic.name, setting, value)
    neighbours = {partition_of(event["application_id"], installation.partitions): event for event in others}
    rounds = iter(range(10_000))

    def searched() -> set[str]:
        roll_segments(installation, neighbours, next(rounds))
        return where_it_is(installation, eager_kafka_directory)

    wait_until(lambda: not searched(), "every value of the application to be gone", limit_s=COMPACTION_LIMIT_S)
    installation.wait_consumed(worker)
    worker.stop()
    assert where_it_is(installation, eager_kafka_directory) == set()
    forgotten = application_prefix(APPLICATION)
    state = [file for file in installation.state_dir.rglob("*") if file.is_file() and forgotten in file.read_bytes()]
    assert state == [], "RocksDB's list of files has no key of it"
    left = installation.read(source)
    [erasure] = [record for record in left if record.key.startswith(ERASURE_PREFIX)]
    assert application_prefix(APPLICATION) not in erasure.key + erasure.value
    assert not any(record.value for record in left if record.key.startswith(application_prefix(APPLICATION)))
    *differences, summary = run(installation, "replay", "--verify", "--format", "json")
    assert differences == []
    assert summary["factors"]["equal"] > 0


def test_without_a_worker_the_erasure_waits(installation):
    """Nobody has taken the erasure in, which is said; given again beside a worker, the same erasure is completed."""
    installation.publish([secret_event("first", 1)])
    worker = installation.start().wait_ready(installation.partitions)
    installation.wait_consumed(worker)
    worker.stop()
    with pytest.raises(InfrastructureError, match=r"after 2 s group .* no worker has taken it in yet"):
        run(installation, "erase", APPLICATION, "--yes", "--timeout", "2")
    worker = installation.start().wait_ready(installation.partitions)
    [done] = run(installation, "erase", APPLICATION, "--yes", "--format", "json")
    erasures = [record for record in installation.read(installation.topics.executions.name) if record.key[:1] == b"/"]
    assert [(record.partition, record.offset) for record in erasures] == [
        (done["erasure"]["partition"], done["erasure"]["offset"])
    ]
    worker.stop()


def test_a_lifted_erasure_accepts_events_again(installation):
    """After --lift the application begins anew, and verification holds over both."""
    worker = installation.start().wait_ready(installation.partitions)
    installation.publish([secret_event("first", 1)])
    installation.wait_consumed(worker)
    run(installation, "erase", APPLICATION, "--yes", "--format", "json")
    run(installation, "erase", APPLICATION, "--lift", "--yes", "--format", "json")
    installation.publish([secret_event("anew", 5, output={"factors": {"f_revenue_monthly": 7}})])
    installation.wait_consumed(worker)
    worker.stop()
    [found] = run(installation, "factors", APPLICATION, "--format", "json")
    assert found["factors"] == {"f_months_analyzed": 1, "f_revenue_monthly_avg": 7}
    *differences, _ = run(installation, "replay", "--verify", "--format", "json")
    assert differences == []
    fates = [record["fate"] for record in run(installation, "history", APPLICATION, "--format", "json")]
    assert fates.count("erasure") == 2
    with pytest.raises(ContractError, match="is not erased: there is nothing to lift"):
        run(installation, "erase", APPLICATION, "--lift")
