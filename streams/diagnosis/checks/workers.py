"""Judges the group, the partitions, and transactions that hold readers back."""

from collections.abc import Iterator
from typing import Final, TypeGuard

from streams.diagnosis.checks.partitions import PINNED_S, STANDS_S, is_told_already, ranges, standing
from streams.diagnosis.facts import Facts, KafkaFacts
from streams.diagnosis.finding import Check, Finding, Severity
from streams.diagnosis.reading.answer import Unanswered, known
from streams.diagnosis.reading.brokers import BrokerFacts
from streams.diagnosis.reading.group import Group
from streams.diagnosis.reading.health import Health
from streams.diagnosis.reading.pins import Holder, Pin
from streams.diagnosis.reading.progress import PartitionProgress
from streams.diagnosis.status import Status, moment

__all__ = ["group", "health", "open_transactions"]

_LONGEST_TIMEOUT_S: Final = 900.0
"""Kafka's default of ``transaction.max.timeout.ms``: no coordinator leaves a transaction open for longer."""

_GRACE_S: Final = 60.0
"""A coordinator looks for such transactions every 10 s, and writes the markers then."""

_START: Final = "consolidator run"


def group(facts: Facts) -> Check:
    """Who is in the workers' group, and how far each partition is."""
    status = facts.status
    not_asked = tuple(answer.reason for answer in (status.group, status.progress) if _is_silent(answer))
    findings = [*_whose(status), *_members(status), *_offsets(status), *_standing(status)]
    says = ""
    found = known(status.group)
    if found is not None and found.people:
        lag = sum(one.lag for one in known(status.progress) or ())
        members = "1 member" if len(found.people) == 1 else f"{len(found.people)} members"
        says = f"{members}, {found.state}; {lag:,} offsets behind"
    return Check("group", says, tuple(findings), not_asked)


def _is_silent(answer: object) -> TypeGuard[Unanswered]:
    """Whether it is not known why; a topic that is not there is a finding of its own."""
    return isinstance(answer, Unanswered) and not answer.is_absent


def _whose(status: Status) -> Iterator[Finding]:
    rulesets = known(status.rulesets)
    if rulesets is not None and rulesets.bound_to not in {None, status.where.app_id}:
        yield Finding(
            Severity.CRITICAL,
            f"the topics belong to the application id {rulesets.bound_to}, the settings say {status.where.app_id}",
            "this command looks at the wrong group, and a worker with these settings is refused",
            f"set CONSOLIDATOR_APP_ID to {rulesets.bound_to}, or see consolidator topics bind",
        )


def _members(status: Status) -> Iterator[Finding]:
    found = known(status.group)
    if found is None:
        return
    waits = any(one.first_offset is not None for one in known(status.progress) or ())
    if not found.people:
        yield Finding(
            Severity.CRITICAL if waits else Severity.WARNING,
            f"no worker runs: nobody is in the group {found.name}",
            "events wait" if waits else "nothing waits yet; the next event will",
            _START,
        )
    elif not found.is_settled:
        yield Finding(
            Severity.NOTE,
            f"the group is sharing its partitions out ({found.state})",
            "nothing is consolidated for some seconds; a worker came, went, or was too slow",
            "ask again; if it stays so, look at the workers' logs",
        )
    else:
        yield from _shares(found, status.where.partitions)


def _shares(found: Group, partitions: int) -> Iterator[Finding]:
    if unowned := found.unowned(partitions):
        yield Finding(
            Severity.CRITICAL,
            f"nobody has partition {ranges(unowned)}, although the group is {found.state}",
            "their events wait",
            "look whether the source topic has more partitions than CONSOLIDATOR_PARTITIONS; restart the workers",
        )
    if idle := [member.name for member in found.people if not member.partitions]:
        yield Finding(
            Severity.NOTE,
            f"{len(idle)} of {len(found.people)} members have no partition",
            "they take over when another one ends",
            "nothing",
        )


def _offsets(status: Status) -> Iterator[Finding]:
    progress = known(status.progress) or ()
    if beyond := [one.partition for one in progress if one.committed is not None and one.committed > one.end]:
        yield Finding(
            Severity.CRITICAL,
            f"the group is beyond the end of {status.where.source} partition {ranges(beyond)}",
            "the topic was created again, or truncated: its events are other ones than those that were consolidated",
            "restore the topic, or start over with another CONSOLIDATOR_APP_ID (consolidator topics bind)",
        )
    if removed := [one.partition for one in progress if one.committed is not None and one.committed < one.start]:
        yield Finding(
            Severity.CRITICAL,
            f"{status.where.source} partition {ranges(removed)} begins behind the group's offset",
            "events were removed before they were consolidated: by retention, or by hand",
            "restore them, or start over with another CONSOLIDATOR_APP_ID (consolidator topics bind)",
        )


def _standing(status: Status) -> Iterator[Finding]:
    people, still = known(status.group), standing(status)
    for one in known(status.progress) or ():
        if one in still:
            yield _stands(status, one, people)
        elif one.waits_s(status.at_ms) > STANDS_S and status.has_moved(one):
            yield Finding(
                Severity.NOTE,
                f"partition {one.partition} is {one.lag:,} offsets behind, and moves",
                f"its oldest record waits for {one.waits_s(status.at_ms):,.0f} s",
                "nothing, unless it grows: consolidator status --watch",
            )


