"""Makes the dead letter of a record. The errors come from ``topics/records/decoding.py`` and from the fold."""

from consolidator.source_records import dlq_key
from models.errors import BadEventError, Defect
from models.events import Position
from streams.partition.batch import Outgoing, SourceRecord
from topics.contract.declared import Topics
from topics.records.dead_letter_format import dead_letter_content

__all__ = ["application_erased", "dead_letter"]


def dead_letter(
    record: SourceRecord, position: Position, error: BadEventError, topics: Topics, *, keeps_content: bool = True
) -> Outgoing:
    """The dead letter of a record.

    Args:
        record: the record, as it came.
        position: where it stands.
        error: why it cannot be folded.
        topics: the declared topics.
        keeps_content: whether the letter may have the record's key, value and headers; it has them if they are not too
            large for it.
    """
    value, headers = dead_letter_content(
        error,
        topic=position.topic,
        partition=position.partition,
        offset=position.offset,
        timestamp_ms=record.timestamp,
        key=record.key if keeps_content else None,
        value=record.value if keeps_content else b"",
        headers=record.headers if keeps_content else (),
    )
    key = dlq_key(position.topic, position.partition, position.offset)
    return Outgoing(topics.dlq.name, position.partition, key, value, headers)


def application_erased() -> BadEventError:
    """The error for a late event of an erased application."""
    return BadEventError(
        Defect.APPLICATION_ERASED,
        "the application is erased: nothing of the event was kept, and a tombstone removes it from the source. "
        "`consolidator erase APP --lift` accepts its events again",
    )
