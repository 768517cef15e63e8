"""Status, verification and rebuilding with the real commands, on real Kafka, beside a sink that runs."""

import json
import os
import random
import subprocess
import time

import pytest

from streams.sink.database import open_for_writing, transaction, url_of
from streams.sink.schema import CURRENT
from tests.inputs.workloads import Rates, believable
from tests.real_kafka.worker_process import CONSOLIDATOR

pytestmark = [pytest.mark.kafka, pytest.mark.thorough]

LIMIT_S = 120


def command(model, *words: str, **variables: str) -> tuple[int, list[dict], str]:
    """Run ``consolidator sink``: its exit code, the JSON objects that it prints, and its errors."""
    done = subprocess.run(
        [str(CONSOLIDATOR), "sink", *words, "--format", "json"],
        env=os.environ | model.installation.variables | {"CONSOLIDATOR_SINK_URL": model.url} | variables,
        capture_output=True,
        timeout=LIMIT_S,
        check=False,
    )
    lines = done.stdout.decode().splitlines()
    return done.returncode, [json.loads(line) for line in lines], done.stderr.decode()


def damage(model) -> None:
    """Change rows behind the sink's back."""
    engine = open_for_writing(url_of(model.url))
    with transaction(engine) as connection:
        connection.execute(CURRENT.factors.update().values(value="4711"))
        connection.execute(CURRENT.lifecycle_events.delete().where(CURRENT.lifecycle_events.c.status == "failed"))
    engine.dispose()


def published(installation, worker, number: int) -> None:
    """Everything that happens, and the worker is through with it."""
    installation.publish(believable(number, 60, rates=Rates(erased=0.05)))
    installation.publish_raw((b"k", b"no JSON", partition) for partition in range(installation.partitions))
    installation.wait_consumed(worker)


def test_a_database_is_looked_at_compared_and_built_anew(installation, model):
    """Beside the running sink, which is fenced by the switch and goes on by itself; and the way back."""
    worker, sink = installation.start(), model.start()
    published(installation, worker, 1_001)
    model.wait_through(sink)
    code, lines, errors = command(model, "status")
    assert code == 0, errors
    *partitions, summary = lines
    assert [one["partition"] for one in partitions] == [*range(installation.partitions)]
    assert {(one["lag_behind_workers"], one["lag_behind_log"], one["lag_seconds"]) for one in partitions} == {(0, 0, 0)}
    assert summary["problems"] == []
    code, [report], errors = command(model, "verify")
    assert (code, report["differences"], report["explained"]) == (0, 0, {}), errors
    assert all(one["digest"] == one["log_digest"] for one in report["partitions"])

    # A rebuild that is killed, and then one beside a sink that moves on.
    rng = random.Random(1)
    for _ in range(3):
        started = installation.start_program(str(CONSOLIDATOR), "sink", "rebuild", CONSOLIDATOR_SINK_URL=model.url)
        time.sleep(rng.uniform(0.5, 2.0))
        started.kill()
    installation.publish(believable(1_002, 40))
    code, [*differences, report], errors = command(model, "rebuild")
    assert (code, differences, report["switched"]) == (0, [], False), errors
    assert "sink rebuild --switch" in errors
    before = model.epochs()
    code, [*differences, report], errors = command(model, "rebuild", "--switch")
    assert (code, differences, report["switched"]) == (0, [], True), errors
    published(installation, worker, 1_003)
    model.wait_through(sink)
    model.check()
    after = model.epochs()
    assert all(after[partition][0] > before[partition][0] for partition in before)
    assert sink.exit_code is None
    assert sink.entries("another process has the partition: nothing was written")

    code, _, errors = command(model, "rebuild", "--back")
    assert code == 0, errors
    published(installation, worker, 1_004)
    model.wait_through(sink)
    model.check()

    damage(model)
    code, [*differences, report], errors = command(model, "verify")
    assert code == 1, errors
    assert set(report["differences_by_table"]) == {"factors", "lifecycle_events"}
    assert len(differences) == min(100, report["differences"])
    assert "4711" not in json.dumps(differences)
    code, [*differences, report], errors = command(model, "rebuild", "--switch")
    assert (code, set(report["differences_by_table"])) == (1, {"factors", "lifecycle_events"}), errors
    published(installation, worker, 1_005)
    model.wait_through(sink)
    model.check()
    assert command(model, "verify")[0] == 0


def test_a_sink_that_was_frozen_during_a_switch_writes_nothing(installation, model):
    """Thawed, its epoch is no more: it takes the new tables over, or leaves them to the other one."""
    worker, frozen = installation.start(), model.start()
    published(installation, worker, 1_011)
    model.wait_through(frozen)
    installation.publish(believable(1_012, 20))
    frozen.freeze()
    code, _, errors = command(model, "rebuild", "--switch")
    assert code == 0, errors
    other = model.start()
    published(installation, worker, 1_013)
    model.wait_through(other)
    frozen.cont()
    published(installation, worker, 1_014)
    model.wait_through(frozen, other)
    model.check()
    assert command(model, "verify")[0] == 0


def test_status_without_kafka_and_without_a_sink(installation, model):
    """What the database says is shown, and what is not known is said; a partition without a sink is a problem."""
    assert command(model, "status")[0] == 2
    worker, sink = installation.start(), model.start()
    published(installation, worker, 1_021)
    model.wait_through(sink)
    sink.stop()
    installation.publish(believable(1_022, 20))
    installation.wait_consumed(worker)
    behind = command(model, "status")[1][:-1]
    assert sum(one["lag_behind_workers"] for one in behind) > 0
    assert max(one["lag_seconds"] for one in behind) > 0
    code, lines, errors = command(model, "status", KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")
    assert code == 3
    assert "how far behind the database is, is not known" in errors
    assert [one["lag_seconds"] for one in lines[:-1]] == [None] * installation.partitions
    assert [one["next_offset"] for one in lines[:-1]] == [one["next_offset"] for one in behind]
    engine = open_for_writing(url_of(model.url))
    with transaction(engine) as connection:
        connection.execute(CURRENT.sink_position.update().values(seen_at_ms=0))
    engine.dispose()
    code, lines, _ = command(model, "status")
    assert (code, len(lines[-1]["problems"])) == (1, installation.partitions)
