"""Finds the causes of a transactional producer's errors."""

from typing import Final

from confluent_kafka import KafkaError, KafkaException, Producer

__all__ = ["CLIENT_ERRORS", "FENCED", "FORGOTTEN", "cause_of", "has_failed"]

CLIENT_ERRORS: Final = (KafkaException, SystemError)
"""The exceptions of a call of the client if Kafka failed. A fatal error that the client gets while it serves callbacks
is raised from the callback. If another callback, such as a log line's, runs before the call returns, the exception is
lost, and Python raises a SystemError: "returned NULL without setting an exception"."""

FENCED: Final = frozenset(
    {
        KafkaError._FENCED,  # noqa: SLF001 - librdkafka's name
        KafkaError.PRODUCER_FENCED,
        KafkaError.INVALID_PRODUCER_EPOCH,
    }
)
"""The codes by which a producer learns that another one took its transactional id over."""

FORGOTTEN: Final = frozenset({KafkaError.INVALID_PRODUCER_ID_MAPPING, KafkaError.UNKNOWN_PRODUCER_ID})
"""The codes for a transactional id that was unused for ``transactional.id.expiration.ms``: the coordinator no longer
knows it, or another producer has initialised it since. See docs/decisions/0024."""


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
