"""What counts of an application whose erasure was lifted: what came behind the lift, whatever was erased before."""

import pytest

from consolidator.keys import event_key
from streams.audit.history.as_of import erased_events
from streams.replay.application_log import ApplicationLog, KeptLog, without_forgotten
from topics.records.erasures import erasure_of, forgotten_in
from topics.records.record import Record

APPLICATION = "app"
ERASED, LIFTED = 3, 5


def tombstone(offset, event_id):
    return Record("executions", 0, offset, 0, event_key(APPLICATION, event_id), None, ())


def log_of(*records):
    entries = {
        ERASED: erasure_of(APPLICATION, b"0" * 16),
        LIFTED: erasure_of(APPLICATION, b"0" * 16, lifted=True),
    }
    log = ApplicationLog(APPLICATION, KeptLog("executions", 1, records), 0, 0, 10)
    return without_forgotten(log, forgotten_in(entries, 0, APPLICATION))


def test_only_tombstones_behind_the_lift_erase_events():
    """Those of before, and of the erased time, say nothing about an event that is published again."""
    log = log_of(tombstone(1, "a"), tombstone(4, "b"), tombstone(6, "c"))
    assert log.accepts_from == LIFTED
    assert erased_events(log) == {"c"}


def test_an_application_that_was_never_erased_counts_from_the_beginning():
    """Every tombstone of it erases its event."""
    log = ApplicationLog(APPLICATION, KeptLog("executions", 1, [tombstone(1, "a")]), 0, 0, 10)
    assert (log.accepts_from, erased_events(log)) == (0, {"a"})


@pytest.mark.parametrize(
    ("steps", "accepts_from", "text"),
    [
        ("e", None, "erased at 0:0"),
        ("el", 1, "erased at 0:0, lifted at 0:1"),
        ("ell", 1, "erased at 0:0, lifted at 0:1"),
        ("ele", None, "erased at 0:2"),
        ("elel", 3, "erased at 0:2, lifted at 0:3"),
    ],
)
def test_the_last_erasure_and_its_lift_are_told(steps, accepts_from, text):
    """A lift of what is lifted already does nothing."""
    entries = {at: erasure_of(APPLICATION, b"0" * 16, lifted=step == "l") for at, step in enumerate(steps)}
    forgotten = forgotten_in(entries, 0, APPLICATION)
    assert (forgotten.accepts_from, str(forgotten)) == (accepts_from, text)
    assert forgotten.lifted == (accepts_from is not None)
