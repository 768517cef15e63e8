"""Fuzzed payloads through a real worker, good events between them: no crash, and every record is accounted for.

Whether a payload is an event is not the product's word: ``tests/oracle/reference_decoder.py`` says it, and the oracle
folds those that are.
"""

import random
import time
from collections import Counter
from itertools import cycle

import pytest

from consolidator.keys import event_key, partition_of
from tests.fault_runs.scale import SEED, scale
from tests.inputs.fuzzing import fuzzed
from tests.inputs.workloads import believable, to_json
from tests.oracle.checker import Observed
from tests.oracle.reference_decoder import is_event
from tests.real_kafka.installation import Installation

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

PAYLOADS = scale("PAYLOADS", short=10_000, long=100_000)
LIMIT_S = 200 + PAYLOADS / 100
MAX_BYTES = 262_144
NUMBER = "fuzz-number"
"""The header by which a payload is known: whatever becomes of a record, its headers stay."""
BETWEEN = 5
"""Payloads between two good events."""


def fuzz_records(partitions: int):
    """Each payload as a stranger's record in any partition, and after every few of them a good event."""
    rng = random.Random(SEED)
    good = cycle(neighbours())
    for number, raw in enumerate(fuzzed(SEED, PAYLOADS, prefix="fuzz")):
        yield (b"fuzz", raw, rng.randrange(partitions)), [(NUMBER, b"%d" % number)]
        if number % BETWEEN == 0:
            event = next(good)
            application = event["application_id"]
            key = event_key(application, event["event_id"])
            yield (key, to_json(event), partition_of(application, partitions)), ()


def neighbours():
    events = believable(SEED + 1_000_000, max(4, PAYLOADS // BETWEEN // 40))
    return [event for event in events if "event_id" in event]


def judged(installation: Installation) -> Observed:
    """What was observed; which records are bad is the second decoder's word."""
    observed = installation.observe(state=installation.state_dir)
    bad = frozenset(
        (record.partition, record.offset)
        for record in observed.source
        if record.key == b"fuzz" and not is_event(record.value, max_bytes=MAX_BYTES, recorded_ms=record.timestamp_ms)
    )
    return Observed(**vars(observed) | {"bad": bad})


# More than the wait in it: what is waited for, and was not there, is told then.
@pytest.mark.timeout(LIMIT_S + 100)
def test_every_fuzzed_payload_is_a_dead_letter_or_folded(installation, conclude):
    """No crash, no loss: by number each payload is one dead letter or one canonical copy, and the laws hold."""
    installation.publish_with_headers(fuzz_records(installation.partitions))
    started = time.monotonic()
    worker = installation.start().wait_ready(installation.partitions)
    installation.wait_consumed(worker, limit_s=LIMIT_S)
    worked_s = time.monotonic() - started
    worker.stop()
    observed = judged(installation)
    letters = Counter(map(number_of, observed.dead_letters))
    copies = Counter(n for n in map(number_of, (r for r in observed.source if r.key != b"fuzz")) if n is not None)
    conclude(
        installation,
        scenario="fuzzed payloads",
        fault="mutated events from a stranger, good events between them",
        held="the laws; every payload is one dead letter or is folded once",
        faults=PAYLOADS,
        seeds=(SEED,),
        more={
            "payloads": PAYLOADS,
            "dead letters": len(observed.dead_letters),
            "folded after re-publication": sum(copies.values()),
            "start to last commit, s": round(worked_s, 1),
        },
        observed=observed,
    )
    assert letters + copies == Counter(range(PAYLOADS))
    assert {(r.partition, int(dict(r.headers)["dlq_offset"])) for r in observed.dead_letters} == observed.bad
    assert PAYLOADS // 10 < sum(copies.values()) < PAYLOADS * 9 // 10
    assert {entry["level"] for entry in worker.entries()} == {"info", "warning"}


def number_of(record):
    value = dict(record.headers).get(NUMBER)
    return None if value is None else int(value)
