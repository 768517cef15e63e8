"""The AsyncAPI documents: current, valid by the official schema, true to the topics; a consumer comes of them."""

import gzip
import json
from copy import deepcopy
from typing import Any

import pytest
from jsonschema import Draft7Validator, FormatChecker
from jsonschema import ValidationError as SchemaError

from models.outcomes import Outcome
from streams.configuration.settings import Settings
from tests.inputs import generated_consumer
from tests.inputs.repository import ROOT
from tests.inputs.workloads import Rates, believable, load_catalogue
from tests.oracle.folds import Partition, records_of
from topics.contract.asyncapi import AUDIT_WINDOW_DAYS, MAX_EVENT_BYTES, documents
from topics.contract.declared import declare
from topics.contract.permissions import Role

COMMITTED = ROOT / "topics" / "schemas" / "asyncapi"
OFFICIAL = ROOT / "tests" / "contracts" / "schemas" / "asyncapi_specs" / "asyncapi-3.0.0.json.gz"
ROLES = ["publisher", "worker", "subscriber"]


def document(role: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((COMMITTED / f"{role}.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def official() -> Draft7Validator:
    """The official schema of AsyncAPI 3.0.0."""
    return Draft7Validator(json.loads(gzip.decompress(OFFICIAL.read_bytes())), format_checker=FormatChecker())


@pytest.fixture(scope="module")
def published() -> Partition:
    """A day of sixty applications, with erasures."""
    partition = Partition(load_catalogue())
    partition.take(*records_of(believable(3, 60, rates=Rates(erased=0.05))))
    return partition


@pytest.mark.parametrize("file", documents())
def test_the_committed_documents_are_current(file: str) -> None:
    """A change of a type, a topic or a setting shows up in the documents, byte for byte."""
    committed = (COMMITTED / file).read_text(encoding="utf-8")
    assert committed == documents()[file], "run: python -m topics.contract.asyncapi topics/schemas/asyncapi"


@pytest.mark.parametrize("role", ROLES)
def test_a_document_is_valid(official: Draft7Validator, role: str) -> None:
    """By the schema that the AsyncAPI Initiative publishes."""
    official.validate(document(role))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["asyncapi"], "2.6.0"),
        (["operations", "receiveFactors", "action"], "listen"),
        (["channels", "factors", "bindings", "kafka", "topicConfiguration", "cleanup.policy"], "compact"),
        (["channels", "factors", "retention"], 1),
        (["components", "messages", "currentFactors", "payload"], 7),
    ],
)
def test_the_official_schema_refuses_what_is_wrong(official: Draft7Validator, path: list[str], value: object) -> None:
    """It is really applied, down to the bindings for Kafka."""
    wrong = deepcopy(document("subscriber"))
    part: Any = wrong
    for name in path[:-1]:
        part = part[name]
    part[path[-1]] = value
    with pytest.raises(SchemaError):
        official.validate(wrong)


@pytest.mark.parametrize("role", ROLES)
def test_every_reference_leads_somewhere_and_nothing_is_spare(role: str) -> None:
    """Channels, messages and schemas: each one is there, and each one is referred to."""
    whole = document(role)
    named = set()

    def visit(part: Any) -> None:
        if isinstance(part, dict):
            if isinstance(part.get("$ref"), str):
                named.add(part["$ref"])
            for one in part.values():
                visit(one)
        elif isinstance(part, list):
            for one in part:
                visit(one)

    visit(whole)
    there = {f"#/channels/{name}" for name in whole["channels"]}
    for kind, components in whole["components"].items():
        there |= {f"#/components/{kind}/{name}" for name in components}
    assert named == there


def test_the_channels_are_the_declared_topics() -> None:
    """Names, keys and settings, with the default settings of an installation."""
    settings = Settings.model_fields
    assert settings["audit_window_days"].default == AUDIT_WINDOW_DAYS
    assert settings["max_event_bytes"].default == MAX_EVENT_BYTES
    declared = declare(
        "",
        app_id="a",
        partitions=1,
        replication_factor=1,
        audit_window_days=AUDIT_WINDOW_DAYS,
        max_event_bytes=MAX_EVENT_BYTES,
    )
    by_name = {topic.name: topic for topic in declared}
    channels = {name: channel for role in ROLES for name, channel in document(role)["channels"].items()}
    assert {channel["address"] for channel in channels.values()} == {
        topic.name for topic in (declared.executions, declared.factor_changes, declared.factors, declared.dlq)
    }
    for channel in channels.values():
        topic = by_name[channel["address"]]
        assert channel["x-key"] == topic.key
        for name, value in channel["bindings"]["kafka"]["topicConfiguration"].items():
            assert topic.config[name] == (",".join(value) if isinstance(value, list) else str(value))


def test_the_roles_are_those_of_the_permissions() -> None:
    """A document has the name of a role that ``consolidator topics acls`` knows, where there is one."""
    assert {"publisher", "worker"} <= {role.value for role in Role}


def test_what_is_published_is_what_the_document_says(published: Partition) -> None:
    """Payload and headers of every record, each by its message's schema; a tombstone is a message too."""
    whole = document("subscriber")
    messages = whole["components"]["messages"]
    outcomes = set()
    for sent in published.sent:
        name, erased = ("factorChange", "factorChangeErased")
        if sent.topic != "factor-changes":
            name, erased = ("currentFactors", "factorsErased")
        if sent.value is None:
            assert messages[erased]["payload"] == {"type": "null"}
            continue
        payload = json.loads(sent.value)
        validate = Draft7Validator(
            {"$ref": messages[name]["payload"]["$ref"], "components": whole["components"]}
        ).validate
        validate(payload)
        Draft7Validator(messages[name]["headers"]).validate({key: value.decode() for key, value in sent.headers})
        assert payload["application_id"] == dict(sent.headers)["ce_subject"].decode()
        outcomes.add(payload["outcome"])
    assert outcomes == {*Outcome} - {Outcome.NOT_ATTEMPTED}


def test_the_examples_are_valid() -> None:
    """Each one by its message's schema."""
    whole = document("subscriber")
    for name in ("factorChange", "currentFactors"):
        message = whole["components"]["messages"][name]
        schema = {"$ref": message["payload"]["$ref"], "components": whole["components"]}
        for example in message["examples"]:
            Draft7Validator(schema).validate(example["payload"])


@pytest.mark.slow
def test_a_generated_consumer_reads_what_is_published(
    published: Partition, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has every member of every record, and tells tombstones apart; a record of another kind it refuses."""
    monkeypatch.syspath_prepend(str(tmp_path))
    module = generated_consumer.generate(tmp_path, "generated_subscriber")
    records = [(sent.topic, sent.value) for sent in published.sent]
    for topic in ("factor-changes", "factors"):
        values = [value for name, value in records if name == topic]
        found = generated_consumer.read(module, [(topic, value) for value in [*values, None]])
        assert all(map(generated_consumer.is_what_was_read, found, [*values, None]))
        assert {type(model).__name__ for model in found} == (
            {"FactorChange", "FactorChangeErased"} if topic == "factor-changes" else {"CurrentFactors", "FactorsErased"}
        )
    broken = json.loads(values[0]) | {"outcome": "unknown"}
    with pytest.raises(ValueError, match="decode"):
        generated_consumer.read(module, [("factors", json.dumps(broken).encode())])
