"""State rows: the order of ends, and a weight that is at least what a row takes."""

from itertools import pairwise

import pytest

from models.events import Status
from models.rows import MAX_EXECUTIONS, MAX_WEIGHT, Entry, Row
from models.weights import entry_weight
from streams.partition.state.row_codec import encode_row


def entry(event_id="e", **fields):
    return Entry(event_id, b"\0" * 16, fields.pop("status", Status.COMPLETED), fields.pop("at", 0), **fields)


def test_ends_are_ordered_by_attempt_sequence_time_id_and_content():
    """Each of them decides only where all before it are equal."""
    ordered = [
        entry("z", attempt=1, sequence=-1, at=9),
        entry("z", attempt=1, sequence=0, at=1),
        entry("a", attempt=1, sequence=0, at=2),
        entry("b", attempt=1, sequence=0, at=2),
        Entry("b", b"\1" * 16, Status.FAILED, 2, attempt=1, sequence=0),
        entry("a", attempt=2, sequence=-1, at=0),
    ]
    assert all(lesser.order < greater.order for lesser, greater in pairwise(ordered))
    assert entry(attempt=None).order < entry(attempt=1).order


@pytest.mark.parametrize("text", ["", "x", "x" * 40, "é" * 40, "\N{GRINNING FACE}" * 20, "\x00" * 300, '"\\' * 50])
def test_an_entry_weighs_at_least_its_bytes(text):
    """Whatever the characters, no entry takes more of a row than it weighs."""
    full = entry(
        text,
        at=-(2**55),
        attempt=2**31 - 1,
        sequence=2**31 - 1,
        supersedes=text,
        code=text,
        contributes=True,
        factors={text: '"y"', f"{text}2": "1" * 39},
    )
    row = Row("app", "p", "r@d", 0, 0, entry_weight(full, text), {text: (full,)})
    empty = Row("app", "p", "r@d", 0, 0, 0, {})
    assert len(encode_row(row)) - len(encode_row(empty)) <= entry_weight(full, text)
    bare = entry(text)
    assert entry_weight(bare, text) < entry_weight(full, text)
    assert entry_weight(bare, text) < entry_weight(bare, text + "x")


def test_a_full_row_of_ordinary_events_is_not_too_heavy():
    """The limit of executions is reached before the limit of weight: the latter is for huge events."""
    ordinary = entry("evt-0123456789abcdef0123456789abcdef", factors={"f_revenue_monthly": "12345.67"})
    assert 3 * MAX_EXECUTIONS * entry_weight(ordinary, "exec-000001-2-0001") <= MAX_WEIGHT
