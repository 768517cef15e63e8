"""An answer, or the reason why there is none: a question that fails must not look like a finding."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from confluent_kafka import KafkaException

from models.errors import AuthorizationError, ConsolidatorError

__all__ = ["Questions", "Unanswered", "ask", "known"]

_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A question without an answer.

    Attributes:
        reason: why, in a line.
        is_refused: this user is not permitted to ask.
        is_absent: there is nothing to ask, as far as this user may see: another check says so.
    """

    reason: str
    is_refused: bool = False
    is_absent: bool = False


def ask(question: Callable[[], _Answer]) -> _Answer | Unanswered:
    """The answer to a question, or the reason why there is none. The question has a time limit of its own.

    Args:
        question: asks; of its errors only those of this program, of Kafka's client and of the system are answers.
    """
    try:
        return question()
    except AuthorizationError as error:
        return Unanswered(_line(str(error)), is_refused=True)
    except ConsolidatorError as error:
        return Unanswered(_line(str(error)))
    except KafkaException as error:
        return Unanswered(_line(error.args[0].str()))
    except TimeoutError:
        return Unanswered("no answer in time")
    except OSError as error:
        return Unanswered(error.strerror or str(error))


class Questions:
    """Questions to one system; once it is away, the rest is not asked any more, so that all of it has a limit.

    Args:
        is_there: raises where the system is away; asked after a question without an answer.
    """

    def __init__(self, is_there: Callable[[], object]) -> None:
        self._is_there = is_there
        self._away: Unanswered | None = None

    def ask(self, question: Callable[[], _Answer]) -> _Answer | Unanswered:
        """The answer to a question; or why there is none."""
        if self._away is not None:
            return self._away
        answer = ask(question)
        if isinstance(answer, Unanswered) and not answer.is_refused:
            there = ask(self._is_there)
            self._away = there if isinstance(there, Unanswered) else None
        return answer


def known(answer: _Answer | Unanswered) -> _Answer | None:
    """The answer; None: there is none."""
    return None if isinstance(answer, Unanswered) else answer


def _line(message: str) -> str:
    return "; ".join(line.strip() for line in message.split("\n"))
