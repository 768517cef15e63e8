"""Admin requests of tests: each has a shorter time limit than its test, and is repeated.

If a busy broker loses a request, the second one is answered, well before the test's time limit. librdkafka's own limit
is a minute, which is a test's as well.
"""

import time
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Final, TypeVar

from confluent_kafka import KafkaError, KafkaException

if TYPE_CHECKING:
    from concurrent.futures import Future

__all__ = ["ASK_S", "answered", "asked"]

ASK_S: Final = 10.0
"""One question's time."""

_LIMIT_S: Final = 60.0
_MARGIN_S: Final = 2.0
"""librdkafka's own limit comes first, and says more."""

_POLL_S: Final = 0.05

_PASSING: Final = frozenset(
    {
        KafkaError._TIMED_OUT,
        KafkaError._TRANSPORT,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._WAIT_COORD,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.NETWORK_EXCEPTION,
        KafkaError.NOT_CONTROLLER,
        KafkaError.NOT_COORDINATOR,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
    }
)

_Answer = TypeVar("_Answer")


def asked(
    question: Callable[[float], _Answer], *, done: Collection[int] = (), limit_s: float = _LIMIT_S
) -> _Answer | None:
    """The answer to a request, which is repeated while its error may be temporary.

    Args:
        question: asks once, for at most a number of seconds.
        done: the error of a change that took effect at the first request, whose answer was lost.
        limit_s: the time after which it is not asked again.
    """
    deadline = time.monotonic() + limit_s
    is_repeated = False
    while True:
        try:
            return question(ASK_S)
        except KafkaException as error:
            code = error.args[0].code()
            if is_repeated and code in done:
                return None
            if code not in _PASSING or time.monotonic() >= deadline:
                raise
        except TimeoutError:
            if time.monotonic() >= deadline:
                raise
        is_repeated = True
        time.sleep(_POLL_S)


def answered(
    question: Callable[[float], "Future[_Answer]"], *, done: Collection[int] = (), limit_s: float = _LIMIT_S
) -> _Answer | None:
    """The answer to a request that returns futures; repeated like :func:`asked`.

    The caller has to keep the client: librdkafka drops the requests of a client that is garbage-collected.
    """
    return asked(lambda ask_s: question(ask_s).result(ask_s + _MARGIN_S), done=done, limit_s=limit_s)
