"""A committed offset is readable before what was published with it: forced on real Kafka, by a transaction held open.

Somebody else's transaction on ``factor-changes`` holds its last stable offset back, as a commit marker that is late
does. The worker commits meanwhile: its group's offset moves, and no reader of committed records sees its changes.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from confluent_kafka import IsolationLevel, Producer

from consolidator.connecting.ends import ends_of
from streams.demo.scenarios import SCENARIOS
from streams.sink.database import migrate, open_for_writing, url_of
from streams.sink.lane import Cursor
from streams.sink.membership import Membership
from streams.sink.service import SinkService
from streams.sink.writing import CutWriter
from tests.databases.model import Model, sqlite_url
from tests.inputs.workloads import parse_json
from tests.real_kafka.installation import Installation
from tests.real_kafka.worker_process import wait_until
from topics.reading.erasures import ConfirmedErasures
from topics.reading.following import Follower
from topics.reading.progress import GroupProgress, Published
from topics.records.adoptions import KnownRulesets

pytestmark = pytest.mark.kafka

LIMIT_S = 60.0
HELD_S = 3.0
SESSION_S = 10.0
NOTHING: list[str] = []


class NaiveProgress(GroupProgress):
    """Takes the last stable offset for the end of what was published: as everybody does at first."""

    def published(self) -> dict[int, Published]:
        """Both ends as a reader of committed records is told them."""
        found = super().published()
        stable = ends_of(
            self._admin, self._topics.factor_changes.name, [*found], IsolationLevel.READ_COMMITTED, limit_s=LIMIT_S
        )
        return {one: Published(each.consolidated, stable[one], each.letters) for one, each in found.items()}


@contextmanager
def service(model: Model, progress: type[GroupProgress]) -> Iterator[Callable[[], bool]]:
    """A sink in this process; each call lets it ask, read and write once."""
    installation = model.installation
    config, topics = installation.config, installation.topics
    engine = open_for_writing(url_of(model.url))
    migrate(engine)
    writer = CutWriter(
        engine,
        topics,
        max_event_bytes=256 * 1024,
        authority=ConfirmedErasures(config, topics),
        keeping=lambda _: NOTHING,
        rulesets=KnownRulesets,
    )
    with (
        Follower(config) as follower,
        progress(config, installation.name, topics) as group,
        Membership(config, f"{installation.name}-sink", topics.executions.name, SESSION_S) as membership,
    ):
        wait_for_all(membership, installation.partitions)
        sink = SinkService(
            engine,
            writer,
            topics,
            membership,
            follower,
            group,
            beginnings=lambda _: Cursor(0, 0, 0),
            absence_ms=86_400_000,
            fenced_s=1.0,
        )
        sink.follow_assignment()
        yield sink.step
        sink.close()
    engine.dispose()


def wait_for_all(membership: Membership, partitions: int) -> None:
    """Until all partitions are this process's."""

    def has_all() -> bool:
        membership.poll()
        return len(membership.assigned) == partitions

    wait_until(has_all, "every partition is assigned to the sink", limit_s=LIMIT_S)


@contextmanager
def held_open(installation: Installation) -> Iterator[None]:
    """A transaction that stays open in every partition of ``factor-changes``, and is aborted at the end."""
    producer = Producer(installation.config | {"transactional.id": f"{installation.name}-other"})
    producer.init_transactions(LIMIT_S)
    producer.begin_transaction()
    for partition in range(installation.partitions):
        producer.produce(installation.topics.factor_changes.name, b"{}", b"k", partition)
    assert producer.flush(LIMIT_S) == 0
    try:
        yield
    finally:
        producer.abort_transaction(LIMIT_S)


def step_for(step: Callable[[], bool], seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        step()
        if until():
            return True
    return False


def shown(model: Model) -> tuple[int, int]:
    """Active executions, and results: of the same events."""
    [active] = model.rows("SELECT COUNT(*) AS n FROM processor_executions WHERE status IN ('completed', 'failed')")
    [results] = model.rows("SELECT COALESCE(SUM(active), 0) AS n FROM consolidations")
    return active["n"], results["n"]


@pytest.fixture
def consolidating(installation: Installation, tmp_path) -> Iterator[Model]:
    """The scenarios are consolidated, and their changes cannot be read."""
    found = Model(installation, sqlite_url(tmp_path))
    with held_open(installation):
        worker = installation.start()
        installation.publish([parse_json(line) for one in SCENARIOS for line in one.lines()])
        installation.wait_consumed(worker)
        assert sum(installation.stable_ends(installation.topics.factor_changes.name).values()) == 0
        yield found
    found.close()


def test_a_naive_reader_shows_events_without_their_results(consolidating):
    """What the gap does, to those who take the stable offset for the end."""
    with service(consolidating, NaiveProgress) as step:
        assert step_for(step, LIMIT_S, until=lambda: shown(consolidating)[0] > 0)
        active, results = shown(consolidating)
        assert active > results == 0


def test_the_sink_waits_for_what_was_committed(installation, tmp_path):
    """It shows nothing of these events while their changes cannot be read, and everything when they can."""
    model = Model(installation, sqlite_url(tmp_path))
    with service(model, GroupProgress) as step:
        with held_open(installation):
            worker = installation.start()
            installation.publish([parse_json(line) for one in SCENARIOS for line in one.lines()])
            installation.wait_consumed(worker)
            step_for(step, HELD_S)
            assert shown(model) == (0, 0)
        assert step_for(step, LIMIT_S, until=lambda: shown(model) == (8, 8)), shown(model)
        model.wait_through(limit_s=0)
        model.check()
    model.close()
