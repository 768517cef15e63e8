"""The verdict about two schemas never contradicts a value: random small schemas, judged beside ``jsonschema``."""

from typing import Any

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tests.compatibility.verdicts import UNDECIDED, findings

SCALARS = [None, True, False, 0, 1, 2, 3, -1, 0.5, 1.5, 2.0, "", "a", "b", "aa", "ab", "abc"]
NAMES = ["a", "b", "c"]
TYPES = ["null", "boolean", "integer", "number", "string", "array", "object"]

values = st.recursive(
    st.sampled_from(SCALARS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
    max_leaves=5,
)
"""Values near what the schemas are about; they are drawn without looking at any schema."""

small = st.integers(0, 3)
keywords: dict[str, st.SearchStrategy[Any]] = {
    "type": st.sampled_from(TYPES) | st.lists(st.sampled_from(TYPES), min_size=1, max_size=3, unique=True),
    "enum": st.lists(st.sampled_from(SCALARS), min_size=1, max_size=3),
    "const": st.sampled_from(SCALARS),
    "minimum": st.integers(-1, 2),
    "maximum": st.integers(0, 3),
    "exclusiveMinimum": st.integers(-1, 2),
    "exclusiveMaximum": st.integers(0, 3),
    "multipleOf": st.sampled_from([1, 2, 0.5]),
    "minLength": small,
    "maxLength": small,
    "pattern": st.sampled_from(["^a", "b$", "^[ab]*$"]),
    "minItems": small,
    "maxItems": small,
    "uniqueItems": st.booleans(),
    "minProperties": small,
    "maxProperties": small,
    "required": st.lists(st.sampled_from(NAMES), max_size=2, unique=True),
}


def compound(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Schemas of schemas, among them keywords that the rules do not know."""
    some = st.lists(inner, min_size=1, max_size=3)
    parts = keywords | {
        "properties": st.dictionaries(st.sampled_from(NAMES), inner, max_size=2),
        "additionalProperties": inner,
        "propertyNames": st.just({"enum": ["a", "b"]}) | st.just({"maxLength": 0}),
        "items": inner,
        "prefixItems": some,
        "anyOf": some,
        "oneOf": some,
        "allOf": some,
        "not": inner,
        "patternProperties": st.dictionaries(st.just("^a"), inner, max_size=1),
        "contains": inner,
    }
    return st.lists(st.sampled_from(sorted(parts)), max_size=4, unique=True).flatmap(
        lambda names: st.fixed_dictionaries({name: parts[name] for name in names})
    )


flat = st.lists(st.sampled_from(sorted(keywords)), max_size=3, unique=True).flatmap(
    lambda names: st.fixed_dictionaries({name: keywords[name] for name in names})
)
schemas = st.recursive(st.booleans() | flat, compound, max_leaves=6)
"""Small schemas of every keyword."""


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Any, Any]:
    """Two schemas: unlike ones, or the second one is the first with a keyword more, less or changed."""
    writer = draw(schemas)
    if not isinstance(writer, dict) or draw(st.integers(0, 3)) == 0:
        return writer, draw(schemas)
    change = draw(compound(flat))
    reader = {key: part for key, part in writer.items() if draw(st.integers(0, 3))} | change
    return (writer, reader) if draw(st.booleans()) else (reader, writer)


SEARCHING = settings(suppress_health_check=[HealthCheck.nested_given, HealthCheck.too_slow])
"""A text that fits a pattern is searched for by Hypothesis as well, in a search that is always the same."""


@SEARCHING
@given(pairs(), st.lists(values, min_size=20, max_size=60))
def test_no_value_contradicts_a_verdict(pair: tuple[Any, Any], drawn: list[Any]) -> None:
    """Where a reader is found compatible, no value that the writer's schema accepts is refused; else the example is."""
    writer, reader = map(Draft202012Validator, pair)
    found = findings(*pair)
    event("compatible" if not found else "undecided" if found[0].rule == UNDECIDED else "incompatible")
    if not found:
        assert [value for value in [*SCALARS, *drawn] if writer.is_valid(value) and not reader.is_valid(value)] == []
    for one in found:
        if one.rule != UNDECIDED:
            assert writer.is_valid(one.example)
            assert not reader.is_valid(one.example)


@SEARCHING
@given(schemas)
def test_a_schema_is_compatible_with_itself(schema: Any) -> None:
    """Whatever keywords it has, known or not."""
    assert findings(schema, schema) == []


@SEARCHING
@given(pairs())
def test_what_is_added_by_a_choice_reads_what_was_read(pair: tuple[Any, Any]) -> None:
    """Both schemas of a choice are never found incompatible with it: no example can exist."""
    one, other = pair
    for found in findings(one, {"anyOf": [one, other]}):
        assert found.rule == UNDECIDED
