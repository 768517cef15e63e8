"""The compatibility check by role: each kind of edit has its expected verdict, rule, place and example."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from tests.compatibility.edits import BASE, EDITS, Edit
from tests.compatibility.verdicts import UNDECIDED, findings
from topics.contract.schemas import closed

IDS = [edit.name for edit in EDITS]


def accepts(schema: Any, value: Any) -> bool:
    return Draft202012Validator(schema, format_checker=FormatChecker()).is_valid(value)


def check(writer: Any, reader: Any, expected: tuple[str, str] | None) -> None:
    found = findings(writer, reader)
    assert {(one.rule, one.pointer) for one in found} >= {expected} - {None}
    assert bool(found) == (expected is not None), found
    for one in found:
        if one.rule != UNDECIDED:
            example = json.loads(json.dumps(one.example))
            assert accepts(writer, example)
            assert not accepts(reader, example)
            assert holds(example, one.pointer, one.rule)


def holds(example: Any, pointer: str, rule: str) -> bool:
    """Whether a pointer leads to a place in the example; of a required member, to one that is not there."""
    *path, last = pointer.split("/")[1:] or [None]
    for name in path:
        example = example[int(name) if isinstance(example, list) else name]
    if rule == "required":
        return last not in example
    return last is None or (int(last) < len(example) if isinstance(example, list) else last in example)


@pytest.mark.parametrize("edit", EDITS, ids=IDS)
def test_an_edit_of_what_is_published_is_judged(edit: Edit) -> None:
    """The edited schema, closed, writes; subscribers read with the schema before, which is open."""
    check(closed(edit.schema()), BASE, edit.publisher)


@pytest.mark.parametrize("edit", EDITS, ids=IDS)
def test_an_edit_of_what_is_read_is_judged(edit: Edit) -> None:
    """Producers write by the schema before, without members of their own; the edited schema reads."""
    check(closed(BASE), edit.schema(), edit.consumer)


@pytest.mark.parametrize("edit", EDITS, ids=IDS)
def test_every_schema_of_an_edit_is_one(edit: Edit) -> None:
    """An edit that is no schema would be judged by accident."""
    Draft202012Validator.check_schema(edit.schema())
