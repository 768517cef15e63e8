"""Published records read back: what a later version publishes under another number is refused by name."""

import json

import pytest

from models.errors import ContractError
from streams.audit.published import change_of, current_of
from streams.audit.verification.changes import index_changes
from streams.audit.verification.factors import index_factors
from streams.audit.verification.findings import Kind
from streams.replay.tables import MemoryTable
from tests.inputs.cases import event
from tests.oracle.folds import Partition, records_of, topics_of
from topics.records.record import Record

READERS = {"factor-changes": change_of, "factors": current_of}


def published(topic, **members):
    """What a worker publishes of one event, with other members."""
    partition = Partition({"processors": {}})
    partition.take(*records_of([event("a", "requested", 1)]))
    [sent] = [sent for sent in partition.sent if sent.topic == topic]
    return Record(topic, 0, 4, 0, sent.key, json.dumps(json.loads(sent.value) | members).encode(), ())


@pytest.mark.parametrize("topic", READERS)
def test_another_number_is_refused_and_another_member_is_not(topic):
    """A member more is ignored, as every reader of the contract does; a number more means that it would be misread."""
    assert READERS[topic](published(topic, more=1)).schema_version == 1
    where = rf"{topic} partition 0 offset 4 has schema_version 2, this program knows 1: a later version"
    with pytest.raises(ContractError, match=where):
        READERS[topic](published(topic, schema_version=2))
    with pytest.raises(ContractError, match=where):
        READERS[topic](published(topic, schema_version=2, executions="another type"))
    with pytest.raises(ContractError, match="is not what a worker publishes"):
        READERS[topic](published(topic, executions="another type"))


@pytest.mark.parametrize("schema_version", [1, 2])
def test_verification_says_which_records_are_of_a_later_version(schema_version):
    """They are findings, each with the number that was met; they are not compared by what is understood of them."""
    topics = topics_of()
    changes = index_changes([published("factor-changes", schema_version=schema_version)], topics, MemoryTable())
    factors = index_factors([published("factors", schema_version=schema_version)], topics, {0: 99}, MemoryTable())
    found = [*changes, *factors]
    if schema_version == 1:
        assert found == []
    else:
        assert [one.kind for one in found] == [Kind.UNREADABLE] * 2
        assert all("schema_version 2, this program knows 1" in one.reason for one in found)
