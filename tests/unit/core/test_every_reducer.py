"""Whoever computes with reducers, or tells how one computes, knows every one of them."""

import pytest

from models.catalogue import Reducer
from streams.audit.history import arithmetic
from streams.core import mission_api
from streams.core.reducers import POSITIONAL, REDUCTIONS
from tests.inputs.strategies import ADVERSARIAL_CATALOGUE
from tests.oracle import rules

KNOWN = {
    "the fold": {*REDUCTIONS, *POSITIONAL},
    "the recomputation that the fold equals": {*mission_api._REDUCERS},
    "the oracle": {Reducer(name) for name in rules.REDUCERS},
    "the words": {*arithmetic._CALCULATIONS, *POSITIONAL},
    "the property tests' catalogue": {
        Reducer(factor["reducer"])
        for processor in ADVERSARIAL_CATALOGUE["processors"].values()
        for factor in processor["factors"].values()
    },
}


@pytest.mark.parametrize("whose", KNOWN)
def test_no_reducer_is_missing(whose):
    assert {*Reducer} - KNOWN[whose] == set()
