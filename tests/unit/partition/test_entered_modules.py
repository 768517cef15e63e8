"""Which modules of the partition's fold an event's way leads through, and how often each of them is entered."""

import sys
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest

from streams.core.compiled import is_compiled
from tests.inputs.cases import ok, one_factor
from tests.inputs.repository import ROOT
from tests.oracle.folds import Partition, record_of

PACKAGE = ROOT / "streams" / "partition"
APPLICATIONS = 50
MOST_ENTRIES = 3
"""To take a batch, to finish it, and to let it go once it is written."""

pytestmark = pytest.mark.skipif(is_compiled(), reason="compiled functions are not seen by a profiler")


@contextmanager
def entered():
    """Count by module how often a function of streams/partition is called from another module."""
    found: Counter[str] = Counter()

    def profile(frame: FrameType, what: str, _: object) -> None:
        file = frame.f_code.co_filename
        caller = frame.f_back
        if what == "call" and file.startswith(str(PACKAGE)) and caller and caller.f_code.co_filename != file:
            found[Path(file).relative_to(PACKAGE).as_posix()] += 1

    sys.setprofile(profile)
    try:
        yield found
    finally:
        sys.setprofile(None)


def events(first: int, count: int):
    return [
        record_of(number, ok(f"e{number}", number, application_id=f"app{number % APPLICATIONS}"))
        for number in range(first, first + count)
    ]


def trace(count: int) -> Counter[str]:
    """Fold so many events of pairs that are in memory, and write the rows."""
    partition = Partition(one_factor("sum"), cached_pairs=1_000)
    partition.take(*events(0, APPLICATIONS))
    batch = events(APPLICATIONS, count)
    with entered() as found:
        partition.take(*batch)
    assert len(partition.values("factor-changes")) == APPLICATIONS + count
    return found


def test_events_enter_each_module_once_a_step():
    """However many events are folded together, each module is entered as often as for one: once in each step."""
    few, many = trace(200), trace(1_000)
    assert few == many
    assert many["record_kinds.py"] == 1
    assert max(many.values()) <= MOST_ENTRIES, many


def test_a_pair_that_is_not_in_memory_is_loaded_once():
    """What is entered more often, is so for each pair of the batch, not for each of its events."""
    partition = Partition(one_factor("sum"), cached_pairs=1_000)
    with entered() as found:
        partition.take(*events(0, 10 * APPLICATIONS))
    assert found["rows.py"] < 2 * APPLICATIONS
    assert found["record_kinds.py"] == 1
