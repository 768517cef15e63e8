"""Finds the causes of a transactional producer's errors."""

from typing import Final

from confluent_kafka import KafkaError, KafkaException, Producer

__all__ = ["CLIENT_ERRORS", "FENCED", "FORGOTTEN", "cause_of", "has_failed"]

CLIENT_ERRORS: Final = (KafkaException, SystemError)
"""What a call of the client raises where Kafka failed. A fatal error that the client hears of while it serves callbacks
is raised from the callback; where another one, a line of its log say, runs before the call returns, the error is lost
on the way, and Python raises a SystemError: "returned NULL without setting an exception"."""

FENCED: Final = frozenset(
    {
        KafkaError._FENCED,  # noqa: SLF001 - librdkafka's name
        KafkaError.PRODUCER_FENCED,
        KafkaError.INVALID_PRODUCER_EPOCH,
    }
)
"""The codes by which a producer learns that another one took its transactional id over."""

FORGOTTEN: Final = frozenset({KafkaError.INVALID_PRODUCER_ID_MAPPING, KafkaError.UNKNOWN_PRODUCER_ID})
"""The codes for a transactional id that rested for ``transactional.id.expiration.ms``: the coordinator knows it no
more, or knows it as that of somebody who has initialised it since. See docs/decisions/0024."""


def cause_of(error: Exception, producer: Producer) -> KafkaError | Exception:
    """The cause of an error, if the client says only that a call failed.

    Only transactional calls give the code of a fatal error, even if another call got it first. So one of them is
    called.

    Args:
        error: the error of a call.
        producer: the producer. Afterwards it may have an open transaction.
    """
    cause = error.args[0] if error.args else error
    if isinstance(cause, KafkaError) and cause.code() != KafkaError._FATAL:  # noqa: SLF001 - librdkafka's name
        return cause
    if isinstance(cause, KafkaError) or isinstance(error, SystemError):
        try:
            producer.begin_transaction()
        except KafkaException as fatal:
            told: KafkaError = fatal.args[0]
            return told
        except RuntimeError:
            # The producer is closed, so no call is possible any more.
            return error
    return cause if isinstance(cause, KafkaError) else error


def has_failed(producer: Producer) -> bool:
    """Whether the open transaction can only be aborted. Any transactional call gives that, with the reason.

    ``begin_transaction`` is used, because it changes nothing while a transaction is open.

    Args:
        producer: a producer with an open transaction.
    """
    try:
        producer.begin_transaction()
    except KafkaException as error:
        code: int = error.args[0].code()
        return code != KafkaError._STATE  # noqa: SLF001 - librdkafka's name
    return False
