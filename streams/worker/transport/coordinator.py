"""Adapts aiokafka's coordinator of a consumer group: assignments, static membership, and committed offsets."""

from collections.abc import Callable
from typing import Any

from aiokafka import errors
from aiokafka.protocol.commit import OffsetFetchRequest

from models.errors import ConsolidatorError
from streams.worker.transport.assigning import assign_known_topics
from streams.worker.transport.membership import end_when_replaced

__all__ = ["adapt_coordinator", "judge_committed"]

_MOVED = (errors.GroupCoordinatorNotAvailableError, errors.NotCoordinatorForGroupError)


def adapt_coordinator(
    coordinator: Any, *, instance: str | None, patience_s: float, halt: Callable[[ConsolidatorError], object]
) -> None:
    """Adapt the coordinator of one consumer, before it joins the group.

    Args:
        coordinator: aiokafka's.
        instance: the instance id of a static member.
        patience_s: how long an assignment waits for brokers to tell of its topics.
        halt: called with an error that ends the worker.
    """
    assign_known_topics(coordinator, patience_s, halt)
    judge_committed(coordinator)
    end_when_replaced(coordinator, instance, halt)


def judge_committed(coordinator: Any) -> None:
    """Ask again for committed offsets where the answer as a whole is an error.

    From version 2 of the request on, a coordinator that still loads the group's offsets, or is none any more, answers
    with an error and no partition. aiokafka sends version 3, and looks at the partitions' errors only: it would take
    such an answer for "nothing is committed". Its own loops repeat a request that fails with one of these errors.

    Args:
        coordinator: aiokafka's coordinator of one consumer.
    """
    send = coordinator._send_req  # noqa: SLF001 - every request to the group goes through it

    async def send_and_judge(request: Any) -> Any:
        response = await send(request)
        code = getattr(response, "error_code", 0) if isinstance(request, OffsetFetchRequest) else 0
        if code:
            error = errors.for_code(code)
            if issubclass(error, _MOVED):
                coordinator.coordinator_dead()
            raise error(f"the committed offsets of group {coordinator.group_id} cannot be read")
        return response

    coordinator._send_req = send_and_judge  # noqa: SLF001
