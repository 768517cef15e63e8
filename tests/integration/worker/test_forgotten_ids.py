"""What a broker forgets of producers that rested: their transactional ids, and where their records ended."""

import asyncio
from contextlib import contextmanager
from functools import partial
from itertools import count
from threading import Thread
from time import monotonic

import pytest
from aiokafka import AIOKafkaConsumer

from consolidator.connecting.connection import Connection
from models.errors import InfrastructureError
from streams.broker.embedded import start_broker
from streams.partition.batch import Batch, Outgoing
from streams.worker.round import Membership
from streams.worker.transactions.partition_transactions import PartitionTransactions
from streams.worker.transactions.small_rounds.round_transactions import RoundProducers
from tests.fault_runs.load import publish_load
from tests.fault_runs.scale import scale
from tests.real_kafka.discarding import discard_broker
from tests.real_kafka.installed import installed
from tests.real_kafka.transactions import active_producers, committed_transactions, remembered_ids
from tests.real_kafka.worker_process import wait_until

pytestmark = pytest.mark.kafka

EXPIRY_MS = scale("EXPIRY_MS", short=8_000, long=20_000)
CLEAN_UP_MS = scale("CLEAN_UP_MS", short=500, long=5_000)
REST_S = scale("REST_S", short=0, long=60)
"""How long at least a worker has one kind of transaction only, or none."""

LIMIT_S = 40.0
LARGE = 6_000
"""Events at once, most times more than a small round has."""

FEW = 8
LARGE_ATTEMPTS = 10
INITIALISED = "a transactional id that the broker had forgotten is initialised again"

FORGETS_IDS = {
    "transactional.id.expiration.ms": str(EXPIRY_MS),
    "transaction.remove.expired.transaction.cleanup.interval.ms": str(CLEAN_UP_MS),
}
FORGETS_RECORDS = {
    "producer.id.expiration.ms": "1000",
    "producer.id.expiration.check.interval.ms": "200",
}


@contextmanager
def running(directory, cache_dir, properties):
    """A broker with these settings."""
    try:
        yield start_broker(directory, cache_dir, properties=properties).bootstrap_servers
    finally:
        discard_broker(directory)


@pytest.fixture(scope="module")
def forgetful_kafka(tmp_path_factory, kafka_cache_dir):
    """A broker that forgets ids that rested for some seconds."""
    with running(tmp_path_factory.mktemp("forgetful"), kafka_cache_dir, FORGETS_IDS | FORGETS_RECORDS) as servers:
        yield servers


@pytest.fixture
def installation(forgetful_kafka, tmp_path):
    """An installation on that broker."""
    with installed(forgetful_kafka, tmp_path) as found:
        yield found


@contextmanager
def owning(installation):
    """Makes owners of partition 0: each with the transactions of small rounds, and of large ones."""
    connection = Connection(installation.variables["KAFKA_BOOTSTRAP_SERVERS"])
    made = []

    def make():
        producers = RoundProducers(connection, installation.name, patience_s=LIMIT_S)
        made.append(producers)
        large = PartitionTransactions(
            connection, installation.name, 0, patience_s=LIMIT_S, confirm=partial(producers.confirm, 0)
        )
        small = producers.fence({0})[0]
        large.fence()
        return small, large

    try:
        yield make
    finally:
        for each in made:
            each.close()


@pytest.fixture
def owner(installation):
    """See :func:`owning`."""
    with owning(installation) as make:
        yield make


