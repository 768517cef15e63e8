"""What the doctor makes of each state: the ill ones by name and severity, and no healthy one."""

import errno
from dataclasses import replace

import pytest

from streams.diagnosis.checks.partitions import problems
from streams.diagnosis.doctor import judge
from streams.diagnosis.finding import exit_code
from streams.diagnosis.reading.answer import Unanswered
from streams.diagnosis.reading.brokers import BrokerFacts, Clock
from streams.diagnosis.reading.group import Group, Member
from streams.diagnosis.reading.health import Health
from streams.diagnosis.reading.layout import Layout, Place
from streams.diagnosis.reading.pins import Holder, Pin
from streams.diagnosis.reading.progress import PartitionProgress
from streams.diagnosis.reading.rulesets import LiveRulesets
from streams.diagnosis.reading.times import Newest
from streams.diagnosis.reading.trial import Trial
from streams.diagnosis.status import Database
from streams.sink.upkeep.status import PartitionStatus
from streams.sink.upkeep.status import Status as DatabaseStatus
from tests.inputs.diagnosed import CATALOGUE, NOW_MS, STATE, TOPICS, facts_of, kafka_facts, progress_of, status_of
from topics.contract.permissions import Resource, Role, permissions

GIB = 2**30
BROKERS = kafka_facts().brokers
ROLE = permissions(Role.OPERATOR, TOPICS, "lending")
ONE_MEMBER = Group("lending", "stable", (Member("a", "h", (0, 1, 2)),))
OTHER = LiveRulesets({"d" * 64: "other/1"}, dict.fromkeys(range(4), "d" * 64), "lending")


def directory(**changes):
    return replace(STATE, **changes)


def moved(partition, waits_s):
    return {"progress": (progress_of(partition, waits_s=waits_s),), "other": {partition: 1_000}}


def stands(waits_s):
    return {"progress": (progress_of(3, waits_s=waits_s),), "other": {3: 1_204}}


def found_with(topic, setting, value):
    found = dict(kafka_facts().found)
    settings = dict(found[topic].settings)
    settings[setting] = replace(settings[setting], value=value)
    found[topic] = replace(found[topic], settings=settings)
    return found


def places(**changes):
    return Layout((replace(Place("factors", 0, 1, 3, 3), **changes),))


def health(**changes):
    return {
        "h:1": replace(
            Health("h:1", is_alive=True, is_ready=True, role="worker", worker="h/worker-0", version="0.1.0"), **changes
        )
    }


def stored(**changes):
    one = replace(PartitionStatus(0, 10, "sink", 1, 2.0, 0, 0, 0, 0.0), **changes)
    return {"database": Database("sqlite:///x", DatabaseStatus((one,), {}))}


WELL = {
    "idle": facts_of(),
    "a record has just come": facts_of(status={"progress": (progress_of(0, waits_s=0.4),)}),
    "catching up after a night": facts_of(status=moved(1, 30_000)),
    "one look only": facts_of(status={"progress": (progress_of(0, waits_s=300),)}),
    "a rebalance": facts_of(status={"group": Group("lending", "preparing_rebalance", (Member("a", "h", ()),))}),
    "more workers than partitions": facts_of(
        status={"group": Group("lending", "stable", (Member("a", "h", (0, 1, 2, 3)), Member("b", "h", ())))}
    ),
    "recovering, as the worker says": facts_of(
        status=stands(400) | {"health": health(states={3: "recovering"})},
    ),
    "a transaction under way": facts_of(status={"pins": (Pin("factors", 0, 7, 3, NOW_MS - 900),)}),
    "an adoption under way": facts_of(
        status={
            "rulesets": LiveRulesets(
                {CATALOGUE.digest: "new/1", "d": "old/1"}, {0: "d", 1: CATALOGUE.digest, 2: "d", 3: "d"}, "lending"
            )
        }
    ),
    "nothing consolidated yet": facts_of(
        status={"rulesets": LiveRulesets({}, {}, None), "change": None, "progress": (PartitionProgress(0, None, 0, 0),)}
    ),
    "no catalogue set on this machine": facts_of(status={"rulesets": OTHER}, catalogue_is_set=False),
    "no state here": facts_of(directory=directory(exists=False)),
    "a clock within the limit": facts_of(
        kafka={"brokers": replace(BROKERS, clock=Clock(NOW_MS + 4_000, NOW_MS, NOW_MS))}
    ),
    "no permission on the cluster": facts_of(
        kafka={"brokers": replace(BROKERS, clock=Unanswered("no", is_refused=True))}
    ),
    "a look that takes long, and a change meanwhile": facts_of(
        status={"change": Newest(2, 1_500, NOW_MS + 19_000, NOW_MS + 20_000)},
        kafka={"brokers": replace(BROKERS, clock=Unanswered("no", is_refused=True))},
    ),
    "a transaction was tried": facts_of(kafka={"trial": Trial(is_fenced=True, said="ILLEGAL_GENERATION")}),
    "a sink that keeps up": facts_of(status=stored()),
    "a worker that says so": facts_of(status={"health": health()}),
    "a worker that is not ready yet": facts_of(status={"health": health(is_ready=False, wrong=("kafka: away",))}),
    "an older worker during an upgrade": facts_of(status={"health": health(version="0.0.9")}),
}


