"""What a sink meets: failures, reruns, copies, late and foreign events, tombstones, bad input, without end."""

import random
from collections.abc import Iterator
from itertools import count

from tests.inputs.bad_inputs import BAD_KEY
from tests.inputs.workloads import Rates, believable
from tests.oracle.expected import Tombstone
from tests.real_kafka.installation import Installation, Raw

__all__ = ["application_to_erase", "sink_records"]

RATES = Rates(failure=0.3, duplicate=0.08, erased=0.04, missing_event_id=0.01)
BAD_SHARE = 0.01
APPLICATIONS_AT_A_TIME = 8
"""So few are interleaved: each soon has its failed reruns, its copies and its tombstones."""

_SEEDS = 1_000_000


def sink_records(installation: Installation, seed: int) -> Iterator[Raw]:
    """Records without end: of some applications, then of others."""
    rng = random.Random(seed)
    for number in count(1):
        for item in believable(number * _SEEDS + seed, APPLICATIONS_AT_A_TIME, rates=RATES):
            key, value, partition = installation.record(item, rng)
            if value is not None and rng.random() < BAD_SHARE:
                yield BAD_KEY + (key or b""), value[:-1], rng.randrange(installation.partitions)
            yield key, value, partition


def application_to_erase(installation: Installation, seed: int) -> tuple[str, list[Raw], Raw]:
    """An application that is to be erased: its id, its records, and one that comes when it is erased."""
    rates = Rates(failure=0.3, missing_event_id=0.0)
    items = [item for item in believable(seed, 1, rates=rates) if not isinstance(item, Tombstone)]
    rng = random.Random(seed)
    records = [installation.record(item, rng) for item in items]
    late = installation.record(items[0] | {"event_id": "late"}, rng)
    return items[0]["application_id"], records, late
