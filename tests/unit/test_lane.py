"""A lane takes its partition's batches one behind the other, or not at all."""

import asyncio

import pytest

from models.errors import ContractError
from streams.worker.batch import Batch, Membership
from streams.worker.lane import Lane, process


def test_a_hole_between_two_batches_is_refused():
    """A batch that does not start where the last one ended is not looked at: something was lost on the way."""
    untouched = object()
    lane = Lane(1, untouched, untouched, untouched, changelog="changelog", executor=untouched, start=7)
    batch = Batch("executions", 1, 9, 12, (), Membership("app", 1, "me"))
    with pytest.raises(ContractError, match="starts at 9, expected was 7"):
        asyncio.run(process([(lane, batch)], pytest.fail, pytest.fail))
