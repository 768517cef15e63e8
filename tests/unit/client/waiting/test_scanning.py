"""A scan finds the results of one source record, and knows whether it has begun early enough for all of them."""

from dataclasses import dataclass
from typing import Any

import pytest

from consolidator import UnreadableRecordError
from consolidator.waiting.scanning import Scan, source_of_change, source_of_letter
from consolidator.waiting.steps import may_be_deleted

DAY_MS = 86_400_000


@dataclass
class Message:
    """A message as librdkafka delivers it."""

    where: int
    source: int | None = None
    raw_key: bytes | None = None
    raw_value: bytes | None = None
    raw_headers: Any = None
    is_end: bool = False

    def offset(self):
        return self.where

    def error(self):
        return "the end" if self.is_end else None

    def key(self):
        return self.raw_key

    def value(self):
        return self.raw_value

    def headers(self):
        return self.raw_headers

    def topic(self):
        return "factor-changes"

    def partition(self):
        return 0


def scan_of(*sources, wanted=5, first=0, position=10):
    """A scan that has taken records of these source records; None: a record of none."""
    scan = Scan("factor-changes", 0, wanted, lambda message: message.source, first, position)
    for offset, source in enumerate(sources, position):
        scan.take(Message(offset, source))
    return scan


def test_all_results_of_the_record_are_found():
    """Between those of earlier and later ones."""
    scan = scan_of(3, 4, None, 5, 5, 6, 7)
    assert [message.where for message in scan.found] == [13, 14]
    assert (scan.is_complete_before, scan.is_past, scan.position) == (True, True, 17)


@pytest.mark.parametrize("sources", [(5, 6), (6, 7), (None,), ()])
def test_a_scan_that_began_too_late_says_so(sources):
    """The first record it has met is not of an earlier source record: there may be results before it."""
    assert not scan_of(*sources).is_complete_before


@pytest.mark.parametrize("sources", [(5, 6), (6, 7), (None,), ()])
def test_before_the_first_offset_nothing_is(sources):
    """A scan from the beginning on is complete."""
    assert scan_of(*sources, first=10).is_complete_before


def test_the_end_is_read_by_position_or_by_a_later_result():
    """Markers have offsets and are no messages; behind a later record's result there is none of this one."""
    scan = scan_of(4)
    assert not scan.has_read(20)
    scan.take(Message(20, is_end=True))
    assert scan.has_read(20)
    assert scan_of(4, 6).has_read(1_000)
    assert not scan_of(4, 5).has_read(1_000)


def test_a_tombstone_is_of_no_record():
    """Neither among changes nor among dead letters; a redrive's mark is no letter."""
    letter = [("dlq_error_class", b"invalid_time")]
    assert source_of_change(Message(0)) is None
    assert source_of_change(Message(0, raw_value=b'{"cause": {"offset": 7}}')) == 7
    assert source_of_letter(Message(0, raw_key=b"executions/0/7", raw_headers=letter)) == 7
    assert source_of_letter(Message(0, raw_key=b"executions/0/7", raw_headers=dict(letter))) == 7
    assert source_of_letter(Message(0, raw_key=b"executions/0/7")) is None
    assert source_of_letter(Message(0, raw_key=b"executions/0/7/redriven", raw_headers=letter)) is None
    assert source_of_letter(Message(0, raw_headers=letter)) is None


def test_an_unreadable_change_is_named():
    """It is not skipped: it might be the one."""
    with pytest.raises(UnreadableRecordError, match="factor-changes partition 0 offset 3"):
        source_of_change(Message(3, raw_value=b"{}"))


def test_a_dead_letter_of_long_ago_may_be_deleted():
    """Not if nothing was ever deleted, nor if an earlier letter is still there, nor within the time they are kept."""
    month = 30 * DAY_MS
    assert may_be_deleted(scan_of(6, first=10), 0, now_ms=month)
    assert not may_be_deleted(scan_of(6, first=0), 0, now_ms=month)
    assert not may_be_deleted(scan_of(4, first=10), 0, now_ms=month)
    assert not may_be_deleted(scan_of(6, first=10), 0, now_ms=month - 2 * DAY_MS)
