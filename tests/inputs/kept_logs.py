"""A source topic in memory, as Kafka would have it: partitions, offsets with holes, the broker's times."""

import random
from collections.abc import Iterable, Sequence

from consolidator.keys import event_key, parse_event_key, partition_of
from streams.core.rules import Rules
from streams.replay.application_log import ApplicationLog, KeptLog
from streams.replay.replay import Replay
from streams.replay.tables import MemoryTable
from streams.rulesets.rule_book import RuleBook
from tests.inputs.workloads import Item, parse_json, to_json
from tests.oracle.expected import SourceRecord, Tombstone
from tests.oracle.folds import MAX_EVENT_BYTES, decoded
from topics.contract.declared import Topics
from topics.reading.ranges import Range
from topics.records.erasure_authority import EveryErasure
from topics.records.record import Record

TOPIC = "executions"
FIRST_MS = 1_767_225_600_000
"""After everything that the generators write, so that nothing lies in the far future."""


def kept_log(items: Iterable[Item], *, partitions: int = 4, seed: int = 1, holes: float = 0.2) -> KeptLog:
    """The items as records under their canonical keys; offsets have holes, several records share a time."""
    rng = random.Random(seed)
    offsets = [0] * partitions
    records = []
    now = FIRST_MS
    for item in items:
        now += rng.choice([0, 0, 1, 7])
        if isinstance(item, Tombstone):
            application, event_id, value = item.application_id, item.event_id, None
        else:
            application, event_id, value = item["application_id"], decoded(item).event_id, to_json(item)
        partition = partition_of(application, partitions)
        offsets[partition] += 1 + (rng.random() < holes)
        records.append(Record(TOPIC, partition, offsets[partition], now, event_key(application, event_id), value, ()))
    return KeptLog(TOPIC, partitions, records)


def application_log(log: KeptLog, application_id: str, end: int) -> ApplicationLog:
    """The records of an application before an offset."""
    own = [record for record in log.records if _application(record) == application_id]
    partition = partition_of(application_id, log.partitions)
    return ApplicationLog(application_id, KeptLog(log.topic, log.partitions, own), partition, 0, end)


def published(log: KeptLog, topics: Topics, rules: Rules) -> tuple[list[Record], list[Record]]:
    """The records of factor-changes and of factors that a worker makes of a log, in the order of each partition."""
    ends = {record.partition: record.offset + 1 for record in log.records}
    replay = Replay(topics, RuleBook(rules, erasures=EveryErasure()), MemoryTable(), MAX_EVENT_BYTES)
    found: dict[str, list[Record]] = {topics.factor_changes.name: [], topics.factors.name: []}
    for replayed in replay.run(log, {partition: Range(0, 0, end) for partition, end in ends.items()}):
        for sent in replayed.folded.outgoing:
            if sent.topic in found:
                records = found[sent.topic]
                offset = sum(record.partition == sent.partition for record in records)
                headers = tuple(sent.headers or ())
                records.append(Record(sent.topic, sent.partition, offset, FIRST_MS, sent.key, sent.value, headers))
    return found[topics.factor_changes.name], found[topics.factors.name]


def for_the_oracle(records: Sequence[Record]) -> list[SourceRecord]:
    """Records in the form that the oracle takes; an event without an id gets the id in its key."""
    found = []
    for record in records:
        application, event_id = parse_event_key(record.key)
        payload = Tombstone(application, event_id)
        if record.value is not None:
            payload = {"event_id": event_id} | parse_json(record.value)
        found.append(SourceRecord(record.partition, record.offset, payload))
    return found


def _application(record: Record) -> str:
    return parse_event_key(record.key)[0]