@contextmanager
def joined(installation):
    """The only member of the group."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever, name="member")
    thread.start()

    async def join():
        consumer = AIOKafkaConsumer(
            installation.topics.executions.name,
            bootstrap_servers=installation.variables["KAFKA_BOOTSTRAP_SERVERS"],
            group_id=installation.name,
            enable_auto_commit=False,
        )
        await consumer.start()
        assert consumer.assignment()
        return consumer

    consumer = asyncio.run_coroutine_threadsafe(join(), loop).result(LIMIT_S)
    try:
        yield Membership(installation.name, consumer._coordinator.generation, consumer._coordinator.member_id)
    finally:
        asyncio.run_coroutine_threadsafe(consumer.stop(), loop).result(LIMIT_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(LIMIT_S)
        loop.close()


@pytest.fixture
def member(installation):
    """See :func:`joined`."""
    with joined(installation) as membership:
        yield membership


def ids(installation, *partitions):
    """The transactional ids of partitions, of both kinds."""
    return {f"{installation.name}-{partition}{kind}" for partition in partitions for kind in ("", "-a", "-b")}


def wait_forgotten(installation, forgotten):
    """Until the coordinator knows none of these ids."""
    servers = installation.variables["KAFKA_BOOTSTRAP_SERVERS"]
    wait_until(lambda: not remembered_ids(servers, forgotten), "the ids to be forgotten", limit_s=LIMIT_S)


def commit(installation, transactions, end, member):
    """A transaction of one change, one row and an offset; where the row stands."""
    transactions.begin()
    transactions.produce([Outgoing(installation.topics.factor_changes.name, 0, b"0/%d" % end, b"change")])
    transactions.produce_rows(installation.topics.changelog.name, 0, [(b"row", b"%d" % end)])
    return transactions.commit([Batch(installation.topics.executions.name, 0, 0, end, [])], member)[0]


def rows(installation):
    """The committed rows of partition 0: where they stand, and what they say."""
    found = installation.read(installation.topics.changelog.name)
    return [(row.offset, int(row.value)) for row in found if row.partition == 0]


def test_ids_that_were_forgotten_are_initialised_again(installation, owner, member):
    """Both kinds of transactions go on after a rest, and write everything once, where they say."""
    small, large = owner()
    number = count(1)
    told = []

    def commit_each():
        # Twice the small ones: two ids take turns.
        for transactions in (small, small, large):
            end = next(number)
            told.append((commit(installation, transactions, end, member), end))

    commit_each()
    for _ in range(2):
        wait_forgotten(installation, ids(installation, 0))
        commit_each()
    assert rows(installation) == told
    changes = installation.read(installation.topics.factor_changes.name)
    assert [change.key for change in changes] == [b"0/%d" % end for _, end in told]
    assert installation.committed()[0] == told[-1][1]


def announce(installation, transactions, number, member):
    """Write a record and where it stands, as an adoption does; where that is."""
    source, rulesets = installation.topics.executions.name, installation.topics.rulesets.name
    record = Outgoing(source, 0, b"/adoption/%d" % number, b"%d" % number)
    return transactions.announce(record, lambda at: Outgoing(rulesets, 0, b"entry/%d" % number, b"%d" % at), member)


def announced(installation):
    """What was announced: where each record stands, and where its entry says so."""
    records = installation.read(installation.topics.executions.name)
    entries = installation.read(installation.topics.rulesets.name)
    return [record.offset for record in records], [int(entry.value) for entry in entries]


def test_an_adoption_is_announced_with_an_id_that_was_forgotten(installation, owner, member):
    """As any other transaction: it is the first one after a quiet week that adopts."""
    _, large = owner()
    first = announce(installation, large, 1, member)
    wait_forgotten(installation, ids(installation, 0))
    second = announce(installation, large, 2, member)
    commit(installation, large, 1, member)
    assert announced(installation) == ([first, second], [first, second])


@pytest.mark.parametrize("is_member", [True, False])
def test_no_adoption_takes_an_id_that_has_another_owner(installation, owner, member, is_member):
    """Whether the owner has initialised it since, or let it rest as well: nothing is announced, the owner goes on."""
    _, earlier = owner()
    announce(installation, earlier, 1, member)
    wait_forgotten(installation, ids(installation, 0))
    _, later = owner()
    if not is_member:
        wait_forgotten(installation, ids(installation, 0))
    former = member if is_member else Membership(member.group, member.generation - 1, member.member)
    with pytest.raises(InfrastructureError, match=r"fenced in .*nothing of this batch took effect here"):
        announce(installation, earlier, 2, former)
    announce(installation, later, 3, member)
    places, entries = announced(installation)
    assert len(places) == 2
    assert places == entries


@pytest.mark.parametrize("kind", ["small", "large"])
def test_whoever_was_fenced_after_a_rest_stays_fenced(installation, owner, member, kind):
    """A forgotten id has another owner: whoever had it before does not take it back, and the owner goes on."""
    which = ["small", "large"].index(kind)
    earlier = owner()[which]
    commit(installation, earlier, 1, member)
    wait_forgotten(installation, ids(installation, 0))
    later = owner()[which]
    with pytest.raises(InfrastructureError, match=r"fenced in .*nothing of this batch took effect here"):
        commit(installation, earlier, 2, member)
    commit(installation, later, 3, member)
    commit(installation, later, 4, member)
    assert [end for _, end in rows(installation)] == [1, 3, 4]


@pytest.mark.parametrize("kind", ["small", "large"])
def test_whoever_left_the_group_takes_no_id_that_its_owner_let_rest(installation, owner, member, kind):
    """Where the owner's id is forgotten too, the coordinator cannot tell them apart; the group can."""
    which = ["small", "large"].index(kind)
    earlier, later = owner()[which], owner()[which]
    wait_forgotten(installation, ids(installation, 0))
    gone = Membership(member.group, member.generation - 1, member.member)
    with pytest.raises(InfrastructureError, match=r"fenced in .*nothing of this batch took effect here"):
        commit(installation, earlier, 1, gone)
    assert not remembered_ids(installation.variables["KAFKA_BOOTSTRAP_SERVERS"], ids(installation, 0))
    commit(installation, later, 2, member)
    assert [end for _, end in rows(installation)] == [2]


