"""The reducers of the catalogue: one table, each an accumulator that can add, remove and render.

Accumulators are immutable and exact: counts, sums in units of 10**-38, and counted multisets. Removing a value gives
the same accumulator as if the value had never been added, so incremental equals recomputation byte for byte. No value
at all renders as None: the factor is then absent - never 0, null or a vacuous ``all_true``.

How to add a reducer is described in ``docs/the-way-of-an-event.md``, "Where do I add …".
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from models.catalogue import Reducer
from models.numbers import round_ratio, text_of_units, units_of

__all__ = ["POSITIONAL", "REDUCTIONS", "Reduction", "rounded"]


class Reduction(NamedTuple):
    """How a reducer accumulates.

    Attributes:
        start: the accumulator of no value.
        add: accumulator and a value's canonical text to the next accumulator.
        remove: the inverse of ``add``.
        render: accumulator and scale to canonical text; None where there is no value.
    """

    start: Any
    add: Callable[[Any, str], Any]
    remove: Callable[[Any, str], Any]
    render: Callable[[Any, int | None], str | None]


class _Total(NamedTuple):
    values: int
    units: int


class _Truths(NamedTuple):
    values: int
    true: int


def rounded(units: int, scale: int | None) -> str:
    """A number as canonical text, rounded half to even where a scale is declared."""
    return text_of_units(units) if scale is None else round_ratio(units, 1, scale)


def _render_count(count: int, _scale: int | None) -> str | None:
    return str(count) if count else None


def _add_total(total: _Total, text: str) -> _Total:
    return _Total(total.values + 1, total.units + units_of(text))


def _remove_total(total: _Total, text: str) -> _Total:
    return _Total(total.values - 1, total.units - units_of(text))


def _render_sum(total: _Total, scale: int | None) -> str | None:
    return rounded(total.units, scale) if total.values else None


def _render_mean(total: _Total, scale: int | None) -> str | None:
    if not total.values:
        return None
    assert scale is not None, "the catalogue gives every mean a scale"  # noqa: S101 - an invariant
    return round_ratio(total.units, total.values, scale)


def _add_truth(truths: _Truths, text: str) -> _Truths:
    return _Truths(truths.values + 1, truths.true + (text == "true"))


def _remove_truth(truths: _Truths, text: str) -> _Truths:
    return _Truths(truths.values - 1, truths.true - (text == "true"))


def _render_count_true(truths: _Truths, _scale: int | None) -> str | None:
    return str(truths.true) if truths.values else None


def _render_all_true(truths: _Truths, _scale: int | None) -> str | None:
    return _boolean(truths.true == truths.values) if truths.values else None


def _render_any_true(truths: _Truths, _scale: int | None) -> str | None:
    return _boolean(truths.true > 0) if truths.values else None


def _boolean(value: bool) -> str:  # noqa: FBT001 - the value is the subject
    return "true" if value else "false"


def _add_copy(copies: Mapping[str, int], text: str) -> dict[str, int]:
    return {**copies, text: copies.get(text, 0) + 1}


def _remove_copy(copies: Mapping[str, int], text: str) -> dict[str, int]:
    left = dict(copies)
    left[text] -= 1
    if not left[text]:
        del left[text]
    return left


def _render_distinct(copies: Mapping[str, int], _scale: int | None) -> str | None:
    return str(len(copies)) if copies else None


def _render_min(copies: Mapping[str, int], scale: int | None) -> str | None:
    return rounded(min(map(units_of, copies)), scale) if copies else None


def _render_max(copies: Mapping[str, int], scale: int | None) -> str | None:
    return rounded(max(map(units_of, copies)), scale) if copies else None


_NO_TOTAL: Final = _Total(0, 0)
_NO_TRUTHS: Final = _Truths(0, 0)
_NO_COPIES: Mapping[str, int] = {}

REDUCTIONS: Mapping[Reducer, Reduction] = {
    Reducer.COUNT: Reduction(0, lambda count, _: count + 1, lambda count, _: count - 1, _render_count),
    Reducer.SUM: Reduction(_NO_TOTAL, _add_total, _remove_total, _render_sum),
    Reducer.MEAN: Reduction(_NO_TOTAL, _add_total, _remove_total, _render_mean),
    Reducer.MIN: Reduction(_NO_COPIES, _add_copy, _remove_copy, _render_min),
    Reducer.MAX: Reduction(_NO_COPIES, _add_copy, _remove_copy, _render_max),
    Reducer.DISTINCT_COUNT: Reduction(_NO_COPIES, _add_copy, _remove_copy, _render_distinct),
    Reducer.COUNT_TRUE: Reduction(_NO_TRUTHS, _add_truth, _remove_truth, _render_count_true),
    Reducer.ALL_TRUE: Reduction(_NO_TRUTHS, _add_truth, _remove_truth, _render_all_true),
    Reducer.ANY_TRUE: Reduction(_NO_TRUTHS, _add_truth, _remove_truth, _render_any_true),
}

POSITIONAL: Final = frozenset({Reducer.LATEST, Reducer.EARLIEST})
"""Reducers that pick a value by execution order and accumulate nothing."""
