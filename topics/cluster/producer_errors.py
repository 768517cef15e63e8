"""What a transactional producer means by the errors that it raises."""

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
    """What went wrong, where the client says only that something did.

    Only the transactional calls name a fatal error's own code, whichever call heard of it first: so one is asked.

    Args:
        error: what a call of the producer raised.
        producer: the producer; a transaction may be open on it afterwards.
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
            # It is closed: nothing can be asked any more.
            return error
    return cause if isinstance(cause, KafkaError) else error


def has_failed(producer: Producer) -> bool:
    """Whether the open transaction can only be aborted: any transactional call says so, and why.

    The one that begins a transaction changes nothing while one is open.

    Args:
        producer: a producer with an open transaction.
    """
    try:
        producer.begin_transaction()
    except KafkaException as error:
        code: int = error.args[0].code()
        return code != KafkaError._STATE  # noqa: SLF001 - librdkafka's name
    return False