def test_producers_whose_records_a_leader_has_forgotten_go_on(tmp_path, tmp_path_factory, kafka_cache_dir):
    """Of an id that is known, a partition's leader takes the next record whatever its number."""
    directory = tmp_path_factory.mktemp("forgets-records")
    with (
        running(directory, kafka_cache_dir, FORGETS_RECORDS) as servers,
        installed(servers, tmp_path) as installation,
        owning(installation) as owner,
        joined(installation) as member,
    ):
        both = owner()
        told = [(commit(installation, each, end, member), end) for end, each in enumerate([*both, *both], 1)]
        wait_until(lambda: not producers_of(installation), "the leader to have forgotten", limit_s=LIMIT_S)
        told += [(commit(installation, each, end, member), end) for end, each in enumerate([*both, *both], 5)]
        assert rows(installation) == told


@pytest.mark.slow
@pytest.mark.timeout(400 + 4 * REST_S)
def test_a_worker_goes_on_after_each_kind_of_rest(installation):
    """Nothing at all, small rounds only, large batches only, until the broker has forgotten the ids that rested."""
    small = {name for name in ids(installation, *range(4)) if name.endswith(("-a", "-b"))}
    large = ids(installation, *range(4)) - small
    worker = installation.start().wait_ready(installation.partitions)
    seeds = count(1)

    def publish(events):
        publish_load(installation, events, next(seeds))
        installation.wait_consumed(worker, limit_s=LIMIT_S)

    def publish_large():
        before = of_kind("large batches")
        for _ in range(LARGE_ATTEMPTS):
            publish(LARGE)
            if of_kind("large batches") > before:
                return
        raise AssertionError("every round was a small one")

    def of_kind(kind):
        return committed_transactions(installation.config, installation.name).get(kind, 0)

    def until_forgotten(which, meanwhile):
        servers, begun = installation.variables["KAFKA_BOOTSTRAP_SERVERS"], monotonic()

        def forgotten():
            meanwhile()
            return monotonic() - begun >= REST_S and not remembered_ids(servers, which)

        wait_until(forgotten, "the ids to be forgotten", limit_s=REST_S + 3 * LIMIT_S, details=worker.tail)

    # Nothing at all.
    until_forgotten(small | large, lambda: None)
    publish(FEW)
    # Small rounds only.
    until_forgotten(large, lambda: publish(FEW))
    publish_large()
    # Large batches only, as far as these are: what comes of a publication's end may be small.
    wait_forgotten(installation, small | large)
    begun = monotonic()
    publish_large()
    while monotonic() - begun < REST_S:
        publish_large()
    wait_forgotten(installation, small)
    publish(FEW)
    assert worker.entries(INITIALISED)
    worker.stop()
    installation.report(installation.observe(state=worker.state())).require()


def producers_of(installation):
    """The producers of whose records the leader of the changelog's partition 0 knows."""
    return active_producers(
        installation.variables["KAFKA_BOOTSTRAP_SERVERS"], installation.topics.changelog.name, partition=0
    )
