"""Access control lists: with the documented ones everything works, and without any one of them its name is told."""

import json
import sys
from pathlib import Path

import pytest

from consolidator import AuthorizationError, SnapshotEnd, Waiter, subscribe
from consolidator.connecting.arguments import connection_from
from consolidator.subscribing.cluster import Cluster
from tests.fault_runs import lingering_worker
from tests.inputs.workloads import believable, to_json
from tests.real_kafka.secured_installation import SecuredInstallation
from tests.real_kafka.worker_process import WorkerProcess
from topics.contract.declared import declare
from topics.contract.permissions import Resource, Role, permissions

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.thorough]

REFUSED = 2
NOTHING_KNOWN = 1
NOT_ASKED = 3
START_LIMIT_S = 45.0
STOP_LIMIT_S = 45.0
"""From a permission's end to the worker's: a fetch or a heartbeat has to ask for it first."""

UNPOLLED_S = 40
UNPOLLED_LIMIT_S = 25.0
"""A heartbeat after the permission is gone, and long before anything is polled again."""

DAY_MS = 86_400_000

FIXED = declare(
    "", app_id="app", partitions=4, replication_factor=1, audit_window_days=1, max_event_bytes=1024
)  # fmt: skip
"""Only for the number of permissions, which is needed before there is an installation."""


def each_of(role: Role, *, but: str = "") -> pytest.MarkDecorator:
    """One case for each permission of a role, by its place in the list; without those for one operation."""
    named = [(place, str(one)) for place, one in enumerate(permissions(role, FIXED, "app")) if one.operation != but]
    return pytest.mark.parametrize("place", [place for place, _ in named], ids=[name for _, name in named])


@pytest.fixture(scope="module")
def shared(secured, tmp_path_factory):
    """An installation with topics, an event in each partition, and a user who proves itself by SCRAM."""
    found = SecuredInstallation(secured, tmp_path_factory.mktemp("permissions"), secured.scram())
    found.create_topics()
    found.publish(believable(71, 10))
    try:
        yield found
    finally:
        found.close()


def said_by(worker: WorkerProcess) -> str:
    """What the worker said; its JSON log's text as people read it."""
    return worker.log.replace("\\n", "\n")


@each_of(Role.WORKER)
def test_a_worker_that_lacks_one_permission_names_it_and_does_nothing(shared, place):
    """Operation and resource are named, the exit code is 2, and neither outputs nor offsets are there.

    Its catalogue may be kept already: that is no output.
    """
    wanted = shared.needed(Role.WORKER)
    missing = wanted.pop(place)
    shared.broker.permit(wanted)
    worker = shared.start()
    assert worker.wait_exit(limit_s=START_LIMIT_S) == REFUSED, worker.tail()
    assert str(missing) in said_by(worker), worker.tail()
    assert "to do: grant it" in said_by(worker)
    outputs = {*shared.topics} - {shared.topics.executions, shared.topics.rulesets}
    assert not any(shared.ends(topic.name)[0] for topic in outputs)
    assert not any(shared.committed().values())


def test_a_worker_with_the_whole_list_obeys_every_law(secured, tmp_path, conclude):
    """The documented list is enough to fold, re-publish, reject and recover."""
    installation = SecuredInstallation(secured, tmp_path, secured.scram())
    installation.create_topics()
    try:
        installation.permit(Role.WORKER)
        installation.publish(believable(72, 60))
        run(installation)
        installation.publish(believable(73, 40))
        run(installation)
        conclude(
            installation,
            scenario="least permissions",
            fault="a cluster that denies whatever is not permitted; each permission of the list taken away in turn",
            held="the laws with the whole list; without any one the worker refuses to start and names it",
            faults=len(installation.needed(Role.WORKER)),
            seeds=(72, 73),
            state=installation.state_dir,
        )
    finally:
        installation.close()


def run(installation: SecuredInstallation) -> None:
    """Fold everything and stop."""
    worker = installation.start().wait_ready(installation.partitions)
    installation.wait_consumed(worker)
    worker.stop()


@pytest.mark.parametrize(
    ("operation", "kind"),
    [("Read", "executions"), ("Write", "factor_changes"), ("Write", "changelog"), ("Read", "group")],
)
def test_a_permission_that_is_taken_away_stops_a_running_worker(secured, tmp_path, operation, kind):
    """It ends with the permission's name, with whole batches done or nothing of them; with it back, it goes on."""
    installation = SecuredInstallation(secured, tmp_path, secured.scram())
    installation.create_topics()
    try:
        wanted = installation.needed(Role.WORKER)
        name = installation.name if kind == "group" else getattr(installation.topics, kind).name
        missing = next(one for one in wanted if (one.operation, one.name) == (operation, name))
        secured.permit(wanted)
        installation.publish(believable(74, 5))
        worker = installation.start().wait_ready(installation.partitions)
        installation.wait_consumed(worker)
        secured.permit([one for one in wanted if one != missing])
        installation.publish(believable(75, 5))
        assert worker.wait_exit(limit_s=STOP_LIMIT_S) == REFUSED, worker.tail()
        assert str(missing) in said_by(worker), worker.tail()
        secured.permit(wanted)
        run(installation)
        installation.check_laws(state=installation.state_dir)
    finally:
        installation.close()


