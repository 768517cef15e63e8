"""What a client has to recognise of the records of ``executions`` and of their dead letters."""

from typing import Final

__all__ = ["DEAD_LETTER_CLASS", "DEAD_LETTER_MESSAGE", "ERASURE_HEADER", "dlq_key", "parse_dlq_key"]

DEAD_LETTER_CLASS: Final = "dlq_error_class"
"""The header of a dead letter that names its defect, for programs."""

DEAD_LETTER_MESSAGE: Final = "dlq_error_message"
"""The header of a dead letter that says its defect in words."""

ERASURE_HEADER: Final = "consolidator_erasure"
"""The header of every tombstone of an erasure. It shows that a foreign key is removed on purpose, and for which
hash."""


def dlq_key(topic: str, partition: int, offset: int) -> bytes:
    """The key of a dead letter: its source record's position. Kafka allows no ``/`` in a topic's name."""
    return f"{topic}/{partition}/{offset}".encode()


def parse_dlq_key(key: bytes) -> tuple[str, int, int] | None:
    """The topic, partition and offset of the source record of a dead letter; None: the key is no dead letter's."""
    topic, _, rest = key.partition(b"/")
    partition, _, offset = rest.partition(b"/")
    if not (partition.isdigit() and offset.isdigit()):
        return None
    return topic.decode(errors="replace"), int(partition), int(offset)
