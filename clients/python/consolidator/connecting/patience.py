"""Requests to a cluster that may have to be repeated: leaders and coordinators move, most often after a start."""

import time
from collections.abc import Callable, Collection
from typing import Final, TypeVar

from confluent_kafka import KafkaError, KafkaException

__all__ = ["ask_patiently"]

_POLL_S: Final = 0.1

# Temporary errors. Just after a topic was created, its leader is known before it answers.
_PASSING: Final = frozenset(
    {
        KafkaError.NOT_COORDINATOR,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError._WAIT_COORD,  # noqa: SLF001 - librdkafka's name
    }
)

_Answer = TypeVar("_Answer")


def ask_patiently(
    question: Callable[[], _Answer],
    *,
    limit_s: float,
    passing: Collection[int] = (),
    failed: Callable[[KafkaException], None] | None = None,
) -> _Answer:
    """The answer to a request to Kafka, which is repeated while its error may be temporary.

    Args:
        question: asks once; its own time limit is added to ``limit_s``.
        limit_s: the time after which no new attempt is made, in seconds.
        passing: errors that may be temporary here, besides those that always may.
        failed: called for each attempt that failed with a temporary error.

    Raises:
        KafkaException: the last attempt failed.
    """
    deadline = time.monotonic() + limit_s
    while True:
        try:
            return question()
        except KafkaException as error:
            code = error.args[0].code()
            if (code not in _PASSING and code not in passing) or time.monotonic() >= deadline:
                raise
            if failed is not None:
                failed(error)
        time.sleep(_POLL_S)
