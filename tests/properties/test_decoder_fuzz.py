"""100,000 fuzzed payloads and Hypothesis's own: each is an event or a bad one, as a second decoder says.

CONSOLIDATOR_FAULT_SEED repeats a run; by default every run has another seed, which stands in the failure.
"""

import json
import time
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from models.errors import BadEventError, Defect
from models.events import LifecycleEvent
from streams.replay.replay import without_collector
from tests.fault_runs.scale import SEED
from tests.inputs.fuzzing import fuzzed
from tests.oracle.reference_decoder import is_event
from topics.records.decoding import decode_event

PAYLOADS = 100_000
MAX_BYTES = 262_144
MOST_CPU_S = 0.5
"""For one payload of some thousand bytes, which takes some ten microseconds: only runaway work gets near."""
RECORDED_MS = 1_764_000_000_000


def verdict(raw):
    """The event's class or the defect; anything else that is raised fails the test."""
    try:
        found = decode_event(raw, max_bytes=MAX_BYTES, recorded_at=RECORDED_MS * 1000)
    except BadEventError as error:
        return error.defect
    assert type(found) is LifecycleEvent
    return None


def judged(raw):
    """The verdict, after a look at the clock and at the second decoder."""
    # A collection of what other tests have left behind takes longer than any payload, and is no work of the decoder's.
    with without_collector():
        started = time.thread_time()
        found = verdict(raw)
        taken = time.thread_time() - started
    assert taken < MOST_CPU_S, raw[:1_000]
    assert (found is None) == is_event(raw, max_bytes=MAX_BYTES, recorded_ms=RECORDED_MS), (found, raw[:1_000])
    return found


def test_100_000_fuzzed_payloads_are_events_or_bad_events():
    """Nothing else comes out, none takes long, and every verdict is the second decoder's; both kinds are many."""
    verdicts = Counter(judged(raw) for raw in fuzzed(SEED, PAYLOADS, prefix="fuzz"))
    assert sum(verdicts.values()) == PAYLOADS
    assert verdicts[None] > PAYLOADS // 10, (SEED, verdicts)
    assert len(verdicts) > len(Defect) // 2, (SEED, verdicts)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_event_or_a_bad_event(raw):
    """Bytes that no event was the origin of, too."""
    judged(raw)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10) | st.sampled_from(["completed", "failed", "1.0"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = ["application_id", "execution_id", "processor", "status", "occurred_at", "attempt", "sequence", "output"]
MORE_FIELDS = ["error", "supersedes", "event_id", "schema_version", "specversion", "data"]


@given(st.dictionaries(st.sampled_from(FIELDS + MORE_FIELDS), JSON_VALUES), st.booleans())
def test_any_value_in_any_field_is_an_event_or_a_bad_event(changes, from_good):
    """An event whose fields hold anything that JSON can hold."""
    good = {
        "application_id": "a",
        "execution_id": "e",
        "processor": "p",
        "status": "completed",
        "occurred_at": "2025-03-03T09:00:00Z",
    }
    judged(json.dumps((good if from_good else {}) | changes).encode())
