"""The load under which workers are killed, and the start of the worker to kill."""

import random
from collections.abc import Iterator

from consolidator.keys import partition_of
from tests.inputs.bad_inputs import BAD_KEY
from tests.inputs.design_workload import Message, design_workload
from tests.real_kafka.installation import Installation, Raw
from tests.real_kafka.worker_process import WorkerProcess

__all__ = ["LEAST_PROGRESS", "MOST_PROGRESS", "publish_load", "start_worker", "wait_new_work"]

EVENTS_PER_APPLICATION = 20
FOREIGN_SHARE = 0.02
BAD_SHARE = 0.01

LEAST_PROGRESS, MOST_PROGRESS = 0.05, 0.95
"""A fault counts only where it landed in the middle of work."""

BATCH_EVENTS = 250
"""Small batches are many transactions, and so many places to die in."""

LIMIT_S = 240.0


def publish_load(installation: Installation, events: int, seed: int) -> None:
    """Publish the design's load, with foreign and bad records in it: their output depends on no row."""
    rng = random.Random(seed)
    messages = design_workload(events, max(1, events // EVENTS_PER_APPLICATION), seed)
    installation.publish_raw(record for m in messages for record in _records_of(m, installation.partitions, rng))


def _records_of(message: Message, partitions: int, rng: random.Random) -> Iterator[Raw]:
    """The message, sometimes under a foreign key, and sometimes with a bad record before it."""
    if rng.random() < BAD_SHARE:
        yield BAD_KEY + message.key, message.value[:-1], rng.randrange(partitions)
    if rng.random() < FOREIGN_SHARE:
        yield message.application_id.encode(), message.value, rng.randrange(partitions)
    else:
        yield message.key, message.value, partition_of(message.application_id, partitions)


def start_worker(installation: Installation, *, failpoint: str | None = None) -> WorkerProcess:
    """Start the worker that will be killed, with static membership, so that it gets its partitions back at once.

    Args:
        installation: where.
        failpoint: as ``streams/runtime/failpoints.py`` describes it.
    """
    variables = {"CONSOLIDATOR_BATCH_EVENTS": str(BATCH_EVENTS), "CONSOLIDATOR_INSTANCE_ID": "the-worker"}
    if failpoint is not None:
        variables["CONSOLIDATOR_FAILPOINT"] = failpoint
    return installation.start(**variables)


def wait_new_work(installation: Installation, worker: WorkerProcess, before: float) -> None:
    """Wait until more than a share of the source is committed."""
    worker.wait(lambda: installation.progress() > before, "new work to be committed", limit_s=LIMIT_S)
