"""Partitions are assigned only once the group's leader knows every topic."""

import asyncio

import pytest

from models.errors import InfrastructureError
from streams.worker.transport import assigning
from streams.worker.transport.assigning import assign_known_topics

TOPICS = {"executions", "changelog"}


class Coordinator:
    """As much of aiokafka's coordinator as is looked at; its client learns of one topic with each answer.

    Args:
        answers: what the client's metadata has after each request; the last one stays.
    """

    def __init__(self, *answers: set[str]) -> None:
        self.answers = list(answers)
        self.known: set[str] = set()
        self.asked = 0
        self.assigned: list[set[str]] = []
        self.topics = TOPICS
        self._client = self._cluster = self._subscription = self
        self._closing = asyncio.get_running_loop().create_future()

    def partitions_for_topic(self, topic):
        return {0, 1} if topic in self.known else None

    def force_metadata_update(self):
        """As aiokafka's, it is there at once even if no broker has answered."""
        self.asked += 1
        self.known = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        done = asyncio.get_running_loop().create_future()
        done.set_result(self.known == TOPICS)
        return done

    async def _perform_assignment(self, response):
        self.assigned.append(set(self.known))
        return response


async def assigned(coordinator):
    """The result of an assignment with which no worker was ended."""
    errors = []
    assign_known_topics(coordinator, 60.0, errors.append)
    result = await coordinator._perform_assignment("members")
    assert errors == []
    return result


async def refused(coordinator):
    """The error with which an assignment ends, and the worker as well."""
    errors = []
    assign_known_topics(coordinator, 0.01, errors.append)
    with pytest.raises(InfrastructureError) as caught:
        await coordinator._perform_assignment("members")
    assert errors == [caught.value]
    assert coordinator.assigned == []
    return str(caught.value)


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(assigning, "_PAUSE_S", 0.001)


def test_a_leader_that_knows_the_topics_asks_for_nothing():
    async def scenario():
        coordinator = Coordinator(TOPICS)
        coordinator.known = TOPICS
        assert await assigned(coordinator) == "members"
        assert coordinator.asked == 0

    asyncio.run(scenario())


@pytest.mark.parametrize("first", [set(), {"changelog"}, {"executions"}])
def test_a_leader_that_lacks_a_topic_asks_until_it_knows_it(first):
    """Without that the assignor would leave out the topic, or give out state without its source."""

    async def scenario():
        coordinator = Coordinator(first, first, TOPICS)
        assert await assigned(coordinator) == "members"
        assert coordinator.asked == 3
        assert coordinator.assigned == [TOPICS]

    asyncio.run(scenario())


def test_topics_of_which_no_broker_tells_end_the_worker():
    """The error names them, and what may be the cause."""

    async def scenario():
        assert "no broker tells of changelog, " in await refused(Coordinator({"executions"}))

    asyncio.run(scenario())


def test_a_consumer_that_closes_does_not_wait_for_its_topics():
    """The close waits for the assignment that is under way."""

    async def scenario():
        coordinator = Coordinator(set())
        under_way = asyncio.ensure_future(assigned(coordinator))
        await asyncio.sleep(0)
        assert not under_way.done()
        coordinator._closing.set_result(None)
        async with asyncio.timeout(10):
            assert await under_way == "members"

    asyncio.run(scenario())


def test_a_request_that_is_not_answered_does_not_hide_the_end(monkeypatch):
    """A library waits a whole request timeout for a broker that is silent."""
    monkeypatch.setattr(assigning, "_ASK_S", 0.001)

    async def scenario():
        coordinator = Coordinator(set())
        coordinator.force_metadata_update = lambda: asyncio.get_running_loop().create_future()
        assert "no broker tells of changelog, executions, " in await refused(coordinator)

    asyncio.run(scenario())


def test_topics_that_are_lost_again_before_the_assignment_are_waited_for():
    """An answer that was under way may lack them: the assignment waits for it, too."""

    async def scenario():
        coordinator = Coordinator(TOPICS)
        perform, answers = coordinator._perform_assignment, [set(), TOPICS]

        async def performed(response):
            coordinator.known = answers.pop(0)
            return await perform(response)

        coordinator._perform_assignment = performed
        assert await assigned(coordinator) == "members"
        assert coordinator.assigned == [set(), TOPICS]

    asyncio.run(scenario())
