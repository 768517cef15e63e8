"""Judges the brokers, the permissions, the clock and the topics."""

from collections.abc import Iterator, Mapping
from typing import Final

from streams.diagnosis.facts import Facts, KafkaFacts
from streams.diagnosis.finding import Check, Finding, Severity
from streams.diagnosis.reading.answer import Unanswered, known
from streams.diagnosis.reading.brokers import BrokerFacts, Clock
from streams.diagnosis.reading.layout import Layout, Place
from streams.diagnosis.reading.trial import Trial
from topics.contract.declared import Topics
from topics.contract.drift import PARTITIONS, REPLICATION, Drift, drifts
from topics.contract.permissions import Resource, Role, permissions

__all__ = ["broker", "clock", "permitted", "topics"]

_TRANSACTIONS: Final = {22: ("InitProducerId", 0), 25: ("AddOffsetsToTxn", 0), 26: ("EndTxn", 0)}
_FENCED_COMMITS: Final = (28, 3)
"""*TxnOffsetCommit* from version 3 on has the group's generation (KIP-447), of Kafka 2.5."""

SKEW_MS: Final = 5_000
"""Clocks that are kept by NTP differ by milliseconds, and so large a difference makes every age here wrong."""

_REPLACE: Final = "use brokers of Apache Kafka 2.8 or later"


def permitted(facts: Facts, kafka: KafkaFacts) -> Check:
    """What this user lacks of the role ``operator``."""
    if isinstance(kafka.missing, Unanswered):
        return Check("permissions", not_asked=(kafka.missing.reason,))
    lacks = [f"not permitted: {one} ({one.why})" for one in kafka.missing]
    brokers = known(kafka.brokers)
    if brokers is not None and isinstance(brokers.transactions, Unanswered) and brokers.transactions.is_refused:
        wanted = permissions(Role.OPERATOR, facts.topics, facts.status.where.app_id)
        lacks += [f"not permitted: {one} ({one.why})" for one in wanted if one.resource is Resource.TRANSACTIONAL_ID]
    if lacks:
        return Check(
            "permissions", not_asked=(*lacks, "to do: grant these; `consolidator topics acls --role operator`")
        )
    return Check("permissions", "all that the role operator needs")


def broker(facts: Facts, kafka: KafkaFacts) -> Check:
    """Transactions, fenced commits, topic ids, leaders and replicas."""
    findings: list[Finding] = []
    not_asked: list[str] = []
    says = [f"{facts.status.where.servers} answers"]
    if isinstance(kafka.brokers, Unanswered):
        not_asked.append(kafka.brokers.reason)
    else:
        findings += _protocol(kafka.brokers)
        says += [] if findings else ["transactions", "fenced commits"]
    if isinstance(kafka.trial, Unanswered):
        not_asked.append(kafka.trial.reason)
    elif kafka.trial is not None:
        findings += _trial(kafka.trial)
        says += ["a transaction was tried"]
    if isinstance(kafka.ids, Unanswered):
        not_asked.append(kafka.ids.reason)
    elif without := [name for name, topic_id in kafka.ids.items() if not topic_id]:
        findings.append(
            Finding(
                Severity.WARNING,
                f"the cluster gives topics no ids ({', '.join(without)})",
                "a source topic that is deleted and created again is not recognised by that: other events would be "
                "taken for the old ones",
                _REPLACE,
            )
        )
    else:
        says += ["topic ids"] if kafka.ids else []
    if isinstance(kafka.layout, Unanswered):
        not_asked.append(kafka.layout.reason)
    else:
        findings += _replicas(kafka.layout, _minimum(kafka, facts.topics))
    return Check("broker", ", ".join(says), tuple(findings), tuple(not_asked))


def _protocol(brokers: BrokerFacts) -> Iterator[Finding]:
    missing = [name for key, (name, least) in _TRANSACTIONS.items() if brokers.highest.get(key, -1) < least]
    if missing:
        yield Finding(
            Severity.CRITICAL,
            f"a broker knows no transactions ({', '.join(missing)})",
            "workers cannot publish anything exactly once, and do not start",
            _REPLACE,
        )
    key, least = _FENCED_COMMITS
    if brokers.highest.get(key, -1) < least:
        yield Finding(
            Severity.CRITICAL,
            "a broker does not look at the generation of committed offsets (KIP-447)",
            "a worker that has lost its partitions could still commit: events would be folded twice",
            _REPLACE,
        )
    if isinstance(brokers.transactions, Unanswered) and not brokers.transactions.is_refused:
        yield Finding(
            Severity.CRITICAL,
            f"no broker coordinates the workers' transactions: {brokers.transactions.reason}",
            "nothing can be committed",
            "look whether __transaction_state has leaders: kafka-topics.sh --describe --topic __transaction_state",
        )


def _trial(trial: Trial) -> Iterator[Finding]:
    if not trial.works:
        yield Finding(
            Severity.CRITICAL, f"tried: a transaction fails: {trial.said}", "nothing can be committed", _REPLACE
        )
    elif not trial.is_fenced:
        yield Finding(
            Severity.CRITICAL,
            "tried: the broker takes offsets of a generation that the group never had",
            "a worker that has lost its partitions could still commit: events would be folded twice",
            _REPLACE,
        )


