"""Published records, read back from Kafka: as the client's types, and with errors that name the record."""

from collections.abc import Callable
from typing import TypeVar

from consolidator.errors import UnreadableRecordError
from consolidator.records import SCHEMA_VERSION, CurrentFactors, FactorChange, decode_change, decode_factors
from models.counts import Counts
from models.errors import ContractError
from streams.core.pair_summary import PairSummary
from topics.records.record import Record
from topics.records.schema_version import LATER_VERSION, newer_version, version_of

__all__ = ["change_of", "current_of", "published_summary", "unreadable_because"]

_Published = TypeVar("_Published", bound=CurrentFactors)


def current_of(record: Record) -> CurrentFactors:
    """Decode a record of ``factors`` that is no tombstone.

    Raises:
        ContractError: it cannot be read, or is of a later schema version.
    """
    return _decode(record, decode_factors)


def change_of(record: Record) -> FactorChange:
    """Decode a record of ``factor-changes`` that is no tombstone.

    Raises:
        ContractError: it cannot be read, or is of a later schema version.
    """
    return _decode(record, decode_change)


def published_summary(published: CurrentFactors) -> PairSummary:
    """The summary of a published pair, in the same form as a replay's."""
    executions = published.executions
    return PairSummary(
        published.application_id,
        published.processor,
        published.processor_type,
        published.outcome,
        {name: bytes(value).decode() for name, value in published.factors.items()},
        Counts(executions.active, executions.completed, executions.failed, executions.contributing),
    )


def unreadable_because(value: bytes) -> str:
    """Why a published value cannot be read, as the end of a sentence about it."""
    newer = newer_version(version_of(value), SCHEMA_VERSION)
    if newer is None:
        return "is not what a worker publishes"
    return f"has schema_version {newer}, this program knows {SCHEMA_VERSION}: {LATER_VERSION}"


def _decode(record: Record, decode: Callable[[bytes], _Published]) -> _Published:
    raw = record.value or b""
    try:
        return decode(raw)
    except UnreadableRecordError as error:
        place = f"{record.topic} partition {record.partition} offset {record.offset}"
        detail = f" ({error.detail})" if error.detail else ""
        raise ContractError(f"{place} {unreadable_because(raw)}{detail}") from None
