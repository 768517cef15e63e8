"""Rows of the tables, from what Kafka has: events, changes and dead letters."""

from collections.abc import Callable
from typing import Any, Final

import msgspec
from sqlalchemy import Table

from consolidator.keys import parse_event_key
from consolidator.records import FactorChange
from models.errors import Defect
from models.events import LifecycleEvent, rfc3339
from models.numbers import Scalar, scalar_text
from models.rows import DIGEST_BYTES
from topics.records.dead_letter_format import DeadLetter
from topics.records.record import Record

__all__ = ["Row", "change_row", "consolidation_row", "event_row", "factor_rows", "letter_row", "place_of"]

Row = tuple[Any, ...]
"""A value for each column, in the order of the table."""

_json: Final = msgspec.json.Encoder().encode

OPEN: Final = "open"
CAME_BACK: Final = "came_back"


def event_row(event: LifecycleEvent, record: Record) -> Row:
    """A row of ``lifecycle_events``.

    Args:
        event: what the record is, by its decoder: its value is strict JSON, and so UTF-8.
        record: the record.
    """
    return (
        event.application_id,
        event.processor,
        event.execution_id,
        event.event_id,
        event.digest[:DIGEST_BYTES].hex(),
        event.status.text,
        event.attempt,
        None if event.sequence < 0 else event.sequence,
        rfc3339(event.occurred_at),
        _output(event.factors) if event.factors else None,
        event.code,
        event.supersedes,
        record.partition,
        record.offset,
        record.timestamp_ms,
        (record.value or b"").decode(),
    )


def _output(factors: dict[str, Scalar | None]) -> str:
    """The output as the strategy paper has it, every digit kept."""
    members = ",".join(
        f"{_json(name).decode()}:{'null' if value is None else scalar_text(value)}" for name, value in factors.items()
    )
    return f'{{"factors":{{{members}}}}}'


def change_row(change: FactorChange, record: Record) -> Row:
    """A row of ``factor_changes``."""
    cause = change.cause
    return (
        change.application_id,
        change.processor,
        change.version.offset,
        change.version.partition,
        change.id,
        change.previous_outcome,
        change.outcome,
        cause.status,
        cause.execution_id,
        cause.event_id,
        change.occurred_at,
        _json(change.changed).decode(),
        (record.value or b"").decode(),
        record.offset,
    )


def consolidation_row(change: FactorChange) -> Row:
    """The row of ``consolidations`` after a change."""
    executions = change.executions
    return (
        change.application_id,
        change.processor,
        change.processor_type,
        change.outcome,
        executions.active,
        executions.completed,
        executions.failed,
        executions.contributing,
        change.ruleset.name,
        change.ruleset.digest,
        change.occurred_at,
        change.id,
        change.version.partition,
        change.version.offset,
    )


def factor_rows(change: FactorChange) -> dict[tuple[str, str, str], Row | None]:
    """What a change makes of the rows of ``factors``, by their keys; None: a cleared factor is a deleted row."""
    found: dict[tuple[str, str, str], Row | None] = {}
    for one in change.changed:
        key = (change.application_id, change.processor, one.factor)
        found[key] = None
        if isinstance(one.after, msgspec.Raw):
            value = bytes(one.after).decode()
            version = change.version
            found[key] = (*key, value, change.occurred_at, change.id, version.partition, version.offset)
    return found


def letter_row(letter: DeadLetter, offset: int, is_erased: Callable[[str], bool]) -> Row:
    """A row of ``dead_letters``.

    Args:
        letter: the dead letter.
        offset: where it stands in the dead letters' topic.
        is_erased: whether an application is erased: then it is named nowhere.
    """
    identity = None if letter.key is None else parse_event_key(letter.key)
    is_nobodys = identity is None or letter.error_class == Defect.APPLICATION_ERASED or is_erased(identity[0])
    return (
        letter.partition,
        letter.offset,
        offset,
        None if identity is None or is_nobodys else identity[0],
        letter.error_class,
        letter.message,
        OPEN if letter.redrive_of is None else CAME_BACK,
        rfc3339(letter.timestamp_ms * 1000),
    )


def place_of(table: Table, row: Row) -> tuple[int, int]:
    """Partition and offset of the source record that a row is of; -1 where it names none.

    Args:
        table: where the row is, or was to be.
        row: a value for each column; those that are missing at the end are not known.
    """
    values = dict(zip(table.columns.keys(), row, strict=False))
    return values.get("source_partition", -1), values.get("source_offset", values.get("version_offset", -1))
