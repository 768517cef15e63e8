"""Errors of a consumer: those that stay, and those after which librdkafka tries again by itself."""

from typing import Final

from confluent_kafka import KafkaError

__all__ = ["LASTING", "UNREADABLE", "word_of"]

# Permanent errors: the topic, the offset or the permission to read is missing.
LASTING: Final = frozenset(
    {
        KafkaError._AUTO_OFFSET_RESET,  # noqa: SLF001 - librdkafka's names
        KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001
        KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
    }
)


# Permanent as well: a batch cannot be decompressed, or is damaged.
UNREADABLE: Final = frozenset(
    {
        KafkaError._BAD_COMPRESSION,  # noqa: SLF001 - librdkafka's names
        KafkaError._BAD_MSG,  # noqa: SLF001
        KafkaError._NOT_IMPLEMENTED,  # noqa: SLF001
        KafkaError.INVALID_MSG,
        KafkaError.INVALID_MSG_SIZE,
    }
)


def word_of(error: KafkaError) -> str:
    """An error's name and text."""
    return f"{error.name()}: {error.str()}"
