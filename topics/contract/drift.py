"""The difference between a declared topic and a cluster's topic, as pure functions of values."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from topics.contract.declared import Topic, Topics

# The names of drifts that are no configuration entries.
MISSING: Final = "topic"
PARTITIONS: Final = "partitions"
REPLICATION: Final = "replication.factor"

_UNSET: Final = "(not set)"

# Settings that decide when records or tombstones are removed: an override of the topic is a drift, even if none is
# declared.
_GUARDED: Final = (
    "min.compaction.lag.ms",
    "max.compaction.lag.ms",
    "delete.retention.ms",
    "local.retention.ms",
    "local.retention.bytes",
)

_KEEPS_LONGER: Final = frozenset(
    {
        "retention.ms",
        "retention.bytes",
        "delete.retention.ms",
        "min.compaction.lag.ms",
        "max.compaction.lag.ms",
        "local.retention.ms",
        "local.retention.bytes",
    }
)
"""Settings whose greater values keep more, or longer."""

_REMEDY: Final = {
    PARTITIONS: "the partition count is fixed for a topic's life, as applications would move to other partitions: set "
    "CONSOLIDATOR_PARTITIONS to the actual number, or use new topics (CONSOLIDATOR_TOPIC_PREFIX and "
    "CONSOLIDATOR_APP_ID) and publish the events again",
    REPLICATION: "move the replicas with kafka-reassign-partitions.sh, or set CONSOLIDATOR_REPLICATION_FACTOR to the "
    "actual number",
    MISSING: "consolidator topics apply",
}


@dataclass(frozen=True, slots=True)
class Setting:
    """One configuration entry of a topic, as the cluster reports it."""

    value: str
    overridden: bool
    """Whether it was set on this very topic, rather than inherited from the brokers."""


@dataclass(frozen=True, slots=True)
class Found:
    """A topic of a cluster."""

    partitions: int
    replicas: frozenset[int]
    """The numbers of replicas that its partitions have; more than one number while replicas are being moved."""
    settings: Mapping[str, Setting] = field(hash=False)


@dataclass(frozen=True, slots=True)
class Drift:
    """One setting of one topic that is not as declared."""

    topic: str
    setting: str
    expected: str
    actual: str

    def __str__(self) -> str:
        return f"{self.topic}: {self.setting} is {self.actual}, expected {self.expected}"

    @property
    def is_to_be_unset(self) -> bool:
        """Whether the drift is an override of a setting that is not declared."""
        return self.expected == _UNSET

    @property
    def is_missing(self) -> bool:
        """Whether the whole topic is missing; ``apply`` corrects only this drift."""
        return self.setting == MISSING

    def remedy(self) -> str:
        """What to do about it, as a command or a sentence."""
        if self.setting in _REMEDY:
            return _REMEDY[self.setting]
        if self.expected == _UNSET:
            change = f"--delete-config {self.setting}"
        else:
            value = f"[{self.expected}]" if "," in self.expected else self.expected
            change = f"--add-config '{self.setting}={value}'"
        return f"kafka-configs.sh --alter --entity-type topics --entity-name {self.topic} {change}"


def may_be_altered(drift: Drift) -> bool:
    """Whether the drift can be corrected without removing records, now or sooner than today."""
    if drift.setting in {PARTITIONS, REPLICATION, MISSING}:
        return False
    if drift.setting == "cleanup.policy":
        # Without "delete", fewer records are removed. New compaction removes only records that the declaration allows
        # to be removed.
        return "delete" not in _parts(drift.expected) or "delete" in _parts(drift.actual)
    if drift.is_to_be_unset:
        # The brokers' defaults of these settings are small.
        return drift.setting not in {"min.compaction.lag.ms", "delete.retention.ms"}
    if drift.setting in _KEEPS_LONGER:
        return _kept(drift.expected) >= _kept(drift.actual)
    return True


def _kept(value: str) -> float:
    """How many bytes, or for how long, a setting keeps records. -1, and -2 (the topic's own value), keep everything."""
    return float(value) if value.isdecimal() else math.inf


def _parts(value: str) -> set[str]:
    return {part.strip() for part in value.split(",")}


def drifts(topics: Topics, found: Mapping[str, Found], *, only: Iterable[Topic] | None = None) -> list[Drift]:
    """Everything in which the topics found differ from the declared ones, topic by topic in declared order.

    Args:
        topics: the declaration.
        found: the cluster's topics by name; a declared topic that is not in it is missing.
        only: compare these topics; None: all.
    """
    return [drift for topic in only or topics for drift in _drifts_of(topic, topics, found.get(topic.name))]


def _drifts_of(topic: Topic, topics: Topics, found: Found | None) -> Iterator[Drift]:
    if found is None:
        yield Drift(topic.name, MISSING, "exists", "missing")
        return
    if found.partitions != topics.partitions:
        yield Drift(topic.name, PARTITIONS, str(topics.partitions), str(found.partitions))
    if found.replicas != {topics.replication_factor}:
        actual = " or ".join(map(str, sorted(found.replicas)))
        yield Drift(topic.name, REPLICATION, str(topics.replication_factor), actual)
    for name, expected in topic.config.items():
        setting = found.settings.get(name)
        if setting is None:
            yield Drift(topic.name, name, expected, _UNSET)
        elif not _same(setting.value, expected):
            yield Drift(topic.name, name, expected, setting.value)
    for name in _GUARDED:
        setting = found.settings.get(name)
        if name not in topic.config and setting is not None and setting.overridden:
            yield Drift(topic.name, name, _UNSET, setting.value)


def _same(actual: str, expected: str) -> bool:
    """Whether two values mean the same to Kafka: ``0.10`` is ``0.1``, and the order of a list does not matter."""
    number = re.compile(r"-?[0-9]+(\.[0-9]+)?")
    if number.fullmatch(actual) and number.fullmatch(expected):
        return float(actual) == float(expected)
    return {part.strip() for part in actual.split(",")} == {part.strip() for part in expected.split(",")}
