"""Questions to Kafka that a worker asks again, for as long as its transactions wait for Kafka."""

from collections.abc import Callable
from time import monotonic, sleep
from typing import Final, TypeVar

import structlog

from models.errors import InfrastructureError

__all__ = ["patiently"]

_PAUSE_S: Final = 1.0

_Answer = TypeVar("_Answer")

_log = structlog.get_logger()


def patiently(question: Callable[[], _Answer], *, patience_s: float) -> _Answer:
    """Ask until there is an answer. Blocks.

    A question of its own ends after some seconds, which is right at the start of a command. A worker that has begun
    would end beside transactions that go on waiting.

    Args:
        question: asks once; may be called any number of times.
        patience_s: after this time the last error is raised.

    Raises:
        InfrastructureError: Kafka has not answered in time.
    """
    since = monotonic()
    warned = False
    while True:
        try:
            return question()
        except InfrastructureError as error:
            if monotonic() - since >= patience_s:
                raise
            if not warned:
                warned = True
                _log.warning("Kafka does not answer a question; it is asked again", error=str(error))
        sleep(_PAUSE_S)
