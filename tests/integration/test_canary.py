"""The canary with a real worker on real Kafka: what it measures, what it loses, and that nothing of it is left."""

import json
import os
import subprocess
from collections.abc import Iterator

import pytest

from tests.real_kafka.worker_process import CONSOLIDATOR, wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.thorough]

LIMIT_S = 120
PREFIX = b"consolidator-canary%2F"


def rounds(installation, *words: str, code: int = 0) -> list[dict]:
    """Run ``consolidator canary run`` to its end; what it prints."""
    done = subprocess.run(
        [str(CONSOLIDATOR), "canary", "run", "--interval", "0", "--format", "json", *words],
        env=os.environ | installation.variables,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def standing(installation) -> Iterator[tuple[str, bytes]]:
    """The topic and key of each last record of a canary that is no tombstone."""
    topics = installation.topics
    for topic in (topics.executions, topics.factor_changes, topics.factors):
        last = {record.key: record.value for record in installation.read(topic.name)}
        yield from ((topic.name, key) for key, value in last.items() if key.startswith(PREFIX) and value is not None)


def residue(installation) -> bytes:
    """The file of what has to be erased; empty, if there is none yet."""
    path = installation.state_dir / "canary" / f"{installation.name}.jsonl"
    return path.read_bytes() if path.exists() else b""


def test_every_partition_is_tried_and_nothing_is_left(installation):
    """Seconds for each round, in turn; afterwards every key that it wrote or caused has a tombstone."""
    worker = installation.start().wait_ready(installation.partitions)
    metrics = installation.directory / "canary.prom"
    lines = rounds(installation, "--rounds", "6", "--metrics-file", str(metrics))
    assert not metrics.exists()
    assert [line["partition"] for line in lines] == [0, 1, 2, 3, 0, 1]
    assert all(0 < line["seconds"] < LIMIT_S for line in lines)
    assert len([one for one in installation.read(installation.topics.factor_changes.name) if one.value]) == 6
    assert list(standing(installation)) == []
    assert residue(installation) == b""
    installation.wait_consumed(worker)
    assert installation.read(installation.topics.dlq.name) == []
    verified = subprocess.run(
        [str(CONSOLIDATOR), "replay", "--verify", "--metrics-file", str(installation.directory / "verify.prom")],
        env=os.environ | installation.variables,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert "consolidator_verification_differences 0.0" in (installation.directory / "verify.prom").read_text()


def test_what_a_killed_canary_leaves_is_erased_by_the_next_one(installation):
    """Killed in the middle of its rounds; the next start finds its keys in the state directory."""
    installation.start().wait_ready(installation.partitions)
    canary = installation.start_program(str(CONSOLIDATOR), "canary", "run", "--interval", "0")
    canary.wait(lambda: residue(installation).count(b"round-") > 10, "some rounds", limit_s=LIMIT_S)
    canary.kill()
    left = {json.loads(line)["application"] for line in residue(installation).splitlines()}
    assert left
    rounds(installation, "--rounds", "1")
    wait_until(lambda: not list(standing(installation)), "everything to be erased", limit_s=LIMIT_S)
    assert residue(installation) == b""


def test_without_a_worker_rounds_are_lost_and_published_once(installation):
    """They name what was waited for; when a worker comes, the event that was lost is erased as well."""
    lines = rounds(installation, "--rounds", "5", "--lost-after", "1", code=1)
    assert [line["seconds"] for line in lines] == [None] * 5
    assert all(line["problem"].startswith("nothing is known after 1 s: ") for line in lines)
    # Five rounds of four partitions: the second one of partition 0 published nothing.
    keys = [one.key for one in installation.read(installation.topics.executions.name) if one.key.startswith(PREFIX)]
    assert len(keys) == 4
    assert list(standing(installation))
    installation.start().wait_ready(installation.partitions)
    rounds(installation, "--rounds", "4")
    assert list(standing(installation)) == []
    assert residue(installation) == b""


def test_a_signal_is_a_good_end_and_leaves_nothing(installation):
    """SIGTERM: exit code 0, what it wrote is erased, and the file of its metrics is gone."""
    installation.start().wait_ready(installation.partitions)
    metrics = installation.directory / "canary.prom"
    words = ("canary", "run", "--interval", "0", "--metrics-file", str(metrics))
    canary = installation.start_program(str(CONSOLIDATOR), *words)
    canary.wait(lambda: residue(installation).count(b"round-") > 4, "some rounds", limit_s=LIMIT_S)
    labels = f'{{app_id="{installation.name}"}}'
    assert f"consolidator_canary_lost_total{labels} 0.0" in metrics.read_text()
    assert f"consolidator_canary_lost_partitions{labels} 0.0" in metrics.read_text()
    canary.stop()
    assert not metrics.exists()
    assert list(standing(installation)) == []
    assert residue(installation) == b""
