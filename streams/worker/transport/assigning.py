"""Partitions are assigned only once the group's leader knows every topic.

aiokafka asks for the metadata of the topics once, when they are subscribed to. If no broker answers then, it asks again
only after five minutes. A leader that gets into the group before that knows of no partition: Faust's assignor ignores
topics that it does not know, and no member gets any partition until the next answer.
"""

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Any, Final

import structlog

from models.errors import InfrastructureError

__all__ = ["assign_known_topics"]

_PAUSE_S: Final = 0.2

_ASK_S: Final = 5.0
"""How long an answer is waited for before the time is looked at."""

_SLOW_S: Final = 10.0
"""A broker that has just started knows its topics within seconds; a longer wait is logged."""

_log = structlog.get_logger()


def assign_known_topics(coordinator: Any, patience_s: float, halt: Callable[[InfrastructureError], object]) -> None:
    """Before each assignment, refresh the metadata until it has every topic that the worker subscribes to.

    Other members wait meanwhile. If that takes longer than the session timeout, the group goes on without this leader,
    which joins it again.
    (``test_a_broker_that_goes_while_a_worker_joins_leaves_it_with_its_partitions``)

    Args:
        coordinator: aiokafka's coordinator of one consumer.
        patience_s: after this time the worker ends.
        halt: called with the error.
    """
    perform = coordinator._perform_assignment  # noqa: SLF001 - aiokafka has no way to an assignor that waits

    async def perform_with_topics(response: Any) -> Any:
        while True:
            await _wait_for_topics(coordinator, patience_s, halt)
            assignment = await perform(response)
            # It waits for metadata that is under way, which may be without the topics again.
            if not _unknown(coordinator) or coordinator._closing.done():  # noqa: SLF001
                return assignment

    coordinator._perform_assignment = perform_with_topics  # noqa: SLF001


async def _wait_for_topics(coordinator: Any, patience_s: float, halt: Callable[[InfrastructureError], object]) -> None:
    client, closing = coordinator._client, coordinator._closing  # noqa: SLF001
    since = monotonic()
    warned = False
    while missing := _unknown(coordinator):
        waited_s = monotonic() - since
        if waited_s >= patience_s:
            error = InfrastructureError(
                f"no broker tells of {', '.join(missing)}, for {waited_s:.0f} s now, so no partition can be assigned. "
                "Do the topics exist, and may this worker's user describe them (consolidator topics check)?"
            )
            halt(error)
            raise error
        if not warned and waited_s > _SLOW_S:
            warned = True
            _log.warning("no broker tells of the topics: partitions are assigned once one does", topics=missing)
        # The request may go to a broker that does not answer, and then takes a whole request timeout.
        asked = [client.force_metadata_update(), closing]
        await asyncio.wait(asked, timeout=_ASK_S, return_when=asyncio.FIRST_COMPLETED)
        if _unknown(coordinator):
            await asyncio.wait([closing], timeout=_PAUSE_S)
        if closing.done():
            return


def _unknown(coordinator: Any) -> list[str]:
    topics = coordinator._subscription.topics  # noqa: SLF001
    return sorted(topic for topic in topics if not coordinator._cluster.partitions_for_topic(topic))  # noqa: SLF001
