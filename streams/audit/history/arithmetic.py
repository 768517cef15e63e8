"""How a factor is computed from its values: in words, and as a calculation that a person can check."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from models.catalogue import FactorRule, FieldRule, ProcessorRule, ProcessorType, Reducer
from models.numbers import scalar_text, text_of_units, units_of
from streams.core.reducers import POSITIONAL

__all__ = ["bounds_text", "calculation", "rule_text"]

# If there are more values, only their number and their sum are shown.
_WRITTEN_OUT: Final = 8

MERGED: Final = "merge"
"""The rule of a processor that the ruleset does not declare: of each field the value of the latest execution."""


def rule_text(rule: FactorRule | None, field: str, declared: ProcessorRule | None) -> str:
    """The rule of a factor in words: how the values of its field are reduced.

    Args:
        rule: the factor's rule; None: the ruleset does not declare the processor.
        field: the field that is read.
        declared: the processor's rule, which contains the factor's; None: the ruleset does not declare the processor.
    """
    if rule is None or declared is None:
        return f"{MERGED}: {field} of the latest execution that has it (the ruleset does not declare this processor)"
    parts = [f"{rule.reducer} of {field}"]
    if declared.type is ProcessorType.APPLICATION:
        parts.append("of the latest contributing execution alone")
    if rule.scale is not None:
        places = "1 decimal place" if rule.scale == 1 else f"{rule.scale} decimal places"
        parts.append(f"rounded half to even to {places}")
    if bounds := bounds_text(declared.fields[field]):
        parts.append(f"accepted where {bounds}")
    return ", ".join(parts)


def bounds_text(rule: FieldRule) -> str:
    """Which values are accepted, in words; empty: there are no bounds."""
    bounds = (("≥", rule.minimum), ("≤", rule.maximum))
    return " and ".join(f"{sign} {scalar_text(bound)}" for sign, bound in bounds if bound is not None)


def calculation(reducer: Reducer | None, values: Sequence[tuple[str, str]], result: str) -> str:
    """The calculation with its numbers.

    Args:
        reducer: the reducer; None: the values are merged.
        values: the execution's id and its value as JSON text, of every value that is reduced, in execution order.
        result: the factor's value.
    """
    texts = [text for _, text in values]
    how = _CALCULATIONS.get(reducer)
    if how is not None:
        return f"{how(texts)} = {result}"
    assert reducer is None or reducer in POSITIONAL, reducer  # noqa: S101 - tests/unit/core/test_every_reducer.py
    source = values[0] if reducer is Reducer.EARLIEST else values[-1]
    which = "earliest" if reducer is Reducer.EARLIEST else "latest"
    return f"{source[1]} of {source[0]}, the {which} = {result}"


def _sum(texts: Sequence[str]) -> str:
    if len(texts) <= _WRITTEN_OUT:
        return " + ".join(f"({text})" if text.startswith("-") else text for text in texts)
    return f"{text_of_units(sum(map(units_of, texts)))} (the sum of {len(texts)} values)"


def _mean(texts: Sequence[str]) -> str:
    total = _sum(texts)
    return f"({total}) / {len(texts)}" if 1 < len(texts) <= _WRITTEN_OUT else f"{total} / {len(texts)}"


def _of(name: str) -> Callable[[Sequence[str]], str]:
    def told(texts: Sequence[str]) -> str:
        return f"{name}({', '.join(texts)})" if len(texts) <= _WRITTEN_OUT else f"{name} of {len(texts)} values"

    return told


def _true(texts: Sequence[str]) -> str:
    return f"{texts.count('true')} of {len(texts)} true"


_CALCULATIONS: Final[Mapping[Reducer | None, Callable[[Sequence[str]], str]]] = {
    Reducer.MEAN: _mean,
    Reducer.SUM: _sum,
    Reducer.MIN: _of("min"),
    Reducer.MAX: _of("max"),
    Reducer.COUNT: lambda texts: f"number of {len(texts)} values" if len(texts) != 1 else "number of 1 value",
    Reducer.DISTINCT_COUNT: lambda texts: f"{len(set(texts))} different of {len(texts)} values",
    Reducer.COUNT_TRUE: _true,
    Reducer.ALL_TRUE: _true,
    Reducer.ANY_TRUE: _true,
}
