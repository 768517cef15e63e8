"""A support bundle: what is in it, what is not, and who may read it."""

import json
import os
import tarfile

import pytest

from models.errors import SettingsError
from streams.configuration.settings import Settings, load_settings
from streams.diagnosis.bundle import bundle_of, name_at, require_new, settings_without_secrets, write_bundle
from streams.diagnosis.doctor import judge
from streams.diagnosis.reading.answer import Unanswered
from tests.inputs.diagnosed import TOPICS, facts_of

SECRETS = {
    "KAFKA_SASL_PASSWORD": "canary-4f1-password",
    "KAFKA_SSL_KEY_PASSWORD": "canary-4f1-key",
    "CONSOLIDATOR_SINK_URL": "postgresql://sink:canary-4f1-database@db/model",
}
FILES = {"README.txt", "settings.json", "versions.json", "status.json", "doctor.json", "topics.json", "groups.json"}


@pytest.fixture
def settings(monkeypatch) -> Settings:
    for name, value in (SECRETS | {"KAFKA_SASL_USERNAME": "canary-4f1-user"}).items():
        monkeypatch.setenv(name, value)
    return load_settings(app_id="lending")


def test_every_setting_is_in_it_and_no_secret(settings):
    """Of a secret whether it is set; a secret that a log quotes is left out of the log as well."""
    listed = {one["variable"]: one for one in settings_without_secrets(settings)}
    assert len(listed) == len(Settings.model_fields)
    assert all(listed[name]["value"] == "(set, left out)" for name in SECRETS)
    assert listed["CONSOLIDATOR_APP_ID"] == {"variable": "CONSOLIDATOR_APP_ID", "value": "lending", "is_default": False}
    assert listed["CONSOLIDATOR_PARTITIONS"]["is_default"] is True


def test_secrets_are_left_out_of_a_log(settings, tmp_path):
    """And of a long log the last lines are taken."""
    log = tmp_path / "worker.log"
    said = [f"line {number}" for number in range(3_000)]
    log.write_text("\n".join([*said, *SECRETS.values(), "canary-4f1-database alone", "the end"]) + "\n")
    facts = facts_of()
    bundle = bundle_of(settings, facts, judge(facts), log)
    text = bundle["log.txt"].decode()
    assert text.splitlines()[-1] == "the end"
    assert len(text.splitlines()) == 2_000
    everything = b"".join(bundle.values()).decode()
    assert not [secret for secret in (*SECRETS.values(), "canary-4f1") if secret in everything]


QUOTED = 'canary-4f1-"quote" \\back'
ENCODED = "postgresql://sink:canary-4f1%2Fslash%40at@db/model?sslpassword=canary-4f1%20key"
UNLIKE = ("canary-4f1", "quote", "back", "slash")
"""Parts of these secrets that no other text of a bundle has."""


def test_a_secret_is_found_however_a_text_has_it(monkeypatch, tmp_path):
    """With a quote and a backslash; percent-encoded, and decoded; in a log as a line of JSON has it, too."""
    monkeypatch.setenv("KAFKA_SASL_PASSWORD", QUOTED)
    monkeypatch.setenv("CONSOLIDATOR_SINK_URL", ENCODED)
    settings = load_settings(app_id="lending")
    decoded = "canary-4f1/slash@at"
    said = [QUOTED, ENCODED, "canary-4f1%2Fslash%40at", decoded, "canary-4f1 key"]
    log = tmp_path / "worker.log"
    log.write_text("\n".join([*said, *(json.dumps({"error": one}) for one in said), "the end"]) + "\n")
    facts = facts_of(kafka=Unanswered(f"refused: {' and '.join(said)}"))
    bundle = bundle_of(settings, facts, judge(facts), log)
    everything = b"".join(bundle.values()).decode()
    assert [part for part in UNLIKE if part in everything] == []
    assert json.loads(bundle["topics.json"])["not_known"].startswith("refused: (left out) and ")
    assert bundle["log.txt"].decode().splitlines()[-1] == "the end"


def test_a_password_of_digits_leaves_the_numbers(monkeypatch):
    """It is left out where it is a text, and the files are JSON still."""
    monkeypatch.setenv("KAFKA_SASL_PASSWORD", "1204")
    facts = facts_of(kafka=Unanswered("refused: 1204"))
    bundle = bundle_of(load_settings(app_id="lending"), facts, judge(facts), None)
    assert json.loads(bundle["topics.json"]) == {"not_known": "refused: (left out)"}
    assert [one["committed"] for one in json.loads(bundle["status.json"])["partitions"]] == [1_204] * 4


def test_it_has_what_is_known(settings):
    """As JSON, with and without Kafka."""
    facts = facts_of()
    bundle = bundle_of(settings, facts, judge(facts), None)
    assert bundle.keys() == FILES
    assert json.loads(bundle["topics.json"]).keys() == {topic.name for topic in TOPICS}
    assert json.loads(bundle["doctor.json"])["exit_code"] == 0
    assert json.loads(bundle["status.json"])["problems"] == []
    assert json.loads(bundle["groups.json"])["lending"]["state"] == "stable"
    away = facts_of(kafka=Unanswered("no Kafka broker"))
    without = bundle_of(settings, away, judge(away), None)
    assert json.loads(without["topics.json"]) == {"not_known": "no Kafka broker"}
    assert json.loads(without["doctor.json"])["exit_code"] == 3


def test_only_its_owner_may_read_it(tmp_path):
    """Whatever the umask; its files lie in a folder of its own; what exists is not overwritten."""
    file = tmp_path / "case-17.tar.gz"
    before = os.umask(0)
    try:
        size = write_bundle({"a.json": b"{}"}, file)
    finally:
        os.umask(before)
    assert (file.stat().st_mode & 0o777, file.stat().st_size) == (0o600, size)
    with tarfile.open(file) as archive:
        assert archive.getnames() == ["case-17/a.json"]
    with pytest.raises(SettingsError, match="exists already"):
        require_new(file)
    with pytest.raises(FileExistsError):
        write_bundle({}, file)


def test_a_bundle_without_a_name_is_named_after_the_time():
    """In UTC, whatever this machine's zone."""
    assert name_at(1_772_000_000_999) == "consolidator-support-20260225T061320Z.tar.gz"
