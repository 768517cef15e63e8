"""Each finding of the doctor, on a real broker."""

import os
from pathlib import Path

import pytest

from streams.rulesets.catalogue_file import catalogue_json, load_catalogue
from tests.inputs.workloads import believable
from tests.real_kafka.diagnosing import asked, examined, status_of
from tests.real_kafka.installation import Installation
from tests.real_kafka.small_disk import mounted_disk
from tests.real_kafka.transactions import behind_an_open_transaction
from tests.real_kafka.worker_process import wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.thorough]

LIMIT_S = 60.0
FOUND, NOT_ASKED = 1, 3
NOWHERE = "127.0.0.1:1"


@pytest.mark.slow
def test_a_transaction_that_stays_open_is_named_with_its_producer(installation: Installation) -> None:
    """Where, since when, whose, and what to do; the status says so as well, and the doctor is well once it is over."""
    installation.start().wait_ready(installation.partitions)
    topic = installation.topics.executions.name
    producer = behind_an_open_transaction(installation.config, topic, 2, b"app-1/evt-1", b"{}", limit_s=LIMIT_S)
    found = wait_until(
        lambda: (one := examined(installation)).findings("open transactions") and one,
        "the open transaction to be found",
        limit_s=LIMIT_S,
    )
    [finding] = found.findings("open transactions")
    assert (found.code, finding["severity"]) == (FOUND, "warning")
    assert finding["what"].startswith(f"{topic} partition 2: a transaction is open for ")
    assert "another program's, transactional id " in finding["what"]
    assert f"abort --topic {topic} --partition 2 --start-offset 0" in finding["to_do"]
    code, status = status_of(installation)
    assert code == FOUND
    assert any("a transaction is open" in problem for problem in status["problems"])
    assert {one["partition"] for one in status["partitions"] if one["state"] == "pinned"} == {2}
    producer.abort_transaction(LIMIT_S)
    wait_until(lambda: not examined(installation).findings("open transactions"), "the end of it", limit_s=LIMIT_S)


@pytest.mark.parametrize(
    ("setting", "value", "severity"),
    [
        ("message.timestamp.type", "CreateTime", "critical"),
        ("min.compaction.lag.ms", "1000", "critical"),
        ("delete.retention.ms", "86400000", "warning"),
    ],
)
def test_a_wrong_setting_of_a_topic_is_named(
    installation: Installation, setting: str, value: str, severity: str
) -> None:
    """With what follows from it, and the command that sets it right."""
    topic = installation.topics.executions.name
    installation.alter_topic(topic, setting, value)
    found = wait_until(
        lambda: (one := examined(installation)).findings("topics") and one, "the drift to show", limit_s=LIMIT_S
    )
    [finding] = found.findings("topics")
    assert found.code == FOUND
    assert finding["severity"] == severity
    assert finding["what"].startswith(f"{topic}: {setting} is {value}, expected ")
    assert finding["to_do"].startswith(f"kafka-configs.sh --alter --entity-type topics --entity-name {topic} ")


def test_a_missing_topic_and_another_prefix_are_told(installation: Installation) -> None:
    """The doctor goes on without it; a whole prefix that is not there is seven of them, and the status refuses."""
    lost = installation.topics.dlq.name
    installation.delete_topic(lost)
    found = wait_until(
        lambda: (one := examined(installation)).findings("topics") and one, "the topic to be missing", limit_s=LIMIT_S
    )
    assert found.findings("topics")[0]["what"] == f"there is no topic {lost}"
    elsewhere = {"CONSOLIDATOR_TOPIC_PREFIX": "nowhere.", "CONSOLIDATOR_APP_ID": "nowhere"}
    nothing = examined(installation, **elsewhere)
    assert len(nothing.findings("topics")) == len([*installation.topics])
    assert asked(installation, "status", **elsewhere).exit_code == 2


def test_another_catalogue_is_told_before_a_worker_is_refused(installation: Installation, tmp_path: Path) -> None:
    """Under another version; under the same one; one that cannot be read; and none set, which is only a note."""
    worker = installation.start().wait_ready(installation.partitions)
    installation.publish(believable(263, 3))
    installation.wait_consumed(worker)
    wait_until(lambda: status_of(installation)[1]["rulesets"]["partitions"], "the ruleset", limit_s=LIMIT_S)
    own = load_catalogue(None)
    processors = {name: rule for name, rule in own.processors.items() if name != "credit_check"}
    other, same, broken = (tmp_path / f"{name}.json" for name in ("other", "same", "broken"))
    other.write_text(catalogue_json(own.model_copy(update={"version": "other"})))
    same.write_text(catalogue_json(own.model_copy(update={"processors": processors})))
    broken.write_text("{}")
    cases = {other: "warning", same: "critical", broken: "critical"}
    for file, severity in cases.items():
        found = examined(installation, CONSOLIDATOR_CATALOGUE=str(file))
        assert found.code == FOUND, found.said
        assert [one["severity"] for one in found.findings("catalogue")] == [severity], found.said
    adopting = {"CONSOLIDATOR_CATALOGUE": str(other), "CONSOLIDATOR_ADOPT_RULESET": f"{own.name}/other"}
    assert examined(installation, **adopting).ill == {}


def test_a_full_disk_is_told(installation: Installation, tmp_path: Path) -> None:
    """A worker there could write nothing; without Kafka it is told as well, and Kafka is what could not be asked."""
    with mounted_disk(tmp_path / "small", "256k") as disk:
        with pytest.raises(OSError, match="No space left"):
            (disk / "file").write_bytes(os.urandom(1024 * 1024))
        there = {"CONSOLIDATOR_STATE_DIR": str(disk)}
        [finding] = examined(installation, **there).findings("state directory", severity="critical")
        assert "No space left on device" in finding["what"]
        away = examined(installation, **there, KAFKA_BOOTSTRAP_SERVERS=NOWHERE)
        assert (away.code, len(away.not_asked)) == (NOT_ASKED, 1)
        assert away.findings("state directory", severity="critical")


def test_a_directory_that_cannot_be_written_is_told(installation: Installation, tmp_path: Path) -> None:
    """The reason is the system's."""
    with mounted_disk(tmp_path / "small", "1m,ro") as disk:
        [finding] = examined(installation, CONSOLIDATOR_STATE_DIR=str(disk)).findings(
            "state directory", severity="critical"
        )
        assert "Read-only file system" in finding["what"]


def test_topics_of_another_application_id_are_told(installation: Installation) -> None:
    """The operator has the wrong settings, and is told the right one."""
    worker = installation.start().wait_ready(installation.partitions)
    changelog = installation.topics.changelog.name
    found = examined(installation, CONSOLIDATOR_APP_ID="mistyped")
    assert found.code == FOUND
    assert f"the topics belong to the application id {installation.name}" in " ".join(found.ill["group"])
    assert found.findings("topics")[0]["what"] == "there is no topic mistyped-consolidation-changelog"
    assert changelog not in found.said
    worker.stop()


def test_without_a_broker_it_is_said_in_a_line(installation: Installation) -> None:
    """Exit code 3; the status says nothing else, and JSON has the reason for each part."""
    for command in ("status", "doctor"):
        result = asked(installation, command, KAFKA_BOOTSTRAP_SERVERS=NOWHERE)
        assert result.exit_code == NOT_ASKED
        assert "refuses the connection" in result.output
    code, status = status_of(installation, KAFKA_BOOTSTRAP_SERVERS=NOWHERE)
    assert code == NOT_ASKED
    assert status["group"] is None
    assert "refuses the connection" in status["not_known"]["the group"]
    assert status["problems"] == []
