"""Ten thousand records of a live run, read by a consumer that the AsyncAPI document generated, and the schemas."""

import json

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from tests.inputs import generated_consumer
from tests.inputs.repository import ROOT
from tests.inputs.workloads import believable

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.thorough]

APPLICATIONS = 800
RECORDS = 10_000
SCHEMAS = {"factor-changes": "factor-change", "factors": "factors"}
CONSUMED_LIMIT_S = 120


def validators(record):
    for role in ("accepted", "produced"):
        schema = json.loads((ROOT / "topics" / "schemas" / f"{record}.{role}.json").read_text(encoding="utf-8"))
        yield Draft202012Validator(schema, format_checker=FormatChecker())


def test_a_live_run_is_read_by_a_generated_consumer(installation, tmp_path, monkeypatch):
    """Every record of a worker on a real broker, then a tombstone: no member is lost, and both schemas accept it."""
    monkeypatch.syspath_prepend(str(tmp_path))
    module = generated_consumer.generate(tmp_path, "generated_live_subscriber")
    installation.create_topics()
    installation.publish(believable(7, APPLICATIONS))
    worker = installation.start().wait_ready(installation.partitions)
    installation.wait_consumed(worker, limit_s=CONSUMED_LIMIT_S)
    worker.stop()
    topics = {"factor-changes": installation.topics.factor_changes.name, "factors": installation.topics.factors.name}
    read = {address: [record.value for record in installation.read(name)] for address, name in topics.items()}
    assert sum(map(len, read.values())) >= RECORDS
    for address, values in read.items():
        found = generated_consumer.read(module, [(address, value) for value in [*values, None]])
        pairs = zip(found, [*values, None], strict=True)
        assert [value for model, value in pairs if not generated_consumer.is_what_was_read(model, value)] == []
        for validator in validators(SCHEMAS[address]):
            assert [value for value in values if not validator.is_valid(json.loads(value))] == []
