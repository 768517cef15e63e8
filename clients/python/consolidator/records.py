"""What the worker publishes: records of ``factors`` and ``factor-changes`` as values.

These types are the only definition of both records: the JSON Schemas are generated from them. Descriptions and bounds
are in the schemas alone. They are not checked in reading: a reader takes whatever an earlier version of the worker
wrote, and ignores members that a newer one adds, as long as it does not raise the schema version.

Factor values stay the JSON text that was published, so no digit is lost on the way. :func:`factor_value` makes a value
of it, never a float.
"""

from decimal import Decimal
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta

from consolidator.errors import UnreadableRecordError

__all__ = [
    "SCHEMA_VERSION",
    "ChangeCause",
    "CurrentFactors",
    "Executions",
    "FactorChange",
    "FactorDifference",
    "FactorValue",
    "FailedExecution",
    "QualityNote",
    "Ruleset",
    "RulesetDigests",
    "SourcePlace",
    "decode_change",
    "decode_factors",
    "factor_value",
]

SCHEMA_VERSION: Final = 1
"""The newest version of changes and current factors that this package reads."""

FactorValue = bool | int | Decimal | str
"""What a factor may be; a number is an ``int`` or, where it has a fraction, a ``Decimal``."""

_STATUSES: Final = ["requested", "started", "completed", "failed", "superseded", "cancelled", "erased", "ruleset"]

_Id = Annotated[str, Meta(extra_json_schema={"minLength": 1})]
_Digest = Annotated[str, Meta(extra_json_schema={"pattern": "^[0-9a-f]{64}$"})]
_Count = Annotated[int, Meta(extra_json_schema={"minimum": 0})]
_Attempt = Annotated[int, Meta(extra_json_schema={"minimum": 1, "maximum": 2**31 - 1})]
_Scalar = Annotated[msgspec.Raw, Meta(extra_json_schema={"type": ["boolean", "number", "string"]})]
# A later version may add values to these, so the type here is a text; the schema enumerates the values.
_Outcome = Annotated[str, Meta(extra_json_schema={"$ref": "#/$defs/Outcome"})]
_ProcessorType = Annotated[str, Meta(extra_json_schema={"$ref": "#/$defs/ProcessorType"})]
_Issue = Annotated[str, Meta(extra_json_schema={"$ref": "#/$defs/Issue"})]


class Ruleset(msgspec.Struct, frozen=True):
    """The processor catalogue that the factors were consolidated with."""

    name: Annotated[_Id, Meta(description="Name and version.")]
    digest: Annotated[_Digest, Meta(description="SHA-256 of its meaning.")]


class SourcePlace(msgspec.Struct, frozen=True, order=True):
    """Where the causing record stands; versions of an application only ever rise."""

    partition: _Count
    offset: _Count


class FailedExecution(msgspec.Struct, frozen=True, omit_defaults=True):
    """An active execution that failed."""

    execution_id: _Id
    attempt: Annotated[_Attempt, Meta(description="The attempt that failed last.")]
    code: Annotated[str | None, Meta(description="The error's code; left out where the producer gave none.")] = None


class Executions(msgspec.Struct, frozen=True):
    """The active executions behind the factors, in counts and by id, in execution order."""

    active: Annotated[_Count, Meta(description="Completed and failed ones together: a failed execution is active.")]
    completed: _Count
    failed: Annotated[_Count, Meta(description="They contribute nothing: never a null, never a zero.")]
    contributing: Annotated[_Count, Meta(description="Completed ones with at least one accepted factor.")]
    contributors: Annotated[
        tuple[_Id, ...],
        Meta(description="The latest contributing ones.", extra_json_schema={"maxItems": 50}),
    ]
    failures: Annotated[
        tuple[FailedExecution, ...],
        Meta(description="The latest failed ones.", extra_json_schema={"maxItems": 50}),
    ]
    truncated: Annotated[bool, Meta(description="There are more contributors or failures than are listed.")]


class CurrentFactors(msgspec.Struct, frozen=True):
    """The value of a ``factors`` record: one processor of one application, as it is.

    Attributes:
        schema_version: at most :data:`SCHEMA_VERSION`.
        application_id: the application.
        processor: the processor.
        processor_type: ``document``, ``application``, ``stipulation``; None: the catalogue does not have the processor.
        outcome: ``in_progress``, ``withdrawn``, ``consolidated``, ``partial`` or ``cleared``.
        factors: by name, as JSON text; :meth:`values` has them as values.
        executions: the active executions.
        ruleset: the rules.
        version: the causing event's place; the change that goes with this record has the same.
        occurred_at: of the causing event, RFC 3339 in UTC.
    """

    schema_version: Annotated[int, Meta(extra_json_schema={"const": SCHEMA_VERSION})]
    application_id: _Id
    processor: _Id
    processor_type: Annotated[
        _ProcessorType | None, Meta(description="null: not in the catalogue, factors are merged.")
    ]
    outcome: _Outcome
    factors: Annotated[
        dict[str, _Scalar],
        Meta(description="The whole consolidated set; a factor without value is absent."),
    ]
    executions: Executions
    ruleset: Ruleset
    version: SourcePlace
    occurred_at: Annotated[
        str,
        Meta(
            description="When the causing event happened, by its producer.", extra_json_schema={"format": "date-time"}
        ),
    ]

    def values(self) -> dict[str, FactorValue]:
        """The whole consolidated set, by name."""
        return {name: factor_value(text) for name, text in self.factors.items()}


