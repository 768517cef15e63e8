"""The topics, declared once: names, keys, settings, and the reason for each number.

``topics.cluster.provisioning`` creates and verifies what is declared here; the worker, the tools and the documentation
read the names from here. The partition count and the replication factor are the same for all of them: the changelog and
the dead letters keep the partition of their source record.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

# The name of the worker's Faust table: Faust names a changelog "<app id>-<table name>-changelog".
TABLE_NAME: Final = "consolidation"

_KIB: Final = 1024
_MIB: Final = 1024 * _KIB
_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 24 * _HOUR_MS

# The bytes besides an event's value: its key, its headers and the batch's framing. Kafka's framing takes under 100
# bytes and our own headers under 4 KiB; the rest is for the headers of foreign producers.
_ENVELOPE_BYTES: Final = 64 * _KIB
# The largest request of a Java producer that is left at its default (librdkafka's is a little smaller). It is four
# times the default CONSOLIDATOR_MAX_EVENT_BYTES: so an event that is too large is accepted, and becomes a visible dead
# letter, instead of an exception in a producer's log.
_EXECUTIONS_BYTES: Final = _MIB
# A change carries the factors before and after; a row's weight (models.rows.MAX_WEIGHT) bounds each at 1.5 MB.
_FACTORS_BYTES: Final = 8 * _MIB
# A changelog record is one row with all its executions, bounded by models.rows.MAX_WEIGHT.
_CHANGELOG_BYTES: Final = 8 * _MIB
# A dead letter holds at most 1 MiB of content (topics.records.dead_letter_format.MAX_CONTENT_BYTES), so that it fits in
# without any compression; the rest is room for letters that were written before that limit.
_DLQ_BYTES: Final = 8 * _MIB

# A reader that was stopped for this long still gets every tombstone, and so every erasure. Kafka's default is 1 day.
_TOMBSTONE_RETENTION_MS: Final = 30 * _DAY_MS
# A catalogue of a thousand processors with ten factors each takes about 1 MiB.
_CATALOGUE_BYTES: Final = 8 * _MIB

# An entry of ``erasures`` has about two hundred bytes.
_ENTRY_BYTES: Final = _MIB

# A month to notice a dead letter, fix its cause and redrive it. Originals may hold personal data, so they are not kept
# for ever.
_DLQ_RETENTION_MS: Final = 30 * _DAY_MS
# Kafka deletes whole segments only. With daily segments, letters go after 30 days, to the day, even if they are rare.
_DLQ_SEGMENT_MS: Final = _DAY_MS

# Kafka never compacts the segment that is being written, and by default that one grows to 1 GiB or 7 days. A reader
# that rebuilds its state from the topic reads all of that, with superseded rows. 64 MiB are about 150,000 rows, which
# take one to two seconds.
_VIEW_SEGMENT_BYTES: Final = 64 * _MIB
_VIEW_SEGMENT_MS: Final = _HOUR_MS
# Compact once a tenth of the log is superseded (default: a half), so that a reader reads at most a ninth more than the
# present rows. The cleaner then runs more often, which is cheap, because these topics have few rows.
_VIEW_DIRTY_RATIO: Final = "0.1"

# With three replicas or more, a write has to be on two brokers, so that one may die. With fewer, one copy is enough.
_REPLICAS_FOR_TWO_IN_SYNC: Final = 3


@dataclass(frozen=True, slots=True)
class Topic:
    """The declaration of one topic.

    Args:
        name: the full name, prefix included.
        key: the format of its keys, in words.
        config: every declared setting, with Kafka's names and values. Read-only.
        why: the purpose of the topic, and the reason for its keys and its retention, in a sentence.
    """

    name: str
    key: str
    config: Mapping[str, str] = field(hash=False)
    why: str


@dataclass(frozen=True, slots=True)
class Topics:
    """All topics of one installation; iterating yields each :class:`Topic`, the source first."""

    executions: Topic
    factor_changes: Topic
    factors: Topic
    dlq: Topic
    changelog: Topic
    rulesets: Topic
    erasures: Topic
    partitions: int
    replication_factor: int

    def __iter__(self) -> Iterator[Topic]:
        """Every topic, in the order in which data flows through them."""
        yield from (self.executions, self.factor_changes, self.factors, self.dlq)
        yield from (self.changelog, self.rulesets, self.erasures)


def declare(
    prefix: str,
    *,
    app_id: str,
    partitions: int,
    replication_factor: int,
    audit_window_days: int,
    max_event_bytes: int,
) -> Topics:
    """Declare the topics of one installation.

    Args:
        prefix: put before every name but the changelog's, which the application's id tells apart.
        app_id: the consumer group's id, and the changelog's prefix (Faust's naming).
        partitions: of every topic, for their life.
        replication_factor: of every topic.
        audit_window_days: within it, compaction removes nothing from ``executions`` and ``factor-changes``.
        max_event_bytes: the greatest event that is not a dead letter, in bytes.
    """
    executions_bytes = max(_EXECUTIONS_BYTES, max_event_bytes + _ENVELOPE_BYTES)
    in_sync = 2 if replication_factor >= _REPLICAS_FOR_TWO_IN_SYNC else 1
    audited = {"min.compaction.lag.ms": str(audit_window_days * _DAY_MS)}
    view = {
        "segment.bytes": str(_VIEW_SEGMENT_BYTES),
        "segment.ms": str(_VIEW_SEGMENT_MS),
        "min.cleanable.dirty.ratio": _VIEW_DIRTY_RATIO,
    }
    return Topics(
        executions=Topic(
            name=f"{prefix}executions",
            key="<application_id>/<event_id>",
            config=_compacted(executions_bytes, in_sync, audited),
            why="Lifecycle events, the source of everything. Keyed by the event's identity: compaction removes only "
            "earlier copies of a re-published event, and a tombstone erases exactly one event.",
        ),
        factor_changes=Topic(
            name=f"{prefix}factor-changes",
            key="<application_id>/<change_id>",
            config=_compacted(_FACTORS_BYTES, in_sync, audited),
            why="The journal of every change of factors, outcome or counts, and its cause. "
            "Keys are unique: only a tombstone removes anything.",
        ),
        factors=Topic(
            name=f"{prefix}factors",
            key="<application_id>/<processor>",
            config=_compacted(_FACTORS_BYTES, in_sync, view),
            why="The current factors of every application and processor, to bootstrap a reader from. "
            "Cleared factors are a record; a tombstone is an erasure.",
        ),
        dlq=Topic(
            name=f"{prefix}executions.dlq",
            key="<source topic>/<partition>/<offset>",
            config=_dead_letters(max(_DLQ_BYTES, executions_bytes + _ENVELOPE_BYTES), in_sync),
            why="Events that could not be read, untouched, and why. "
            "Keyed by where the source record stands: a replay adds no second letter.",
        ),
        changelog=Topic(
            name=f"{app_id}-{TABLE_NAME}-changelog",
            key="the worker's row key",
            config=_compacted(_CHANGELOG_BYTES, in_sync, view),
            why="The worker's state, from which a worker with an empty disk rebuilds it. Private to the worker.",
        ),
        rulesets=Topic(
            name=f"{prefix}rulesets",
            key="catalogue/<digest>, adoption/<partition>/<offset>, or binding/<number>",
            config=_compacted(_CATALOGUE_BYTES, in_sync, {}),
            why="Every catalogue that a worker ran with, and where in executions which one was adopted: a replay needs "
            "both; and for which application id these topics are. Written by workers alone.",
        ),
        erasures=Topic(
            name=f"{prefix}erasures",
            key="erasure/<partition>/<offset>",
            config=_compacted(_ENTRY_BYTES, in_sync, {}),
            why="Which records of executions erase an application, or lift that: a record that is not named here does "
            "nothing. Written by whoever erases, and by nobody else. Keys are unique: compaction removes none.",
        ),
        partitions=partitions,
        replication_factor=replication_factor,
    )


def _compacted(max_message_bytes: int, in_sync: int, more: Mapping[str, str]) -> Mapping[str, str]:
    """A topic from which only compaction removes records.

    Retention is declared as unlimited, although Kafka ignores it under ``compact``: if ``delete`` is added to the
    policy by mistake, no record is lost before ``check`` reports it.
    """
    return MappingProxyType(
        {
            "cleanup.policy": "compact",
            "retention.ms": "-1",
            "retention.bytes": "-1",
            "delete.retention.ms": str(_TOMBSTONE_RETENTION_MS),
        }
        | _common(max_message_bytes, in_sync)
        | dict(more)
    )


def _dead_letters(max_message_bytes: int, in_sync: int) -> Mapping[str, str]:
    return MappingProxyType(
        {
            "cleanup.policy": "compact,delete",
            "retention.ms": str(_DLQ_RETENTION_MS),
            "retention.bytes": "-1",
            "segment.ms": str(_DLQ_SEGMENT_MS),
            # The dead letter of a tombstone has no value, so compaction treats it like a tombstone, and by default
            # removes it after a day.
            "delete.retention.ms": str(_DLQ_RETENTION_MS),
        }
        | _common(max_message_bytes, in_sync)
    )


def _common(max_message_bytes: int, in_sync: int) -> dict[str, str]:
    """The settings of every topic.

    ``LogAppendTime`` is the broker's clock. So a wrong clock of a producer or a worker cannot disturb retention and the
    rolling of segments, and its records are not refused (Kafka 4 refuses a ``CreateTime`` more than an hour ahead). An
    unclean leader election would silently drop committed records.
    """
    return {
        "message.timestamp.type": "LogAppendTime",
        "max.message.bytes": str(max_message_bytes),
        "min.insync.replicas": str(in_sync),
        "unclean.leader.election.enable": "false",
    }
