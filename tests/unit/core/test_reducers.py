"""Reducers: each over its values, each undone value by value, each absent over none."""

import pytest

from models.catalogue import Reducer
from streams.core.reducers import POSITIONAL, REDUCTIONS

CASES = [
    (Reducer.COUNT, None, ["1", '"x"', "true"], "3"),
    (Reducer.SUM, None, ["0.1", "0.2", "-1"], "-0.7"),
    (Reducer.SUM, 0, ["0.25", "0.25"], "0"),
    (Reducer.SUM, None, ["1" + "0" * 29, "1", "-1" + "0" * 29], "1"),
    (Reducer.MEAN, 2, ["10000", "12000"], "11000"),
    (Reducer.MEAN, 1, ["0.1", "0.2", "0.3", "0.4"], "0.2"),
    (Reducer.MIN, None, ["2.5", "10", "2.5", "9"], "2.5"),
    (Reducer.MAX, None, ["-2.5", "-10"], "-2.5"),
    (Reducer.MIN, 0, ["2.5"], "2"),
    (Reducer.MAX, 0, ["3.5"], "4"),
    (Reducer.DISTINCT_COUNT, None, ["1", '"1"', "true", '"true"', "1"], "4"),
    (Reducer.COUNT_TRUE, None, ["false", "false"], "0"),
    (Reducer.COUNT_TRUE, None, ["false", "true"], "1"),
    (Reducer.ALL_TRUE, None, ["true", "true"], "true"),
    (Reducer.ALL_TRUE, None, ["true", "false"], "false"),
    (Reducer.ANY_TRUE, None, ["false", "true"], "true"),
    (Reducer.ANY_TRUE, None, ["false", "false"], "false"),
]


@pytest.mark.parametrize(("reducer", "scale", "values", "result"), CASES)
def test_a_reducer_over_its_values(reducer, scale, values, result):
    """Values in, one canonical text out, in whatever order they come."""
    reduction = REDUCTIONS[reducer]
    for order in (values, values[::-1]):
        accumulator = reduction.start
        for value in order:
            accumulator = reduction.add(accumulator, value)
        assert reduction.render(accumulator, scale) == result


@pytest.mark.parametrize(("reducer", "scale", "values", "_result"), CASES)
def test_removing_undoes_adding(reducer, scale, values, _result):
    """With each value gone the accumulator is what it would be without it, and in the end there is no factor."""
    reduction = REDUCTIONS[reducer]
    before = [reduction.start]
    for value in values:
        before.append(reduction.add(before[-1], value))
    accumulator = before[-1]
    for value, without in zip(reversed(values), reversed(before[:-1]), strict=True):
        accumulator = reduction.remove(accumulator, value)
        assert accumulator == without
    assert reduction.render(accumulator, scale) is None


def test_every_reducer_accumulates_or_picks():
    """The table and the positional reducers are all reducers of the catalogue."""
    assert REDUCTIONS.keys() | POSITIONAL == {*Reducer}
    assert not REDUCTIONS.keys() & POSITIONAL