def _stands(status: Status, one: PartitionProgress, people: Group | None) -> Finding:
    owner = None if people is None else people.owner(one.partition)
    own = status.own_state(one.partition)
    who = "" if owner is None else f"; its owner is {owner.name} at {owner.host}"
    means = f"{one.lag:,} offsets are waiting, the oldest for {one.waits_s(status.at_ms):,.0f} s"
    if own is None:
        means += "; from outside a worker that rebuilds its state looks the same"
    return Finding(
        Severity.CRITICAL,
        f"partition {one.partition} stands still at offset {one.committed or 0}{who}",
        means,
        "ask the worker: consolidator doctor --health HOST:PORT, or its log; then restart it: nothing is lost by that"
        if own is None
        else f"the worker calls it {own}: read its log, then restart it: nothing is lost by that",
    )


def open_transactions(facts: Facts, kafka: KafkaFacts) -> Check:
    """Transactions that are open for so long that they hold readers back, and whose they are."""
    if isinstance(facts.status.pins, Unanswered):
        return Check("open transactions", not_asked=(facts.status.pins.reason,))
    now_ms = facts.status.at_ms
    brokers = known(kafka.brokers)
    long = [pin for pin in facts.status.pins if (pin.age_s(now_ms) or 0) > PINNED_S]
    findings = tuple(_pinned(pin, brokers, facts) for pin in long)
    not_asked = tuple(filter(None, [facts.status.ages_not_asked]))
    says = "" if long or not_asked else f"none for more than {PINNED_S:.0f} s"
    return Check("open transactions", says, findings, not_asked)


def _pinned(pin: Pin, brokers: BrokerFacts | None, facts: Facts) -> Finding:
    holder = Holder() if brokers is None else brokers.holders.get((pin.topic, pin.partition), Holder())
    age_s = pin.age_s(facts.status.at_ms) or 0.0
    since = "" if pin.since_ms is None else f", since {moment(pin.since_ms)}"
    limit_s = _LONGEST_TIMEOUT_S if holder.timeout_ms is None else holder.timeout_ms / 1_000
    is_left = age_s > limit_s + _GRACE_S
    abort = (
        f"kafka-transactions.sh --bootstrap-server {facts.status.where.servers} abort --topic {pin.topic} "
        f"--partition {pin.partition} --start-offset {pin.offset}"
    )
    return Finding(
        Severity.CRITICAL if is_left else Severity.WARNING,
        f"{pin.topic} partition {pin.partition}: a transaction is open for {age_s:,.0f} s at offset {pin.offset}"
        f"{since}: {_whose_it_is(holder, facts.status.where.app_id)}",
        f"{pin.hidden:,} offsets behind it reach no reader, workers and subscribers included",
        f"no coordinator has ended it: {abort}"
        if is_left
        else f"its coordinator aborts it after {limit_s:,.0f} s; sooner: end or restart that producer, or {abort}",
    )


def _whose_it_is(holder: Holder, app_id: str) -> str:
    if holder.transactional_id is not None:
        kind = "a worker's" if holder.transactional_id.startswith(f"{app_id}-") else "another program's"
        since = "" if holder.started_ms is None else f", begun {moment(holder.started_ms)}"
        return f"{kind}, transactional id {holder.transactional_id}, producer {holder.producer_id}{since}"
    if holder.producer_id is not None:
        return (
            f"producer {holder.producer_id}; this user may not see its transactional id: "
            "kafka-transactions.sh find-hanging, as an administrator"
        )
    return "whose, this user may not see: kafka-transactions.sh find-hanging, as an administrator"


def health(facts: Facts) -> Check | None:
    """What the workers and sinks say of themselves; None: no address was given."""
    if not facts.status.health:
        return None
    findings, says = [], []
    for address, answer in facts.status.health.items():
        if isinstance(answer, Unanswered):
            findings.append(_silent(answer))
        elif answer.is_alive and answer.is_ready:
            says.append(f"{answer.worker or address} is alive and ready")
        else:
            findings.append(_told(answer) if is_told_already(facts.status, answer) else _unwell(answer))
    return Check("health", ", ".join(says), tuple(findings))


def _silent(answer: Unanswered) -> Finding:
    return Finding(
        Severity.WARNING,
        answer.reason,
        "the process there does not run, hangs, or has another CONSOLIDATOR_HEALTH_ADDRESS",
        "look whether it runs, and read its log",
    )


def _told(answer: Health) -> Finding:
    stuck = ranges(sorted(answer.stuck))
    return Finding(
        Severity.NOTE,
        f"{answer.role} at {answer.address} is not alive: partition {stuck} stands still, as the check group says",
        "it is the same cause, in the worker's own words",
        "what that finding says",
    )


def _unwell(answer: Health) -> Finding:
    who = f"{answer.role or 'the program'} at {answer.address}"
    if answer.is_alive:
        # It recovers, adopts, or waits for Kafka: what is wrong with that, another check says.
        return Finding(
            Severity.NOTE,
            f"{who} is alive and not ready: {answer.reasons}",
            "its partitions wait meanwhile",
            "wait for what it names, then ask again",
        )
    return Finding(
        Severity.CRITICAL,
        f"{who} is not alive: {answer.reasons}",
        "what hangs there does not go on before it is restarted",
        "read its log, then restart it: nothing is lost by that",
    )