def test_an_error_that_nobody_waits_for_ends_the_worker(secured, tmp_path):
    """Refused by the group while nothing is polled, at the end of a recovery, the worker ends there and then."""
    installation = SecuredInstallation(secured, tmp_path, secured.scram())
    installation.create_topics()
    try:
        wanted = installation.needed(Role.WORKER)
        missing = next(one for one in wanted if one.resource is Resource.GROUP)
        secured.permit(wanted)
        worker = installation.start_program(
            sys.executable,
            str(Path(lingering_worker.__file__)),
            "run",
            CONSOLIDATOR_TEST_LINGER="sought",
            CONSOLIDATOR_TEST_LINGER_S=str(UNPOLLED_S),
        ).wait_ready(installation.partitions)
        secured.permit([one for one in wanted if one != missing])
        assert worker.wait_exit(limit_s=UNPOLLED_LIMIT_S) == REFUSED, worker.tail()
        assert str(missing) in said_by(worker), worker.tail()
    finally:
        installation.close()


@each_of(Role.PUBLISHER)
def test_a_publisher_that_lacks_one_permission_names_it(shared, place):
    """Nothing is published, and the exit code is 2; with the whole list it is published."""
    wanted = shared.needed(Role.PUBLISHER)
    missing = wanted[place]
    shared.broker.permit([one for one in wanted if one != missing])
    before = shared.ends()
    line = to_json(believable(77, 1)[0])
    refused = shared.command("publish", "-", stdin=line)
    assert (refused.code, str(missing) in refused.stderr) == (REFUSED, True), refused
    assert shared.ends() == before
    shared.broker.permit(wanted)
    assert shared.command("publish", "-", stdin=line).code == 0


@each_of(Role.READER)
def test_a_reader_that_lacks_one_permission_names_it(shared, place):
    """``tail`` and ``factors`` need Read on their topic, no group, and say so; ``factors`` on that of erasures, too."""
    missing = shared.needed(Role.READER)[place]
    kind = missing.name.removeprefix(f"{shared.name}.")
    command = ("factors", "nobody") if kind == "erasures" else ("tail", kind, "--from", "beginning", "--until-end")
    shared.permit(Role.READER)
    assert shared.command(*command).code == (NOTHING_KNOWN if kind == "erasures" else 0)
    shared.broker.permit([one for one in shared.needed(Role.READER) if one != missing])
    refused = shared.command(*command)
    assert (refused.code, str(missing) in refused.stderr) == (REFUSED, True), refused


def test_a_reader_is_told_why_without_the_calculation(secured, tmp_path):
    """Contributors, failures and the last change need no event; the calculation does, and that is said."""
    installation = SecuredInstallation(secured, tmp_path, secured.scram())
    try:
        installation.create_topics()
        events = believable(78, 1)
        installation.publish(events)
        installation.permit(Role.WORKER)
        worker = installation.start()
        installation.wait_consumed(worker)
        worker.stop()
        installation.permit(Role.READER)
        told = installation.command("factors", events[0]["application_id"], "--why")
        assert (told.code, "no calculation: this client may not read" in told.stdout) == (0, True), told
        assert "last change:" in told.stdout
    finally:
        installation.close()


@each_of(Role.AUDITOR)
def test_an_auditor_who_lacks_one_permission_is_told_its_name(shared, place):
    """``replay --verify`` reads three topics and looks at the worker's group; it needs all of that and nothing else."""
    missing = shared.needed(Role.AUDITOR)[place]
    command = ("replay", "--verify")
    shared.permit(Role.AUDITOR)
    verified = shared.command(*command)
    assert verified.code == 0, verified
    shared.broker.permit([one for one in shared.needed(Role.AUDITOR) if one != missing])
    refused = shared.command(*command)
    assert (refused.code, str(missing) in refused.stderr) == (REFUSED, True), refused


@each_of(Role.ERASER)
def test_who_erases_and_lacks_one_permission_is_told_its_name(shared, place):
    """Before anything is read, let alone written; the dry run needs the whole list, as the real one does."""
    missing = shared.needed(Role.ERASER)[place]
    command = ("erase", "an-application")
    shared.permit(Role.ERASER)
    assert shared.command(*command).code == 0
    shared.broker.permit([one for one in shared.needed(Role.ERASER) if one != missing])
    refused = shared.command(*command)
    assert (refused.code, str(missing) in refused.stderr) == (REFUSED, True), refused


@each_of(Role.SINK)
def test_a_sink_that_lacks_one_permission_names_it(shared, tmp_path, place):
    """Before the database is touched, with exit code 2."""
    missing = shared.needed(Role.SINK)[place]
    shared.broker.permit([one for one in shared.needed(Role.SINK) if one != missing])
    file = tmp_path / "model.db"
    refused = shared.command("sink", "run", "--url", f"sqlite:///{file}")
    assert (refused.code, str(missing) in refused.stderr) == (REFUSED, True), refused
    assert not file.exists()


