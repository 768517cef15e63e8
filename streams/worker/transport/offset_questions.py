"""Requests for offsets through aiokafka's consumer, repeated while a leader does not answer.

aiokafka waits ``request_timeout_ms`` for a leader that does not answer, and keeps asking it even after it has been
replaced. It also omits a partition that an answer omits. Faust treats the first case like a stop of the recovery, which
then ends silently, and the second like a partition without anything to recover.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from time import monotonic
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError as ClientError
from aiokafka.errors import KafkaTimeoutError
from faust.types import TP

from consolidator.connecting.offsets import ASK_S, silence, unanswered
from models.errors import InfrastructureError

__all__ = ["Asking", "ask_for_offsets", "ask_once", "look_for_leaders"]

_PAUSE_S: Final = 0.1

_SLOW_S: Final = 10.0
"""An election takes seconds, and is not logged; a longer wait is."""

Asking = Callable[[Sequence[TP]], Awaitable[Mapping[TP, int]]]

_log = structlog.get_logger()


async def ask_for_offsets(
    ask: Asking, tps: Iterable[TP], *, patience_s: float, leaders: Callable[[Sequence[TP]], Awaitable[Mapping[TP, str]]]
) -> Mapping[TP, int]:
    """The first offset, or the end, of each partition.

    Args:
        ask: asks once, for at most :data:`consolidator.connecting.offsets.ASK_S`; raises aiokafka's errors.
        tps: the partitions.
        patience_s: how long leaders that do not answer are asked again.
        leaders: makes the client refresh its metadata, and returns the leaders that it knew.

    Raises:
        InfrastructureError: there is no answer for a partition; the message names it and its leader.
    """
    wanted = sorted(tps)
    since = monotonic()
    warned = False
    while True:
        reason, missing = "", wanted
        try:
            found = await ask(wanted)
        except ClientError as error:
            if not error.retriable and not isinstance(error, KafkaTimeoutError):
                raise
            reason = f" ({error!r})"
        else:
            missing = unanswered(found, wanted)
            if not missing:
                return found
        text = _told(missing, await leaders(missing)) + reason
        waited_s = monotonic() - since
        if waited_s >= patience_s:
            raise InfrastructureError(f"{text}, for {waited_s:.0f} s now; nothing was recovered. Are the brokers up?")
        if not warned and waited_s > _SLOW_S:
            warned = True
            _log.warning("a broker does not answer for offsets; it is asked again", reason=text)
        await asyncio.sleep(_PAUSE_S)


async def ask_once(question: Awaitable[Mapping[TP, int]]) -> Mapping[TP, int]:
    """Ask aiokafka once, with a time limit; runs on its event loop.

    Raises:
        ClientError: aiokafka's error; also if there is no answer in time.
    """
    try:
        async with asyncio.timeout(ASK_S):
            return await question
    except TimeoutError as error:
        raise KafkaTimeoutError(f"no answer in {ASK_S:.0f} s") from error


async def look_for_leaders(consumer: AIOKafkaConsumer, tps: Sequence[TP]) -> Mapping[TP, str]:
    """Refresh a consumer's metadata, and return the leaders that it knew; runs on its event loop."""
    client: Any = consumer._client  # noqa: SLF001 - aiokafka's consumer offers no way to its metadata
    named = {}
    for tp in tps:
        leader = client.cluster.leader_for_partition(tp)
        broker = None if leader is None else client.cluster.broker_metadata(leader)
        if broker is not None:
            named[tp] = f"broker {leader} at {broker.host}:{broker.port}"
    # The request may go to the silent broker first, and then takes a whole request timeout.
    await asyncio.wait([client.force_metadata_update()], timeout=ASK_S)
    return named


def _told(missing: Sequence[TP], leaders: Mapping[TP, str]) -> str:
    """The partitions without an answer, by topic."""
    topics: dict[str, dict[int, str]] = {}
    for tp in missing:
        topics.setdefault(tp.topic, {})[tp.partition] = leaders.get(tp, "not known")
    return "; ".join(silence(topic, [*known], known).str() for topic, known in topics.items())
