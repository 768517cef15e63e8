"""The status beside a sink and of a stuck partition, the times of records, and a bundle of it all, on a real broker."""

import json
import tarfile
import time
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from streams.diagnosis.reading.times import newest, written_at_ms
from streams.runtime.clock import system_ms
from tests.databases.model import Model
from tests.inputs.workloads import believable
from tests.real_kafka.diagnosing import asked, examined, status_of
from tests.real_kafka.installation import Installation
from tests.real_kafka.worker_process import wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.thorough]

LIMIT_S = 90.0


def test_a_frozen_worker_is_a_partition_that_stands_still(kafka: str, tmp_path: Path) -> None:
    """It stays in the group for its session, and commits nothing: the owner is named, and it moves again afterwards."""
    installation = Installation(kafka, tmp_path, CONSOLIDATOR_SESSION_TIMEOUT_S="300")
    installation.create_topics()
    try:
        worker = installation.start().wait_ready(installation.partitions)
        installation.publish(believable(264, 5))
        installation.wait_consumed(worker)
        worker.freeze()
        installation.publish(believable(265, 5))
        found = wait_until(
            lambda: (one := examined(installation)).findings("group", severity="critical") and one,
            "the partitions to stand still",
            limit_s=LIMIT_S,
        )
        assert all("stands still at offset" in one["what"] for one in found.findings("group", severity="critical"))
        code, status = status_of(installation)
        assert (code, "stuck" in {one["state"] for one in status["partitions"]}) == (1, True)
        worker.cont()
        installation.wait_consumed(worker)
        assert examined(installation).ill == {}
    finally:
        installation.close()


def test_a_sink_is_shown_and_its_absence_is_wrong(installation: Installation) -> None:
    """Its group, and how its database stands; a partition without a sink is what `sink status` finds as well."""
    worker = installation.start().wait_ready(installation.partitions)
    installation.publish(believable(266, 5))
    installation.wait_consumed(worker)
    url = f"sqlite:///{installation.state_dir}/sink/model.db"
    nobody = examined(installation, "--url", url)
    assert [one for one in nobody.not_asked if "there is no database" in one]
    model = Model(installation, url)
    sink = model.start()
    model.wait_through(sink)
    code, status = status_of(installation)
    assert (code, status["problems"]) == (0, [])
    assert [one["members"] for one in status["sinks"]] == [1]
    assert len(status["database"]["partitions"]) == installation.partitions
    assert examined(installation).ill == {}
    assert "offsets behind the log" in asked(installation, "status").stdout
    model.close()


def test_a_bundle_has_all_of_it_and_no_value(installation: Installation, tmp_path: Path) -> None:
    """With Kafka and without; of the events nothing is in it."""
    worker = installation.start().wait_ready(installation.partitions)
    events = believable(267, 20)
    installation.publish(events)
    installation.wait_consumed(worker)
    file, away = tmp_path / "case.tar.gz", tmp_path / "away.tar.gz"
    done = asked(installation, "support-bundle", str(file), "--format", "json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["not_asked"] == []
    assert asked(installation, "support-bundle", str(file)).exit_code == 2
    nowhere = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}
    assert asked(installation, "support-bundle", str(away), **nowhere).exit_code == 3
    for each in (file, away):
        with tarfile.open(each) as archive:
            texts = {name: archive.extractfile(name).read().decode() for name in archive.getnames()}  # type: ignore[union-attr]
        assert len(texts) == 7
        everything = "\n".join(texts.values())
        ids = {event["application_id"] for event in events} | {event["execution_id"] for event in events}
        assert not [one for one in ids if one in everything]
        assert "f_revenue_monthly" not in everything


def test_a_records_time_is_found_without_reading_it(installation: Installation) -> None:
    """To half a second, of an old record as of a new one; the newest record of a topic, and none of an empty one."""
    admin = AdminClient(installation.config | {"log_level": 2})
    topic = installation.topics.executions.name
    assert newest(admin, topic, range(installation.partitions)) is None
    for _ in range(3):
        installation.publish_raw([(b"a/b", b"{}", 1)])
        time.sleep(1.5)
    records = [one for one in installation.read(topic) if one.partition == 1]
    for record in records:
        found = written_at_ms(admin, topic, 1, record.offset, system_ms())
        assert 0 <= record.timestamp_ms - found <= 500
    last = newest(admin, topic, range(installation.partitions))
    assert last is not None
    assert (last.partition, last.offset, last.timestamp_ms) == (1, records[-1].offset, records[-1].timestamp_ms)
