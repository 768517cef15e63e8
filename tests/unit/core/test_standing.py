"""The state machine of an execution, from the set of its events."""

from itertools import permutations

import pytest

from models.events import Status
from models.rows import Entry
from streams.core.standing import Kind, evicts, is_evicted, standing_of


def entry(status, attempt=1, *, at=0, event_id=None, **fields):
    event_id = event_id or f"{status.text}-{attempt}-{at}"
    return Entry(event_id, b"", status, at, attempt, **fields)


R, S, C, F = Status.REQUESTED, Status.STARTED, Status.COMPLETED, Status.FAILED
OUT, GONE = Status.SUPERSEDED, Status.CANCELLED

# Events as (status, attempt), and where the execution then stands.
TABLE = [
    ([], Kind.UNKNOWN),
    ([(R, 1)], Kind.OPEN),
    ([(R, 1), (S, 1)], Kind.OPEN),
    ([(S, 1), (C, 1)], Kind.COMPLETED),
    ([(S, 1), (F, 1)], Kind.FAILED),
    ([(F, 1), (C, 2)], Kind.COMPLETED),
    ([(C, 1), (F, 2)], Kind.FAILED),
    ([(C, 1), (R, 2), (S, 2)], Kind.COMPLETED),
    ([(C, 1), (OUT, None)], Kind.OUT),
    ([(F, 1), (GONE, None)], Kind.OUT),
    ([(C, 2), (OUT, 1)], Kind.COMPLETED),
    ([(C, 2), (OUT, 2)], Kind.OUT),
    ([(C, 2), (OUT, 3)], Kind.OUT),
    ([(C, 1), (S, 2), (GONE, 1)], Kind.OUT),
    ([(C, 1), (GONE, 1), (C, 2)], Kind.COMPLETED),
    ([(GONE, None)], Kind.OUT),
    ([(GONE, 1)], Kind.OUT),
    ([(R, 2), (GONE, 1)], Kind.OPEN),
    ([(R, 2), (GONE, 2)], Kind.OUT),
    ([(R, 2), (GONE, 1), (OUT, 2)], Kind.OUT),
    ([(R, 1), (GONE, 1), (OUT, 3)], Kind.OUT),
]


@pytest.mark.parametrize(("events", "kind"), TABLE)
def test_where_an_execution_stands(events, kind):
    """A closing event reaches its attempt and those before; a retry that only began undoes no end; order is nothing."""
    entries = [entry(status, attempt, at=number) for number, (status, attempt) in enumerate(events)]
    for order in permutations(entries):
        assert standing_of(order, evicted=False).kind is kind


@pytest.mark.parametrize(("events", "kind"), TABLE)
def test_eviction_takes_ends_out(events, kind):
    """A replaced execution that has ended is out; one that still runs is still running."""
    standing = standing_of(tuple(entry(status, attempt) for status, attempt in events), evicted=True)
    assert standing.kind is (Kind.OUT if kind in {Kind.COMPLETED, Kind.FAILED} else kind)
    assert standing.end is None


def test_the_end_decides():
    """An active execution's standing names the greatest of its ends."""
    last = entry(F, 2, at=1)
    standing = standing_of((last, entry(C, 1, at=9), entry(S, 3)), evicted=False)
    assert standing.end is last


@pytest.mark.parametrize(
    ("events", "replace", "keep_previous"),
    [
        ([], False, False),
        ([(S, 1)], False, False),
        ([(C, 1)], True, True),
        ([(F, 1)], True, False),
        ([(C, 1), (OUT, None)], True, True),
        ([(C, 1), (GONE, None)], False, False),
        ([(C, 2), (GONE, 1)], True, True),
        ([(C, 1), (F, 2)], True, False),
    ],
)
def test_who_throws_out_what_it_supersedes(events, replace, keep_previous):
    """It takes an end and no cancellation; under keep_previous the end must be a success; supersession is no matter."""
    entries = tuple(entry(status, attempt) for status, attempt in events)
    assert evicts(entries, keep_previous=False) is replace
    assert evicts(entries, keep_previous=True) is keep_previous


def test_any_claimant_that_evicts_is_enough():
    """Of several executions that name one, a single ended one replaces it; one never seen replaces nothing."""
    executions = {"b": (entry(S),), "c": (entry(C),)}
    assert not is_evicted("a", executions, {"a": ("b", "ghost")}, keep_previous=False)
    assert is_evicted("a", executions, {"a": ("b", "c")}, keep_previous=False)
    assert not is_evicted("a", executions, {}, keep_previous=False)
