"""Installations as the diagnosis sees them, made of values: a healthy one, and changes to it."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from streams.diagnosis.facts import Facts, KafkaFacts
from streams.diagnosis.reading.brokers import BrokerFacts, Clock
from streams.diagnosis.reading.group import Group, Member
from streams.diagnosis.reading.layout import Layout, Place
from streams.diagnosis.reading.letters import OpenLetters
from streams.diagnosis.reading.machine import StateDirectory
from streams.diagnosis.reading.progress import PartitionProgress
from streams.diagnosis.reading.rulesets import LiveRulesets
from streams.diagnosis.reading.times import Newest
from streams.diagnosis.status import Status, Where
from streams.rulesets.catalogue_file import load_catalogue
from topics.contract.declared import Topics, declare
from topics.contract.drift import Found, Setting

__all__ = ["CATALOGUE", "NOW_MS", "STATE", "TOPICS", "facts_of", "kafka_facts", "progress_of", "status_of"]

NOW_MS = 1_772_000_000_000
TOPICS: Topics = declare(
    "", app_id="lending", partitions=4, replication_factor=3, audit_window_days=761, max_event_bytes=262_144
)
CATALOGUE = load_catalogue(None)
_DIGEST = CATALOGUE.digest
STATE = StateDirectory(
    Path("/state"),
    exists=True,
    workers={"worker-0": 1024},
    error=None,
    error_number=None,
    free_bytes=50 * 2**30,
    total_bytes=100 * 2**30,
)


def progress_of(partition: int, *, waits_s: float | None = None, lag: int = 3) -> PartitionProgress:
    """A partition that is consolidated; or whose first record waits for so long."""
    if waits_s is None:
        return PartitionProgress(partition, 1_204, 0, 1_205)
    return PartitionProgress(partition, 1_204, 0, 1_204 + lag, 1_204, NOW_MS - round(waits_s * 1_000))


def status_of(**changes: Any) -> Status:
    """A healthy installation with two workers, idle; with changes."""
    people = (Member("9f3c0a11b2c3", "10.0.0.5", (0, 1)), Member("c4d5e6f70819", "10.0.0.6", (2, 3)))
    healthy = Status(
        at_ms=NOW_MS,
        where=Where("lending", "", "executions", 4, "10.0.0.1:9092"),
        group=Group("lending", "stable", people),
        progress=tuple(map(progress_of, range(4))),
        other=None,
        pins=(),
        rulesets=LiveRulesets({_DIGEST: CATALOGUE.ruleset.name}, dict.fromkeys(range(4), _DIGEST), "lending"),
        letters=OpenLetters({}, is_complete=True),
        change=Newest(2, 1_500, NOW_MS - 2_000, NOW_MS + 10),
        sinks=(),
        database=None,
        health={},
    )
    return replace(healthy, **changes)


def kafka_facts(**changes: Any) -> KafkaFacts:
    """Brokers and topics of a healthy installation; with changes."""
    healthy = KafkaFacts(
        missing=(),
        found={
            topic.name: Found(
                4, frozenset({3}), {name: Setting(value, overridden=True) for name, value in topic.config.items()}
            )
            for topic in TOPICS
        },
        ids={topic.name: f"id-{topic.name}" for topic in TOPICS},
        layout=Layout(tuple(Place(topic.name, number, 1, 3, 3) for topic in TOPICS for number in range(4))),
        brokers=BrokerFacts({22: 5, 25: 4, 26: 5, 28: 5}, Clock(NOW_MS, NOW_MS - 3, NOW_MS + 3), transactions=True),
    )
    return replace(healthy, **changes)


def facts_of(*, status: Mapping[str, Any] | None = None, kafka: Any = None, **changes: Any) -> Facts:
    """Everything about a healthy installation; with changes to its parts."""
    healthy = Facts(
        TOPICS,
        status_of(**(status or {})),
        kafka_facts(**kafka) if isinstance(kafka, dict) else kafka or kafka_facts(),
        STATE,
        CATALOGUE,
        catalogue_is_set=True,
        adopts=None,
        versions={"consolidator": "0.1.0", "python": "3.11.9", "librdkafka": "2.16.0"},
    )
    return replace(healthy, **changes)
