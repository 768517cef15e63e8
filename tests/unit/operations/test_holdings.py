"""Records that do not say whose they are: the key decides, then the id as a string of its own; both are told."""

import gzip

import pytest

from consolidator.keys import event_key
from streams.operations.holdings import Holding, Retention, Search, Whose
from topics.records.dead_letter_format import KEY
from topics.records.record import Record

LOAN = Search("loan-1")


def record(value, key=None, offset=0):
    return Record("executions", 0, offset, 0, key, value, ())


def letter(value, key=None):
    return Record("executions.dlq", 0, 0, 0, b"executions/0/0", value, ((KEY, key),))


@pytest.mark.parametrize(
    ("value", "whose"),
    [
        (b"loan-1;started", Whose.MENTIONED),
        (b"id=loan-1", Whose.MENTIONED),
        (b"'loan-1'", Whose.MENTIONED),
        (b"loan-10;started", Whose.UNCLEAR),
        (b"my-loan-1;started", Whose.UNCLEAR),
        (b"https://lender/loan-1", Whose.UNCLEAR),
        (b'{"applicationId":"loan-1"}', Whose.MENTIONED),
        (b'{"applicationId":"loan-10"}', Whose.UNCLEAR),
        (b'{"application_id":17,"note":"loan-1"}', Whose.OTHERS),
        (b'{"application_id":"loan-10","note":"loan-1"', Whose.OTHERS),
        (b'{"application_id":"loan-1', Whose.UNCLEAR),
        (b'\x00\x00\x00\x00\x07{"application_id":"loan-1"}', Whose.ITS),
        (b'\xff{"application_id":"loan\\u002d1"', Whose.ITS),
        (gzip.compress(b'{"application_id":"loan-1"}', mtime=0), Whose.ITS),
        (gzip.compress(b'{"application_id":"loan-10"}', mtime=0), Whose.OTHERS),
        (b"nothing of the kind", Whose.OTHERS),
        (b"", Whose.OTHERS),
    ],
)
def test_a_value_that_cannot_be_read(value, whose):
    """The member application_id decides where it can be made out; else the id has to stand by itself."""
    assert LOAN.source(record(value)) is whose
    assert LOAN.dead_letter(letter(value)) is whose


def test_a_canonical_key_of_another_application_decides_against():
    """Whatever stands in an unreadable value; it is told as unclear."""
    value, key = b"about loan-1", event_key("loan-10", "e")
    assert LOAN.source(record(value, key)) is Whose.UNCLEAR
    assert LOAN.dead_letter(letter(value, key)) is Whose.UNCLEAR
    assert Search("loan-10").source(record(value, key)) is Whose.ITS


def test_a_key_that_is_the_id_alone_is_as_good_as_a_mention():
    """Producers key by application: an unreadable record under such a key is the application's."""
    assert LOAN.source(record(b"\x01\x02", b"loan-1")) is Whose.MENTIONED
    assert LOAN.dead_letter(letter(b"\x01\x02", b"loan-1")) is Whose.MENTIONED
    assert LOAN.source(record(b"\x01\x02", b"loan-10")) is Whose.OTHERS


def test_what_it_says_goes_before_the_key_of_a_dead_letter():
    """It is the only copy of another application's bad event; in the source that one stands as a dead letter."""
    value, key = b'{"application_id":"loan-10"}', event_key("loan-1", "e")
    assert LOAN.dead_letter(letter(value, key)) is Whose.OTHERS
    assert Search("loan-10").dead_letter(letter(value, key)) is Whose.ITS
    assert LOAN.source(record(value, key)) is Whose.ITS


def test_a_holding_tells_the_places():
    """Those that were taken by a mention, and those that were not taken; a tombstone takes away what stands."""
    holding = Holding("executions", Retention({}))
    holding.take(record(b"loan-1", b"a", 3), Whose.MENTIONED)
    holding.take(record(b"loan-10", b"b", 4), Whose.UNCLEAR)
    holding.take(record(b"x", b"c", 5), Whose.ITS)
    holding.take(record(None, b"c", 6), Whose.OTHERS)
    assert (holding.mentioned, holding.unclear) == ([(0, 3)], [(0, 4)])
    assert (holding.records, holding.standing, holding.keys) == (2, 1, {0: {b"a"}})