@pytest.mark.parametrize("name", WELL)
def test_no_healthy_state_is_called_ill(name):
    """Each of them ends with exit code 0."""
    checks = judge(WELL[name])
    assert [one.what for check in checks for one in check.findings if one.is_ill] == []
    assert exit_code(checks) == 0


ILL = {
    "no worker": (
        facts_of(status={"group": Group("lending", "empty")}),
        ("group", "warning", "no worker runs: nobody is in the group lending"),
    ),
    "no worker, and events wait": (
        facts_of(status={"group": Group("lending", "empty"), "progress": (progress_of(0, waits_s=1),)}),
        ("group", "critical", "no worker runs: nobody is in the group lending"),
    ),
    "nobody's partition": (
        facts_of(status={"group": ONE_MEMBER}),
        ("group", "critical", "nobody has partition 3, although the group is stable"),
    ),
    "stands still": (
        facts_of(status=stands(95)),
        ("group", "critical", "partition 3 stands still at offset 1204; its owner is c4d5e6f70819 at 10.0.0.6"),
    ),
    "beyond the end": (
        facts_of(status={"progress": (PartitionProgress(1, 50, 0, 20),)}),
        ("group", "critical", "the group is beyond the end of executions partition 1"),
    ),
    "events are gone": (
        facts_of(status={"progress": (PartitionProgress(1, 5, 20, 30, 20, NOW_MS),)}),
        ("group", "critical", "executions partition 1 begins behind the group's offset"),
    ),
    "somebody else's topics": (
        facts_of(status={"rulesets": LiveRulesets({}, {}, "mortgages")}),
        ("group", "critical", "the topics belong to the application id mortgages, the settings say lending"),
    ),
    "no leader": (
        facts_of(kafka={"layout": places(leader=None)}),
        ("broker", "critical", "no broker leads factors partition 0"),
    ),
    "too few replicas": (
        facts_of(kafka={"layout": places(in_sync=1)}),
        ("broker", "critical", "too few replicas are in sync for a write: factors partition 0"),
    ),
    "a replica behind": (
        facts_of(kafka={"layout": places(in_sync=2)}),
        ("broker", "warning", "a replica is not in sync: factors partition 0"),
    ),
    "no transactions": (
        facts_of(kafka={"brokers": replace(BROKERS, highest={28: 3})}),
        ("broker", "critical", "a broker knows no transactions (InitProducerId, AddOffsetsToTxn, EndTxn)"),
    ),
    "no fenced commits": (
        facts_of(kafka={"brokers": replace(BROKERS, highest={22: 1, 25: 1, 26: 1, 28: 2})}),
        ("broker", "critical", "a broker does not look at the generation of committed offsets (KIP-447)"),
    ),
    "commits that are not fenced": (
        facts_of(kafka={"trial": Trial(is_fenced=False, said="accepted")}),
        ("broker", "critical", "tried: the broker takes offsets of a generation that the group never had"),
    ),
    "transactions that fail": (
        facts_of(kafka={"trial": Trial(is_fenced=False, said="not supported", works=False)}),
        ("broker", "critical", "tried: a transaction fails: not supported"),
    ),
    "no coordinator": (
        facts_of(kafka={"brokers": replace(BROKERS, transactions=Unanswered("CoordinatorNotAvailable"))}),
        ("broker", "critical", "no broker coordinates the workers' transactions: CoordinatorNotAvailable"),
    ),
    "no topic ids": (
        facts_of(kafka={"ids": {"executions": ""}}),
        ("broker", "warning", "the cluster gives topics no ids (executions)"),
    ),
    "behind the broker's clock": (
        facts_of(kafka={"brokers": replace(BROKERS, clock=Clock(NOW_MS + 61_000, NOW_MS, NOW_MS + 1_000))}),
        ("clock", "warning", "this machine's clock is 60 s behind the broker's"),
    ),
    "ahead of the broker's clock": (
        facts_of(kafka={"brokers": replace(BROKERS, clock=Clock(NOW_MS - 60_000, NOW_MS, NOW_MS + 1_000))}),
        ("clock", "warning", "this machine's clock is 60 s ahead of the broker's"),
    ),
    "behind the newest record": (
        facts_of(
            status={"change": Newest(2, 1_500, NOW_MS + 80_000, NOW_MS + 20_000)},
            kafka={"brokers": replace(BROKERS, clock=Unanswered("no", is_refused=True))},
        ),
        ("clock", "warning", "this machine's clock is 60 s behind the broker's"),
    ),
    "producers' times": (
        facts_of(kafka={"found": found_with("executions", "message.timestamp.type", "CreateTime")}),
        ("topics", "critical", "executions: message.timestamp.type is CreateTime, expected LogAppendTime"),
    ),
    "the disk is full": (
        facts_of(directory=directory(error="No space left on device", error_number=errno.ENOSPC, free_bytes=0)),
        ("state directory", "critical", "/state cannot be written: No space left on device"),
    ),
    "another user's directory": (
        facts_of(directory=directory(error="Permission denied", error_number=errno.EACCES)),
        ("state directory", "warning", "/state cannot be written: Permission denied"),
    ),
    "little room": (
        facts_of(directory=directory(free_bytes=4 * GIB, workers={"worker-0": 10 * GIB})),
        ("state directory", "warning", "4,096 MiB are free on the disk of /state, of 100 GiB"),
    ),
    "another catalogue": (
        facts_of(status={"rulesets": OTHER}),
        (
            "catalogue",
            "warning",
            f"the catalogue here is {CATALOGUE.ruleset.name}, the partitions have other/1 (dddddddd)",
        ),
    ),
    "a worker that is not alive": (
        facts_of(status={"health": health(is_alive=False, is_ready=False, wrong=("loop: blocked for 20 s",))}),
        ("health", "critical", "worker at h:1 is not alive: loop: blocked for 20 s"),
    ),
    "a worker that is not alive because of what stands still": (
        facts_of(
            status=stands(95)
            | {"health": health(is_alive=False, is_ready=False, wrong=("log: 3 lines",), states={3: "stuck"})}
        ),
        ("group", "critical", "partition 3 stands still at offset 1204; its owner is c4d5e6f70819 at 10.0.0.6"),
    ),
    "nobody at the address": (
        facts_of(status={"health": {"h:1": Unanswered("nobody answers at h:1: refused")}}),
        ("health", "warning", "nobody answers at h:1: refused"),
    ),
    "rows in quarantine": (
        facts_of(status=stored(quarantined=2)),
        ("database", "warning", "partition 0: 2 rows in sink_quarantine"),
    ),
}


