"""What is published is what the contract says: the worker's bytes against the client's types and the JSON Schemas."""

import json
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker
from jsonschema import ValidationError as SchemaError
from pydantic import ValidationError

from consolidator.records import (
    ChangeCause,
    CurrentFactors,
    FactorChange,
    FactorDifference,
    decode_change,
    decode_factors,
)
from models import event_contract
from models.errors import BadEventError
from models.event_contract import LifecycleEventContract
from models.events import Status
from models.outcomes import Outcome
from streams.core.change import ERASED, MAX_LISTED, RULESET
from tests.inputs.cases import failed, ok, one_factor
from tests.inputs.strategies import ADVERSARIAL_CATALOGUE, event_logs, events
from tests.inputs.workloads import Item, Rates, believable, load_catalogue, parse_json, to_json
from tests.oracle.folds import MAX_EVENT_BYTES, Partition, decoded, records_of
from tests.oracle.rules import canonical_json
from topics.contract.schemas import published_schemas
from topics.records import decoding
from topics.records.decoding import decode_event

SCHEMAS = Path(__file__).parents[2] / "topics" / "schemas"


def validator_of(name: str) -> Draft202012Validator:
    schema = json.loads((SCHEMAS / f"{name}.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema, format_checker=FormatChecker())


CHANGE, FACTORS, EVENT = map(validator_of, ("factor-change.accepted", "factors.accepted", "lifecycle-event.accepted"))
PRODUCED_CHANGE, PRODUCED_FACTORS = map(validator_of, ("factor-change.produced", "factors.produced"))


PRESENT = {"set": (False, True), "updated": (True, True), "cleared": (True, False)}
"""Whether there are a value before and a value after, by operation."""


def agrees(differing: FactorDifference) -> bool:
    """Whether what was set had no value before, and what was cleared has none after."""
    present = (differing.before is not msgspec.UNSET, differing.after is not msgspec.UNSET)
    return present == PRESENT[differing.op]


def names_what_it_is_about(cause: ChangeCause) -> bool:
    """An event names its execution and itself, the adoption of a ruleset names both rulesets and nothing else."""
    about = (cause.execution_id is not None, cause.event_id is not None, cause.ruleset is not None)
    return about == ((False, False, True) if cause.status == "ruleset" else (True, True, False))


def check(decode: Callable[[bytes], CurrentFactors], raw: bytes, *schemas: Draft202012Validator) -> CurrentFactors:
    """Read bytes with the client and validate them by both schemas; nothing may be lost or unknown."""
    published = parse_json(raw)
    for schema in schemas:
        schema.validate(published)
    found = decode(raw)
    assert canonical_json(parse_json(msgspec.json.encode(found))) == canonical_json(published)
    moment = datetime.fromisoformat(found.occurred_at)
    assert f"{moment:%Y-%m-%dT%H:%M:%S.%fZ}" == found.occurred_at
    assert found.values() == published["factors"]
    counts = found.executions
    assert counts.active == counts.completed + counts.failed
    assert counts.contributing <= counts.completed
    assert len(counts.contributors) == min(MAX_LISTED, counts.contributing)
    assert len(counts.failures) == min(MAX_LISTED, counts.failed)
    assert counts.truncated == (max(counts.contributing, counts.failed) > MAX_LISTED)
    return found


def check_all(partition: Partition) -> list[FactorChange]:
    changes = []
    for sent in partition.sent:
        if sent.topic == "factor-changes":
            change = check(decode_change, sent.value, CHANGE, PRODUCED_CHANGE)
            assert isinstance(change, FactorChange)
            assert [changed.factor for changed in change.changed] == sorted(c.factor for c in change.changed)
            assert all(map(agrees, change.changed))
            assert names_what_it_is_about(change.cause)
            changes.append(change)
        else:
            check(decode_factors, sent.value, FACTORS, PRODUCED_FACTORS)
    return changes


@pytest.mark.parametrize("file_name", published_schemas())
def test_the_committed_schemas_are_current(file_name: str) -> None:
    """A change of the types shows up in the published schemas, byte for byte."""
    committed = (SCHEMAS / file_name).read_text(encoding="utf-8")
    assert committed == published_schemas()[file_name], "run: python -m topics.contract.schemas topics/schemas"


@given(event_logs(max_pairs=3))
def test_every_change_is_what_the_contract_says(log: list[Item]) -> None:
    """Any change of any log reads back whole, as value and by schema, and so does every factors record."""
    partition = Partition(ADVERSARIAL_CATALOGUE)
    for record in records_of(log):
        partition.take(record)
    check_all(partition)


def test_a_believable_day_keeps_the_contract() -> None:
    """A day of sixty applications, in which every outcome and kind of change occurs."""
    partition = Partition(load_catalogue())
    partition.take(*records_of(believable(3, 60, rates=Rates(erased=0.05))))
    changes = check_all(partition)
    assert {change.outcome for change in changes} == {*Outcome} - {Outcome.NOT_ATTEMPTED}
    assert {changed.op for change in changes for changed in change.changed} == {"set", "updated", "cleared"}
    assert "erased" in {change.cause.status for change in changes}


def test_long_lists_keep_the_contract() -> None:
    """With more than fifty contributors and failures the lists are cut, and say so."""
    partition = Partition(one_factor("sum"))
    partition.take(*records_of([make(f"{make.__name__}{n}", n) for n in range(55) for make in (ok, failed)]))
    assert check_all(partition)[-1].executions.truncated


def test_no_digit_is_lost_in_reading() -> None:
    """A value of 38 digits is a Decimal; a whole number, a boolean and a text are what they are."""
    partition = Partition({"processors": {}})
    values = {"a": Decimal("1." + "3" * 37), "b": 10**37, "c": True, "d": "1"}
    partition.take(*records_of([ok("e", 1, values)]))
    (change,) = check_all(partition)
    assert change.values() == values
    assert [type(value) for value in change.values().values()] == [Decimal, int, bool, str]


def test_a_float_is_refused() -> None:
    """Read with a JSON reader that makes floats, a fraction is an error and not a wrong figure."""
    raw = to_json(ok("a", 1, {"f": Decimal("0.1")}))
    documented = LifecycleEventContract.from_json(raw)
    assert documented.output is not None
    assert documented.output.factors == {"f": Decimal("0.1")}
    reads: list[Callable[[bytes], object]] = [
        LifecycleEventContract.model_validate_json,
        lambda text: LifecycleEventContract.model_validate(json.loads(text)),
    ]
    for read in reads:
        with pytest.raises(ValidationError, match="from_json"):
            read(raw)


@pytest.mark.parametrize(
    "change",
    [
        {"another": 1},
        {"outcome": "not_attempted"},
        {"occurred_at": "2025-03-03T09:00:00Z"},
        {"changed": [{"factor": "a", "op": "set", "before": 1, "after": 2}]},
        {"changed": [{"factor": "a", "op": "cleared"}]},
        {"cause": {"status": "failed", "topic": "executions", "partition": 0, "offset": 0}},
        {"version": {"partition": 0, "offset": 0, "epoch": 1}},
    ],
)
def test_what_is_produced_is_less_than_what_is_accepted(change: dict[str, Any]) -> None:
    """A reader has to accept what a later version may add or an earlier one wrote; this version writes none of it."""
    partition = Partition({"processors": {}})
    partition.take(*records_of([ok("e", 1, {"a": 1})]))
    [raw] = [sent.value for sent in partition.sent if sent.topic == "factor-changes"]
    published = parse_json(raw)
    PRODUCED_CHANGE.validate(published)
    CHANGE.validate(published | change)
    with pytest.raises(SchemaError):
        PRODUCED_CHANGE.validate(published | change)


@pytest.mark.parametrize(
    ("member", "value"),
    [("op", "moved"), ("before", [1]), ("after", {}), ("factor", 1), ("before", None)],
)
def test_the_schema_refuses_another_difference(member: str, value: object) -> None:
    """An operation that nobody knows, or a value that is no scalar, is not what the worker publishes."""
    partition = Partition({"processors": {}})
    partition.take(*records_of([ok("e", 1, {"a": 1})]))
    [raw] = [sent.value for sent in partition.sent if sent.topic == "factor-changes"]
    published = parse_json(raw)
    CHANGE.validate(published)
    published["changed"][0][member] = value
    with pytest.raises(SchemaError):
        CHANGE.validate(published)


def test_the_contracts_limits_are_the_codes() -> None:
    """The types repeat a few numbers and names that the code decides by."""
    assert event_contract.MAX_COUNTER == decoding.MAX_COUNTER
    parts = CHANGE.schema["$defs"]
    assert parts["Executions"]["properties"]["failures"]["maxItems"] == MAX_LISTED
    assert parts["Failure"]["properties"]["attempt"]["maximum"] == decoding.MAX_COUNTER
    assert parts["Cause"]["properties"]["status"]["enum"] == [*(status.text for status in Status), ERASED, RULESET]
    statuses = LifecycleEventContract.model_json_schema()["properties"]["status"]["enum"]
    assert statuses == [status.text for status in Status]


@given(st.data())
def test_what_producers_send_by_the_contract_is_decoded(data: st.DataObject) -> None:
    """Every generated event satisfies the documented schema and model, and the decoder reads the same from it."""
    event = data.draw(events(pairs=[("app", "p")], number=0, event_id="e"))
    EVENT.validate(event)
    documented = LifecycleEventContract.from_json(to_json(event))
    found = decoded(event)
    assert (documented.application_id, documented.status) == (found.application_id, found.status.text)
    assert (documented.supersedes, documented.event_id) == (found.supersedes, found.event_id)


@pytest.mark.parametrize(
    "changes",
    [
        {"application_id": ""},
        {"execution_id": None},
        {"processor": 1},
        {"status": "done"},
        {"occurred_at": "yesterday"},
        {"occurred_at": "2025-03-03T09:00:00"},
        {"attempt": 0},
        {"attempt": True},
        {"attempt": "1"},
        {"attempt": 2**31},
        {"sequence": -1},
        {"sequence": Decimal("1.5")},
        {"output": []},
        {"output": {"factors": []}},
        {"output": {"factors": {"f": [1]}}},
        {"supersedes": ""},
        {"event_id": 7},
        {"schema_version": 2},
    ],
)
def test_what_the_contract_refuses_is_a_dead_letter(changes: dict[str, Any]) -> None:
    """The documented model and the decoder agree about what is wrong."""
    raw = to_json(ok("a", 1) | changes)
    with pytest.raises(ValidationError):
        LifecycleEventContract.from_json(raw)
    with pytest.raises(BadEventError):
        decode_event(raw, max_bytes=MAX_EVENT_BYTES)
