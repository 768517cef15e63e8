"""What is published is what the contract says: the worker's bytes against the models and the JSON Schemas."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker
from pydantic import BaseModel, ValidationError

from models import contract
from models.contract import Cause, Changed, CurrentFactors, FactorChange, FactorValue, LifecycleEventContract
from models.errors import BadEventError
from models.events import Status
from models.outcomes import Outcome
from streams.core.change import MAX_LISTED
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
    schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema, format_checker=FormatChecker())


CHANGE, FACTORS, EVENT = map(validator_of, ("factor-change", "factors", "lifecycle-event"))


def as_json(value: Any) -> Any:
    """A model's content as the JSON that it was read from, numbers exact."""
    if isinstance(value, BaseModel):
        return {name: as_json(getattr(value, name)) for name in value.model_fields_set}
    if isinstance(value, dict):
        return {name: as_json(member) for name, member in value.items()}
    if isinstance(value, tuple):
        return [as_json(member) for member in value]
    return value


def check(model: type[CurrentFactors], validator: Draft202012Validator, raw: bytes) -> CurrentFactors:
    """Read bytes with a model and validate them by its schema; nothing may be lost or unknown."""
    published = parse_json(raw)
    validator.validate(published)
    found = model.from_json(raw)
    written = as_json(found)
    assert written.pop("occurred_at").strftime("%Y-%m-%dT%H:%M:%S.%fZ") == published.pop("occurred_at")
    assert canonical_json(written) == canonical_json(published)
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
            change = check(FactorChange, CHANGE, sent.value)
            assert isinstance(change, FactorChange)
            assert [changed.factor for changed in change.changed] == sorted(c.factor for c in change.changed)
            changes.append(change)
        else:
            check(CurrentFactors, FACTORS, sent.value)
    return changes


@pytest.mark.parametrize("file_name", published_schemas())
def test_the_committed_schemas_are_current(file_name: str) -> None:
    """A change of the models shows up in the published schemas, byte for byte."""
    committed = (SCHEMAS / file_name).read_text(encoding="utf-8")
    assert committed == published_schemas()[file_name], "run: python -m topics.contract.schemas topics/schemas"


@given(event_logs(max_pairs=3))
def test_every_change_is_what_the_contract_says(log: list[Item]) -> None:
    """Any change of any log reads back whole, as model and by schema, and so does every factors record."""
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
    assert change.factors == values
    assert [type(value) for value in change.factors.values()] == [Decimal, int, bool, str]


def test_a_float_is_refused() -> None:
    """Read with a JSON reader that makes floats, a fraction is an error and not a wrong figure."""
    raw = b'{"factor":"f","op":"set","after":0.1}'
    assert Changed.from_json(raw).after == Decimal("0.1")
    for read in (Changed.model_validate_json, lambda text: Changed.model_validate(json.loads(text))):
        with pytest.raises(ValidationError, match="from_json"):
            read(raw)


@pytest.mark.parametrize(
    "changed",
    [
        {"op": "set", "before": 1, "after": 2},
        {"op": "set"},
        {"op": "updated", "after": 2},
        {"op": "cleared", "after": 2},
        {"op": "cleared", "before": [1]},
        {"op": "moved", "before": 1},
    ],
)
def test_before_and_after_agree_with_the_operation(changed: dict[str, FactorValue]) -> None:
    """What was set had no value before, what was cleared has none after."""
    with pytest.raises(ValidationError):
        Changed.model_validate({"factor": "f"} | changed)


@pytest.mark.parametrize(
    "about",
    [
        {"status": "failed", "event_id": "e"},
        {"status": "failed", "execution_id": "x", "event_id": "e", "ruleset": {"before": "0" * 64, "after": "1" * 64}},
        {"status": "ruleset"},
        {"status": "ruleset", "execution_id": "x", "ruleset": {"before": "0" * 64, "after": "1" * 64}},
    ],
)
def test_what_a_cause_is_about_agrees_with_its_status(about: dict[str, Any]) -> None:
    """An event names its execution and itself, the adoption of a ruleset names both rulesets and nothing else."""
    with pytest.raises(ValidationError, match="does not agree with its status"):
        Cause.model_validate(about | {"topic": "executions", "partition": 0, "offset": 0})


def test_a_reader_ignores_what_a_later_version_adds() -> None:
    """Unknown members are no error, and values are immutable."""
    changed = Changed.model_validate({"factor": "f", "op": "set", "after": 1, "new": "member"})
    assert changed == Changed(factor="f", op="set", after=1)
    with pytest.raises(ValidationError):
        changed.op = "cleared"  # type: ignore[misc,assignment]


def test_the_contracts_limits_are_the_codes() -> None:
    """The models repeat a few numbers and names that the code decides by."""
    assert contract.MAX_COUNTER == decoding.MAX_COUNTER
    assert FactorChange.model_json_schema()["$defs"]["Executions"]["properties"]["failures"]["maxItems"] == MAX_LISTED
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