@pytest.mark.parametrize("name", ILL)
def test_what_is_ill_is_named(name):
    """With its severity, what it means and what to do; nothing else is found; exit code 1."""
    facts, expected = ILL[name]
    checks = judge(facts)
    found = [(check.name, one.severity, one.what) for check in checks for one in check.findings if one.is_ill]
    assert found == [expected]
    assert all(one.means and one.to_do for check in checks for one in check.findings)
    assert exit_code(checks) == 1


@pytest.mark.parametrize(
    "said",
    [
        {"wrong": ("event_loop: blocked",), "states": {3: "stuck"}},
        {"states": {2: "stuck", 3: "stuck"}},
        {"role": "sink", "states": {3: "stuck"}},
        {"states": {3: "running"}},
    ],
)
def test_another_cause_of_a_workers_end_is_told(said):
    """Something else hangs, or a partition that no other finding names: that is a critical finding of its own."""
    ill = stands(95) | {"health": health(is_alive=False, is_ready=False, **said)}
    checks = judge(facts_of(status=ill))
    [found] = [one for check in checks if check.name == "health" for one in check.findings]
    assert found.severity == "critical"
    assert [one for one in problems(status_of(**ill)) if "is not alive" in one]


@pytest.mark.parametrize(
    ("age_s", "holder", "severity", "says"),
    [
        (
            20,
            Holder(7, "lending-2", NOW_MS - 21_000, 60_000),
            "warning",
            "a worker's, transactional id lending-2, producer 7",
        ),
        (
            200,
            Holder(7, "bank-feed", NOW_MS - 21_000, 60_000),
            "critical",
            "another program's, transactional id bank-feed",
        ),
        (200, Holder(7), "warning", "producer 7; this user may not see its transactional id"),
        (2_000, Holder(), "critical", "whose, this user may not see"),
    ],
)
def test_a_transaction_that_stays_open(age_s, holder, severity, says):
    """It is critical once its coordinator should have ended it; whose it is depends on what this user may see."""
    pin = Pin("factors", 1, 7, 30, NOW_MS - age_s * 1_000)
    brokers = BrokerFacts(BROKERS.highest, BROKERS.clock, transactions=True, holders={("factors", 1): holder})
    checks = judge(facts_of(status={"pins": (pin,)}, kafka={"brokers": brokers}))
    [finding] = [one for check in checks for one in check.findings]
    assert (finding.severity, says in finding.what) == (severity, True), finding.what
    assert "abort --topic factors --partition 1 --start-offset 7" in finding.to_do


