"""What the worker publishes, read back: records of ``factors`` and ``factor-changes`` as values.

Factor values stay the JSON text that was published, so no digit is lost on the way to a person or a program. Members
that a newer worker adds are ignored, as long as it does not raise the schema version.
"""

from typing import Final, TypeVar

import msgspec

from models.counts import Counts
from models.errors import ContractError
from streams.core.pair_summary import PairSummary
from topics.records.record import Record
from topics.records.schema_version import LATER_VERSION, newer_version, version_of

__all__ = [
    "SCHEMA_VERSION",
    "ChangeCause",
    "CurrentFactors",
    "FactorChange",
    "FactorDifference",
    "change_of",
    "current_of",
    "published_summary",
    "unreadable_because",
]

SCHEMA_VERSION: Final = 1
"""The newest version of changes and current factors that this code reads."""


class Ruleset(msgspec.Struct, frozen=True):
    """The catalogue that something was consolidated with."""

    name: str
    digest: str


class SourcePlace(msgspec.Struct, frozen=True):
    """Where in ``executions`` the causing record stands."""

    partition: int
    offset: int


class FailedExecution(msgspec.Struct, frozen=True, omit_defaults=True):
    """An active execution that failed; the code is None where its processor gave none."""

    execution_id: str
    attempt: int
    code: str | None = None


class Executions(msgspec.Struct, frozen=True):
    """The active executions: counts, and at most 50 of the contributors and failures each."""

    active: int
    completed: int
    failed: int
    contributing: int
    contributors: tuple[str, ...]
    failures: tuple[FailedExecution, ...]
    truncated: bool


class CurrentFactors(msgspec.Struct, frozen=True):
    """A record of ``factors``: one (application, processor) as it is after the causing event.

    Attributes:
        schema_version: at most :data:`SCHEMA_VERSION`.
        factors: by name, as JSON text.
        version: the causing event's place; the change that goes with this record has the same.
        occurred_at: of the causing event, RFC 3339 in UTC.
    """

    schema_version: int
    application_id: str
    processor: str
    processor_type: str | None
    outcome: str
    factors: dict[str, msgspec.Raw]
    executions: Executions
    ruleset: Ruleset
    version: SourcePlace
    occurred_at: str


class FactorDifference(msgspec.Struct, frozen=True):
    """What happened to one factor; before or after is unset where the factor was or is absent.

    Attributes:
        op: ``set``, ``updated`` or ``cleared``.
    """

    factor: str
    op: str
    before: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    after: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class RulesetDigests(msgspec.Struct, frozen=True):
    """Which ruleset was adopted in place of which."""

    before: str
    after: str


class ChangeCause(msgspec.Struct, frozen=True, omit_defaults=True):
    """The source event of a change, and where it stands; no attempt: all of them.

    Of another ruleset's adoption there are no execution and no event, but the digests of both rulesets.
    """

    status: str
    topic: str
    partition: int
    offset: int
    execution_id: str | None = None
    event_id: str | None = None
    attempt: int | None = None
    ruleset: RulesetDigests | None = None


class QualityNote(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was odd about the causing event, and about which factor."""

    issue: str
    factor: str | None = None


class FactorChange(CurrentFactors, frozen=True):
    """A record of ``factor-changes``: the pair after one event, and what that event changed."""

    id: str
    previous_outcome: str
    changed: tuple[FactorDifference, ...]
    cause: ChangeCause
    quality: tuple[QualityNote, ...]


_Published = TypeVar("_Published", bound=CurrentFactors)

_CURRENT = msgspec.json.Decoder(CurrentFactors)
_CHANGE = msgspec.json.Decoder(FactorChange)


def current_of(record: Record) -> CurrentFactors:
    """Decode a record of ``factors``; it is no tombstone.

    Raises:
        ContractError: it is not what a worker publishes, or of a later schema version.
    """
    return _decode(record, _CURRENT)


def change_of(record: Record) -> FactorChange:
    """Decode a record of ``factor-changes``; it is no tombstone.

    Raises:
        ContractError: it is not what a worker publishes, or of a later schema version.
    """
    return _decode(record, _CHANGE)


def published_summary(published: CurrentFactors) -> PairSummary:
    """The summary of a published pair, in the very form in which a replay gives it."""
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


def _decode(record: Record, decoder: msgspec.json.Decoder[_Published]) -> _Published:
    place = f"{record.topic} partition {record.partition} offset {record.offset}"
    raw = record.value or b""
    try:
        value = decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ContractError(f"{place} {unreadable_because(raw)} ({error})") from None
    if value.schema_version > SCHEMA_VERSION:
        raise ContractError(f"{place} {unreadable_because(raw)}")
    return value
