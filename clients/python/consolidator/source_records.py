"""What a client has to recognise of the records of ``executions`` and of their dead letters."""

from typing import Final

__all__ = [
    "ADOPTION_PREFIX",
    "CONTROL_PREFIXES",
    "DEAD_LETTER_CLASS",
    "DEAD_LETTER_MESSAGE",
    "ERASURE_HEADER",
    "ERASURE_PREFIX",
    "dlq_key",
    "parse_dlq_key",
]

ERASURE_PREFIX: Final = b"/erasure/"
"""With this the key of a confirmed erasure starts."""

ADOPTION_PREFIX: Final = b"/ruleset/"
"""With this the key of an adoption of a ruleset starts."""

CONTROL_PREFIXES: Final = (ERASURE_PREFIX, ADOPTION_PREFIX)
"""With these the keys of records start that are no events. No canonical key starts with a slash, as an application's id
is not empty; but producers choose their keys, so a slash alone says nothing."""

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
