"""A lane takes its partition's batches one behind the other, or not at all."""

import asyncio

import pytest

from models.errors import ContractError
from models.rows import PartitionMark
from streams.worker.batch import Batch, Membership, Outgoing
from streams.worker.folded import Folded
from streams.worker.lane import Lane, Share, process


def test_a_hole_between_two_batches_is_refused():
    """A batch that does not start where the last one ended is not looked at: something was lost on the way."""
    untouched = object()
    lane = Lane(1, untouched, untouched, untouched, changelog="changelog", executor=untouched, start=7)
    batch = Batch("executions", 1, 9, 12, (), Membership("app", 1, "me"))
    with pytest.raises(ContractError, match="starts at 9, expected was 7"):
        asyncio.run(process([(lane, batch)], pytest.fail, pytest.fail))


def test_records_are_let_go_once_the_producer_has_them():
    """It keeps copies, and the commit is still to come: both would be in memory until then."""

    class Transactions:
        def __init__(self):
            self.produced = []

        def produce(self, outgoing):
            self.produced += outgoing

        def produce_rows(self, changelog, partition, rows):
            self.produced.append((changelog, partition, rows))

    nobody = object()
    lane = Lane(1, nobody, nobody, nobody, changelog="changelog", executor=nobody, start=7)
    folded = Folded(PartitionMark(1, 7, "rules"), outgoing=[Outgoing("factors", 1, b"key", b"value")])
    share = Share(lane, Batch("executions", 1, 7, 8, (), Membership("app", 1, "me")), folded, [(b"key", b"row")])
    lane.produce(share, transactions := Transactions())
    assert transactions.produced == [Outgoing("factors", 1, b"key", b"value"), ("changelog", 1, [(b"key", b"row")])]
    assert folded.outgoing == []
    assert share.rows == [(b"key", b"row")]