def _minimum(kafka: KafkaFacts, declared: Topics) -> dict[str, int]:
    found = known(kafka.found) or {}
    minimum = {topic.name: int(topic.config["min.insync.replicas"]) for topic in declared}
    for name, topic in found.items():
        setting = topic.settings.get("min.insync.replicas")
        if setting is not None and setting.value.isdecimal():
            minimum[name] = int(setting.value)
    return minimum


def _replicas(layout: Layout, minimum: Mapping[str, int]) -> Iterator[Finding]:
    if leaderless := layout.leaderless:
        yield Finding(
            Severity.CRITICAL,
            f"no broker leads {_places(leaderless)}",
            "nothing is read from or written to them",
            "start the brokers that have them, or see kafka-topics.sh --describe --unavailable-partitions",
        )
    if short := layout.short(minimum):
        yield Finding(
            Severity.CRITICAL,
            f"too few replicas are in sync for a write: {_places(short)}",
            "transactions wait, and the workers end after CONSOLIDATOR_BROKER_PATIENCE_S",
            "start the missing brokers",
        )
    elif behind := [place for place in layout.behind if place.leader is not None]:
        yield Finding(
            Severity.WARNING,
            f"a replica is not in sync: {_places(behind)}",
            "one broker less, and nothing is written, or records are lost",
            "start the missing broker, or wait until it has caught up",
        )


def _places(places: list[Place], most: int = 4) -> str:
    told = ", ".join(f"{place.topic} partition {place.partition}" for place in places[:most])
    return told if len(places) <= most else f"{told} and {len(places) - most} more"


def clock(facts: Facts, kafka: KafkaFacts) -> Check:
    """This machine's clock against the broker's."""
    brokers, change = known(kafka.brokers), known(facts.status.change)
    read = None if brokers is None else brokers.clock
    if isinstance(read, Clock):
        behind_ms, ahead_ms = read.broker_ms - read.after_ms, read.before_ms - read.broker_ms
    else:
        # A record cannot be newer than the broker's clock, so this machine is behind by at least as much. Its clock
        # at the beginning of the look would not do: records that came since then are later, however right it is.
        behind_ms, ahead_ms = 0 if change is None else change.timestamp_ms - change.seen_ms, 0
    skew_ms = max(behind_ms, ahead_ms)
    if skew_ms > SKEW_MS:
        way = "behind" if behind_ms > ahead_ms else "ahead of"
        return Check(
            "clock",
            findings=(
                Finding(
                    Severity.WARNING,
                    f"this machine's clock is {skew_ms / 1_000:,.0f} s {way} the broker's",
                    "ages and lags in seconds are wrong by that here, and so are the times that --at takes; what "
                    "workers publish does not depend on it",
                    "set the clock: timedatectl status, chronyc tracking",
                ),
            ),
        )
    if isinstance(read, Clock):
        return Check("clock", f"within {max(0, skew_ms) / 1_000:.1f} s of the broker's")
    return Check("clock", "not behind the newest record; the broker's own clock takes Describe on the cluster")


_WRONG: Final = Severity.CRITICAL
_RISKY: Final = Severity.WARNING
_MEANINGS: Final = {
    "message.timestamp.type": (
        _WRONG,
        "records have their producers' times: as-of answers, ages and retention are wrong",
    ),
    "cleanup.policy": (_WRONG, "records are removed that a replay needs"),
    "min.compaction.lag.ms": (
        _WRONG,
        "compaction may remove records within the audit window: they cannot be brought back",
    ),
    "max.compaction.lag.ms": (_RISKY, "compaction runs at other times than declared"),
    "retention.ms": (_RISKY, "if deletion is switched on as well, records go sooner than declared"),
    "retention.bytes": (_RISKY, "if deletion is switched on as well, records go sooner than declared"),
    "delete.retention.ms": (_RISKY, "a reader that is away may miss an erasure"),
    "max.message.bytes": (_RISKY, "large records are refused, and the worker halts at the first one"),
    "min.insync.replicas": (_RISKY, "a committed record may be on fewer brokers than declared"),
    "unclean.leader.election.enable": (_WRONG, "committed records are dropped without a word when brokers fail"),
    PARTITIONS: (_WRONG, "workers halt: applications would be looked for in other partitions"),
    REPLICATION: (_RISKY, "fewer brokers may fail than declared, or more disk is used"),
}
_MISSING: Final = (_WRONG, "workers and commands that need it end with exit code 2")
_ANY: Final = (_RISKY, "the topic behaves in another way than was tested")


def topics(facts: Facts, kafka: KafkaFacts) -> Check:
    """The topics, compared with their declaration."""
    if isinstance(kafka.found, Unanswered):
        return Check("topics", not_asked=(kafka.found.reason,))
    unseen = {one.name for one in known(kafka.missing) or () if one.resource is Resource.TOPIC}
    seen = [topic for topic in facts.topics if topic.name not in unseen]
    findings = tuple(map(_drifted, drifts(facts.topics, kafka.found, only=seen))) if seen else ()
    not_asked = (f"{len(unseen)} of them may not be looked at",) if unseen else ()
    return Check("topics", f"{len(seen)} as declared", findings, not_asked)


def _drifted(drift: Drift) -> Finding:
    if drift.is_missing:
        severity, means = _MISSING
        what = f"there is no topic {drift.topic}"
    else:
        severity, means = _MEANINGS.get(drift.setting, _ANY)
        what = str(drift)
    return Finding(severity, what, means, drift.remedy())