class FactorDifference(msgspec.Struct, frozen=True):
    """One factor that differs.

    Attributes:
        factor: the factor's name.
        op: ``set``, ``updated`` or ``cleared``.
        before: JSON text; unset where the factor was absent.
        after: JSON text; unset where the factor is absent.
    """

    factor: Annotated[str, Meta(description="The factor's name.")]
    op: Annotated[
        str,
        Meta(
            description="set: it was absent; updated: both were there; cleared: it is absent now.",
            extra_json_schema={"enum": ["set", "updated", "cleared"]},
        ),
    ]
    before: Annotated[
        _Scalar | msgspec.UnsetType, Meta(description="The value before; left out where it was absent.")
    ] = msgspec.UNSET
    after: Annotated[_Scalar | msgspec.UnsetType, Meta(description="The value after; left out where it is absent.")] = (
        msgspec.UNSET
    )


class RulesetDigests(msgspec.Struct, frozen=True):
    """Which ruleset was adopted in place of which, by their digests."""

    before: _Digest
    after: _Digest


class ChangeCause(msgspec.Struct, frozen=True, omit_defaults=True):
    """The source record after which something differed.

    Of another ruleset's adoption there are no execution and no event, but the digests of both rulesets.

    Attributes:
        status: the event's; ``erased`` for a tombstone, ``ruleset`` for the adoption of another ruleset.
        topic: where the record stands.
        partition: where the record stands.
        offset: where the record stands.
        execution_id: the execution; None where the status is ``ruleset``.
        event_id: the event's identity; None where the status is ``ruleset``.
        attempt: None: all attempts, or the status is ``ruleset``.
        ruleset: only where the status is ``ruleset``.
    """

    status: Annotated[
        str,
        Meta(
            description="The event's status; erased: a tombstone took the event away; ruleset: another ruleset was "
            "adopted.",
            extra_json_schema={"enum": _STATUSES},
        ),
    ]
    topic: _Id
    partition: _Count
    offset: _Count
    execution_id: Annotated[
        _Id | None, Meta(description="Left out where the status is ruleset: it is about all of them.")
    ] = None
    event_id: Annotated[_Id | None, Meta(description="Left out where the status is ruleset.")] = None
    attempt: Annotated[_Attempt | None, Meta(description="Left out where the event means all attempts.")] = None
    ruleset: Annotated[
        RulesetDigests | None,
        Meta(description="Only where the status is ruleset.", extra_json_schema={"title": "Ruleset"}),
    ] = None


class QualityNote(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was odd about the causing event, which counts nevertheless."""

    issue: _Issue
    factor: Annotated[
        str | None,
        Meta(description="The field, or for factors_misplaced the member, that it is about; never a value."),
    ] = None


class FactorChange(CurrentFactors, frozen=True):
    """The value of a ``factor-changes`` record: what one event changed, and everything as it is after it.

    Attributes:
        id: 32 hexadecimal digits, the same in every replay.
        previous_outcome: as ``outcome``, or ``not_attempted``.
        changed: sorted by factor; may be empty: outcome or counts differ then.
        cause: the source record.
        quality: what was odd about it.
    """

    id: Annotated[
        str,
        Meta(description="The same in every replay.", extra_json_schema={"pattern": "^[0-9a-f]{32}$"}),
    ]
    previous_outcome: _Outcome
    changed: Annotated[
        tuple[FactorDifference, ...],
        Meta(description="Sorted by factor; may be empty: outcome or counts differ then."),
    ]
    cause: ChangeCause
    quality: tuple[QualityNote, ...]


_Published = TypeVar("_Published", bound=CurrentFactors)

_CURRENT: Final = msgspec.json.Decoder(CurrentFactors)
_CHANGE: Final = msgspec.json.Decoder(FactorChange)
_TEXT: Final = msgspec.json.Decoder(str)


def decode_factors(value: bytes) -> CurrentFactors:
    """Decode the value of a record of ``factors`` that is no tombstone.

    Raises:
        UnreadableRecordError: it is not what a worker publishes, or of a later schema version.
    """
    return _decode(value, _CURRENT)


def decode_change(value: bytes) -> FactorChange:
    """Decode the value of a record of ``factor-changes`` that is no tombstone.

    Raises:
        UnreadableRecordError: it is not what a worker publishes, or of a later schema version.
    """
    return _decode(value, _CHANGE)


def factor_value(text: msgspec.Raw) -> FactorValue:
    """A factor's value from its JSON text, every digit of it: never a float.

    Args:
        text: of a decoded record.
    """
    raw = bytes(text).decode()
    if raw.startswith('"'):
        return _TEXT.decode(raw)
    if raw in {"true", "false"}:
        return raw == "true"
    return int(raw) if raw.lstrip("-").isdecimal() else Decimal(raw)


def _decode(value: bytes, decoder: msgspec.json.Decoder[_Published]) -> _Published:
    try:
        found = decoder.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnreadableRecordError("is not what a worker publishes", detail=str(error)) from None
    if found.schema_version > SCHEMA_VERSION:
        raise UnreadableRecordError(
            f"has schema_version {found.schema_version}, this version of factor-consolidator-client knows "
            f"{SCHEMA_VERSION}: use a later one",
            newer_version=found.schema_version,
        )
    return found