@each_of(Role.SUBSCRIBER, but="DescribeConfigs")
def test_a_subscriber_that_lacks_one_permission_names_it(shared, monkeypatch, place):
    """Whether it waits for an event, takes a snapshot or joins a group: what it needs for that is named.

    Not so for the topics' settings, which the next test is about.
    """
    for name, value in shared.variables.items():
        monkeypatch.setenv(name, value)
    missing = shared.needed(Role.SUBSCRIBER)[place]
    shared.set_group(shared.ends())
    uses = joined if missing.prefixed else subscribed if "factor" in missing.name else waited
    shared.permit(Role.SUBSCRIBER)
    uses(shared)
    shared.broker.permit([one for one in shared.needed(Role.SUBSCRIBER) if one != missing])
    with pytest.raises(AuthorizationError) as refused:
        uses(shared)
    assert str(missing).removesuffix("*") in str(refused.value)


def test_a_subscriber_that_may_not_see_settings_may_be_away_for_a_day(shared, monkeypatch):
    """Kafka's own default is supposed for how long erasures stay; with the whole list, the topics' setting is known."""
    for name, value in shared.variables.items():
        monkeypatch.setenv(name, value)
    cluster = Cluster(connection_from(None, {}).librdkafka(), f"{shared.name}.")
    shared.permit(Role.SUBSCRIBER)
    assert cluster.describe().retention_ms == 30 * DAY_MS
    for missing in shared.needed(Role.SUBSCRIBER):
        if missing.operation == "DescribeConfigs":
            shared.broker.permit([one for one in shared.needed(Role.SUBSCRIBER) if one != missing])
            assert cluster.describe().retention_ms == DAY_MS


def waited(installation):
    """Wait for the first event of a partition, as a subscriber does."""
    with Waiter() as waiter:
        waiter.wait_for((0, 0))


def subscribed(installation):
    """Take a snapshot, as a subscriber does."""
    with subscribe(until="caught-up") as subscription:
        assert any(isinstance(item, SnapshotEnd) for item in subscription)


def joined(installation):
    """Take a partition's snapshot as one of a group's members."""
    with subscribe(group=f"{installation.name}-subscriber-1") as subscription:
        assert any(isinstance(item, SnapshotEnd) for item in subscription)


@each_of(Role.OPERATOR)
def test_an_operator_who_lacks_one_permission_is_told_its_name(shared, place):
    """The doctor asks the rest all the same, and what it may not ask is no finding; with the list, all is asked."""
    missing = shared.needed(Role.OPERATOR)[place]
    command = ("doctor", "--format", "json")
    shared.permit(Role.OPERATOR)
    asked = shared.command(*command)
    assert (asked.code, '"result":"not_asked"' in asked.stdout) == (NOTHING_KNOWN, False), asked
    shared.broker.permit([one for one in shared.needed(Role.OPERATOR) if one != missing])
    refused = shared.command(*command)
    assert (refused.code, f"not permitted: {missing}" in refused.stdout) == (NOT_ASKED, True), refused
    assert "there is no topic" not in refused.stdout


def test_an_operator_reads_no_factors(shared):
    """The status needs no more than the list, in which no topic with factor values may be read."""
    shared.permit(Role.OPERATOR)
    assert shared.command("status").code in {0, 1}
    unread = {shared.topics.factors.name, shared.topics.factor_changes.name, shared.topics.changelog.name}
    assert not [one for one in shared.needed(Role.OPERATOR) if one.operation == "Read" and one.name in unread]


@each_of(Role.ADMIN)
def test_who_applies_topics_and_lacks_one_permission_is_told_its_name(secured, tmp_path, place):
    """Not even the topics that may be created are; with the whole list ``apply`` and ``check`` succeed."""
    installation = SecuredInstallation(secured, tmp_path, secured.scram())
    try:
        wanted = installation.needed(Role.ADMIN)
        missing = wanted.pop(place)
        if missing.operation != "Create":
            installation.create_topics()
        existed = installation.existing_topics()
        secured.permit(wanted)
        refused = installation.command("topics", "apply")
        assert refused.code == REFUSED, refused
        assert str(missing) in refused.stderr, refused
        assert installation.existing_topics() == existed
        installation.permit(Role.ADMIN)
        assert installation.command("topics", "apply").code == 0
        assert installation.command("topics", "check").code == 0
    finally:
        installation.close()


def test_the_list_is_printed_for_the_settings(shared):
    """``topics acls`` names the topics, the group and the transactional ids that the settings stand for."""
    done = shared.command("topics", "acls", "--role", "worker", "--principal", "User:w", "--format", "json")
    printed = [json.loads(line) for line in done.stdout.splitlines()]
    assert [f"{row['operation']} on {row['resource_type']} {row['name']}" for row in printed] == [
        str(one).removesuffix("*") for one in shared.needed(Role.WORKER)
    ]
    assert {row["principal"] for row in printed} == {"User:w"}
    table = shared.command("topics", "acls").stdout
    assert all(one.name in table for role in Role for one in shared.needed(role))
