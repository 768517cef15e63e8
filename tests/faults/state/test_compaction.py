"""Kafka's cleaner at work, on a broker where it looks several times a second (``conftest.py``).

The cleaner never touches the segment that is being written, so a log ends in a record or in a transaction's marker:
here in an aborted transaction, which nobody reads and whose offsets have to be committed all the same.
"""

import shutil
import time
from collections.abc import Mapping

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from consolidator.keys import event_key, partition_of
from streams.partition.state.row_codec import MARK_KEY
from tests.inputs.design_workload import design_workload
from tests.inputs.workloads import Rates, believable, to_json
from tests.real_kafka.admin_calls import answered
from tests.real_kafka.installation import LIMIT_S, Installation
from tests.real_kafka.worker_process import wait_until
from topics.records.record import Record

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

COMPACTED_AT_ONCE = {"segment.ms": "100", "min.cleanable.dirty.ratio": "0.01"}
COMPACTION_LIMIT_S = 90.0

PLAIN = Rates(duplicate=0.0, missing_event_id=0.0)
"""Every event once and under its canonical key: the test itself publishes the copies."""


def configure(installation: Installation, topic: str, settings: Mapping[str, str]) -> None:
    entries = [
        ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in settings.items()
    ]
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
    answered(lambda ask_s: installation.admin.incremental_alter_configs([resource], request_timeout=ask_s)[resource])


def places(records: list[Record]) -> set[tuple[int, int]]:
    return {(record.partition, record.offset) for record in records}


def publish_in_transaction(installation: Installation, events, *, commit: bool) -> None:
    """Publish events in one transaction, the last thing of which is its marker in every partition."""
    producer = Producer(installation.config | {"transactional.id": f"{installation.name}-stranger"})
    producer.init_transactions(LIMIT_S)
    producer.begin_transaction()
    for event in events:
        application = event["application_id"]
        partition = partition_of(application, installation.partitions)
        key = event_key(application, event["event_id"])
        producer.produce(installation.topics.executions.name, to_json(event), key, partition)
    producer.flush(LIMIT_S)
    if commit:
        producer.commit_transaction(LIMIT_S)
    else:
        producer.abort_transaction(LIMIT_S)
    # The broker has answered before it has written the markers.
    topic = installation.topics.executions.name
    wait_until(
        lambda: installation.stable_ends(topic) == installation.ends(topic),
        "the transaction's markers",
        limit_s=LIMIT_S,
    )


def test_a_compacted_source_with_aborted_transactions(eager_installation, conclude):
    """Offset gaps, markers and aborted records are passed over, nothing else is, and the commit reaches the very end.

    Of what the worker had folded, and of what it had not read yet, the earlier copies are really gone.
    """
    installation = eager_installation
    source = installation.topics.executions.name
    folded, fresh, aborted = (believable(seed, 30, rates=PLAIN) for seed in (131, 132, 133))
    installation.publish(folded)
    first = installation.start().wait_ready(installation.partitions)
    installation.wait_consumed(first)
    first.stop()
    seen = installation.read(source)
    configure(installation, source, COMPACTED_AT_ONCE)
    installation.publish(fresh)
    superseded = places(installation.read(source))
    publish_in_transaction(installation, aborted, commit=False)
    publish_in_transaction(installation, fresh + folded, commit=True)

    # Copies of what the worker has folded: whichever of them is left when it reads, none changes anything.
    in_every_partition = {partition_of(event["application_id"], installation.partitions): event for event in folded}
    assert len(in_every_partition) == installation.partitions

    def compacted() -> bool:
        # A segment is rolled, and may be cleaned, when something is written after its time: copies again.
        installation.publish(in_every_partition.values())
        return not superseded & places(installation.read(source))

    wait_until(compacted, "the earlier copies to be gone", limit_s=COMPACTION_LIMIT_S)
    publish_in_transaction(installation, aborted, commit=False)
    ends = installation.ends()
    left = installation.read(source)
    assert {record.partition for record in left} == set(ends)
    assert all(ends[record.partition] > record.offset + 1 for record in left)
    begun = time.monotonic()
    worker = installation.start().wait_ready(installation.partitions)
    worker.wait(lambda: installation.committed() == ends, "the commit to reach the end", limit_s=LIMIT_S)
    drained_s = time.monotonic() - begun
    assert installation.ends() == ends
    assert installation.lag() == {}
    worker.stop()
    observed = installation.observe(state=installation.state_dir)
    observed.source[:] = sorted({*seen, *left}, key=lambda record: (record.partition, record.offset))
    conclude(
        installation,
        scenario="13 compacted source",
        fault="source compacted behind and before the worker; committed and aborted transactions, one at the end",
        held="the laws; committed to the very end of the log",
        recovery_s=(drained_s,),
        more={
            "offsets": sum(ends.values()),
            "of them readable": len(left),
            "copies removed": len(superseded),
        },
        observed=observed,
    )


def test_a_compacted_changelog_rebuilds_an_empty_disk(eager_installation, conclude):
    """From a changelog of which most is gone, the recovery ends, and the table is the oracle's."""
    installation = eager_installation
    changelog = installation.topics.changelog
    messages = design_workload(100_000, 60, 141)
    worker = installation.start(CONSOLIDATOR_BATCH_EVENTS="100").wait_ready(installation.partitions)
    configure(installation, changelog.name, COMPACTED_AT_ONCE)

    def marks() -> list[Record]:
        return [record for record in installation.read(changelog.name) if record.key == MARK_KEY]

    def compacted() -> bool:
        installation.publish_messages(next(messages) for _ in range(200))
        return sum(installation.committed().values()) > 2_000 and len(marks()) <= 4 * installation.partitions

    worker.wait(compacted, "the earlier marks to be gone", limit_s=COMPACTION_LIMIT_S)
    installation.wait_consumed(worker)
    worker.stop()
    configure(installation, changelog.name, {name: changelog.config[name] for name in COMPACTED_AT_ONCE})
    shutil.rmtree(installation.state_dir)
    rebuilt = installation.start().wait_ready(installation.partitions)
    recovered_s = time.monotonic() - rebuilt.started_at
    rebuilt.stop()
    installation.check_laws(state=installation.state_dir)
    installation.publish_messages(next(messages) for _ in range(1_000))
    worker = installation.start().wait_ready(installation.partitions)
    installation.wait_consumed(worker)
    worker.stop()
    conclude(
        installation,
        scenario="14 compacted changelog",
        fault="changelog compacted, state directory empty",
        held="the laws; the recovery ends, the table is the oracle's",
        recovery_s=(recovered_s,),
        more={
            "changelog offsets": sum(installation.ends(changelog.name).values()),
            "of them readable": len(installation.read(changelog.name)),
        },
        state=installation.state_dir,
    )