def test_a_transaction_whose_age_was_not_looked_up_is_not_well():
    """It may be one that hangs: exit code 3; what is known of the others is a finding all the same."""
    young = [Pin("factors", partition, 7, 3, None) for partition in range(6)]
    facts = facts_of(status={"pins": (Pin("executions", 1, 7, 30, NOW_MS - 95_000), *young)})
    checks = judge(facts)
    [check] = [one for one in checks if one.name == "open transactions"]
    assert (check.says, len(check.findings), exit_code(checks)) == ("", 1, 3)
    [reason] = check.not_asked
    assert "factors partition 0, factors partition 1" in reason
    assert reason.endswith("and 2 more")


def test_what_is_not_permitted_is_not_well():
    """Each permission is named, a topic that may not be seen is not missing, and the exit code is 3."""
    missing = tuple(one for one in ROLE if one.name == "factors" or one.resource is Resource.GROUP)
    facts = facts_of(
        status={"group": Unanswered("this user may not look at group lending", is_refused=True)},
        kafka={
            "missing": missing,
            "found": {name: one for name, one in kafka_facts().found.items() if name != "factors"},
            "brokers": replace(BROKERS, transactions=Unanswered("not permitted", is_refused=True)),
        },
    )
    checks = judge(facts)
    assert exit_code(checks) == 3
    assert [one for check in checks for one in check.findings] == []
    said = "\n".join(reason for check in checks for reason in check.not_asked)
    assert all(str(one) in said for one in (*missing, ROLE[-1]))


@pytest.mark.parametrize("is_refused", [True, False])
def test_a_trial_that_could_not_be_made_is_no_finding(is_refused):
    """It says nothing about transactions: its reason is told, and the exit code is 3."""
    reason = "a transaction was not tried: not permitted: Write on transactional id lending-doctor"
    checks = judge(facts_of(kafka={"trial": Unanswered(reason, is_refused=is_refused)}))
    assert [one for check in checks for one in check.findings] == []
    assert [(check.name, check.not_asked) for check in checks if check.not_asked] == [("broker", (reason,))]
    assert exit_code(checks) == 3


def test_without_kafka_this_machine_is_judged():
    """Kafka is one line; exit code 3, whatever else is found."""
    away = Unanswered("no Kafka broker")
    parts = dict.fromkeys(("group", "progress", "pins", "rulesets", "letters", "change", "sinks"), away)
    checks = judge(facts_of(status=parts, kafka=away, directory=directory(error="x", error_number=errno.EROFS)))
    assert [reason for check in checks for reason in check.not_asked] == ["no Kafka broker"]
    assert [check.name for check in checks if check.is_ill] == ["state directory"]
    assert exit_code(checks) == 3
