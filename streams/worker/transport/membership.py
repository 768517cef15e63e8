"""Static membership that two workers cannot share: a worker whose member was replaced ends.

A member that joins with an instance id (KIP-345) replaces the member that had the id before. Kafka answers the replaced
member's requests with FENCED_INSTANCE_ID, if they have the instance id. aiokafka's heartbeats do not have it, so they
are answered with UNKNOWN_MEMBER_ID. aiokafka then joins again, and replaces its successor. Two such workers would take
all partitions from each other every few seconds, for ever.
"""

from collections.abc import Callable
from typing import Any

from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.group import HeartbeatRequest, HeartbeatRequest_v0, HeartbeatRequest_v1
from aiokafka.protocol.types import Int16, Int32, Schema, String

from models.errors import ContractError

__all__ = ["end_when_replaced", "heartbeat"]

_FENCED_INSTANCE_ID = 82
"""The error code ``FENCED_INSTANCE_ID``, which any answer of a group coordinator may have; aiokafka has no name for
it."""


class _HeartbeatResponse(Response):
    API_KEY = 12
    API_VERSION = 3
    SCHEMA = Schema(("throttle_time_ms", Int32), ("error_code", Int16))


class _HeartbeatWithInstance(RequestStruct):
    """Version 3 of the request, of Kafka 2.3; aiokafka has 0 and 1."""

    API_KEY = 12
    API_VERSION = 3
    RESPONSE_TYPE = _HeartbeatResponse
    SCHEMA = Schema(
        ("group", String("utf-8")),
        ("generation_id", Int32),
        ("member_id", String("utf-8")),
        ("group_instance_id", String("utf-8")),
    )


class _StaticHeartbeat(Request[HeartbeatRequest_v0 | HeartbeatRequest_v1 | _HeartbeatWithInstance]):
    """aiokafka's heartbeat with an instance id, if the broker's version supports it."""

    API_KEY = 12

    def __init__(self, heartbeat: HeartbeatRequest, instance: str) -> None:
        self._heartbeat = heartbeat
        self._instance = instance

    def build(self, request_struct_class: type[Any]) -> Any:
        fields = (self._heartbeat._group, self._heartbeat._generation_id, self._heartbeat._member_id)  # noqa: SLF001
        if request_struct_class is _HeartbeatWithInstance:
            return request_struct_class(*fields, self._instance)
        return request_struct_class(*fields)


def heartbeat(group: str, generation: int, member: str, instance: str | None) -> Request[Any]:
    """A heartbeat. The group's coordinator refuses it if the member is not in the current generation.

    Args:
        group: the group's id.
        generation: the generation.
        member: the member.
        instance: the static member's id; None: the member is not static.
    """
    plain = HeartbeatRequest(group, generation, member)
    return plain if instance is None else _StaticHeartbeat(plain, instance)


def end_when_replaced(coordinator: Any, instance: str | None, halt: Callable[[ContractError], object]) -> None:
    """Send the instance id with every heartbeat, and end the worker when the coordinator answers that it was replaced.

    (``test_of_two_workers_with_one_instance_id_the_first_one_ends``)

    Args:
        coordinator: aiokafka's coordinator of one consumer.
        instance: the instance id; None: the member is not static, and nobody can replace it.
        halt: called with the error.
    """
    if instance is None:
        return
    send = coordinator._send_req  # noqa: SLF001 - every request to the group goes through it

    async def send_as_instance(request: Any) -> Any:
        if isinstance(request, HeartbeatRequest):
            request = _StaticHeartbeat(request, instance)
        response = await send(request)
        if getattr(response, "error_code", 0) == _FENCED_INSTANCE_ID:
            halt(
                ContractError(
                    f"another worker has joined the group with this worker's CONSOLIDATOR_INSTANCE_ID, {instance!r}, "
                    "and taken its partitions over. Give each worker an id of its own; if that one is this worker's "
                    "successor, nothing is to be done"
                )
            )
        return response

    coordinator._send_req = send_as_instance  # noqa: SLF001
