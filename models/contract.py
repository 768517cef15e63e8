"""The published JSON, as pydantic models: what stands in ``factor-changes`` and ``factors``, and what producers send.

The worker writes the first two from parts (:mod:`streams.core.change`) and reads the third by hand
(:mod:`topics.records.decoding`), for speed. These models are for readers, and the source of the JSON Schemas in
``topics/schemas``; contract tests hold both sides together.

Read with :meth:`FactorChange.from_json`: pydantic's own JSON reader turns a fraction into a float and loses digits of
it, which is why a float is refused here.
"""

import json
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
    model_validator,
)
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import PydanticCustomError

from models.catalogue import ProcessorType
from models.lengths import MAX_ID_BYTES, MAX_NAME_BYTES, MAX_TIME_BYTES, fits
from models.outcomes import Outcome
from models.quality import Issue

__all__ = [
    "Cause",
    "Changed",
    "CurrentFactors",
    "ErrorContract",
    "Executions",
    "FactorChange",
    "FactorValue",
    "Failure",
    "LifecycleEventContract",
    "OutputContract",
    "Quality",
    "RulesetRef",
    "Version",
]

MAX_COUNTER = 2**31 - 1
"""Greatest ``attempt`` and ``sequence``: a 32-bit integer in every language."""


def _never_a_float(value: Any) -> Any:
    if isinstance(value, float):
        raise PydanticCustomError("float_refused", "a float may have lost digits: read the JSON with from_json")
    return value


def _without_default(schema: dict[str, Any]) -> None:
    """An absent member is left out; it is never null."""
    schema.pop("default", None)


_Member = TypeVar("_Member")
_Optional = Annotated[_Member | SkipJsonSchema[None], Field(default=None, json_schema_extra=_without_default)]
# As published: a reader takes what an earlier version wrote, whatever its length.
_Id = Annotated[StrictStr, Field(min_length=1)]
_Digest = Annotated[StrictStr, Field(pattern="^[0-9a-f]{64}$")]
_Count = Annotated[StrictInt, Field(ge=0)]
_Attempt = Annotated[StrictInt, Field(ge=1, le=MAX_COUNTER)]


def _at_most(limit: int) -> AfterValidator:
    """Refuse a text of more bytes; the schema's maxLength counts characters, and so says less."""

    def check(text: str) -> str:
        if not fits(text, limit):
            raise PydanticCustomError("too_long", "must have at most {limit} bytes in UTF-8", {"limit": limit})
        return text

    return AfterValidator(check)


def _sent_time(text: Any, parse: ValidatorFunctionWrapHandler) -> datetime:
    """A time as producers write it: bounded, and with a leap second, which datetime has not."""
    if type(text) is not str or not fits(text, MAX_TIME_BYTES):
        raise PydanticCustomError("too_long", "must be a text of at most {limit} bytes", {"limit": MAX_TIME_BYTES})
    if text[17:19] == "60":
        moment: datetime = parse(f"{text[:17]}59{text[19:]}")
        return moment + timedelta(seconds=1)
    return parse(text)  # type: ignore[no-any-return] # pydantic's own handler is untyped


# As producers send it.
_SentTime = Annotated[AwareDatetime, WrapValidator(_sent_time), Field(json_schema_extra={"maxLength": MAX_TIME_BYTES})]
_SentId = Annotated[StrictStr, Field(min_length=1, max_length=MAX_ID_BYTES), _at_most(MAX_ID_BYTES)]
_SentName = Annotated[StrictStr, Field(min_length=1, max_length=MAX_NAME_BYTES), _at_most(MAX_NAME_BYTES)]
_SentFactorName = Annotated[StrictStr, Field(max_length=MAX_NAME_BYTES), _at_most(MAX_NAME_BYTES)]
_SentCode = Annotated[StrictStr, Field(max_length=MAX_NAME_BYTES), _at_most(MAX_NAME_BYTES)]

FactorValue = Annotated[
    StrictBool | StrictInt | Annotated[Decimal, Field(strict=True)] | StrictStr,
    BeforeValidator(_never_a_float),
    WithJsonSchema({"type": ["boolean", "number", "string"]}),
]
"""A JSON scalar; a number is an ``int`` or, where it has a fraction, a ``Decimal``."""


class _Published(BaseModel):
    # A reader goes on when a later version of the worker adds a member.
    model_config = ConfigDict(frozen=True, extra="ignore")

    @classmethod
    def from_json(cls, raw: bytes) -> Self:
        """Read a record's value, every number exactly.

        Raises:
            pydantic.ValidationError: it is not what this model says.
            json.JSONDecodeError: it is no JSON.
        """
        return cls.model_validate(json.loads(raw, parse_float=Decimal))


class Changed(_Published):
    """One factor that differs."""

    factor: StrictStr = Field(description="The factor's name.")
    op: Literal["set", "updated", "cleared"] = Field(
        description="set: it was absent; updated: both were there; cleared: it is absent now."
    )
    before: _Optional[FactorValue] = Field(description="The value before; left out where it was absent.")
    after: _Optional[FactorValue] = Field(description="The value after; left out where it is absent.")

    @model_validator(mode="after")
    def _agree(self) -> Self:
        present = (self.before is not None, self.after is not None)
        if present != {"set": (False, True), "updated": (True, True), "cleared": (True, False)}[self.op]:
            raise PydanticCustomError("changed_op", "before and after do not agree with op")
        return self


class Failure(_Published):
    """An active execution that failed."""

    execution_id: _Id
    attempt: _Attempt = Field(description="The attempt that failed last.")
    code: _Optional[StrictStr] = Field(description="The error's code; left out where the producer gave none.")


class Executions(_Published):
    """The active executions behind the factors, in counts and by id, in execution order."""

    active: _Count = Field(description="Completed and failed ones together: a failed execution is active.")
    completed: _Count
    failed: _Count = Field(description="They contribute nothing: never a null, never a zero.")
    contributing: _Count = Field(description="Completed ones with at least one accepted factor.")
    contributors: tuple[_Id, ...] = Field(max_length=50, description="The latest contributing ones.")
    failures: tuple[Failure, ...] = Field(max_length=50, description="The latest failed ones.")
    truncated: StrictBool = Field(description="There are more contributors or failures than are listed.")


class RulesetDigests(_Published):
    """Which ruleset was adopted in place of which, by their digests."""

    before: _Digest
    after: _Digest


class Cause(_Published):
    """The source record after which something differed."""

    execution_id: _Optional[_Id] = Field(description="Left out where the status is ruleset: it is about all of them.")
    status: Literal["requested", "started", "completed", "failed", "superseded", "cancelled", "erased", "ruleset"] = (
        Field(
            description="The event's status; erased: a tombstone took the event away; ruleset: another ruleset was "
            "adopted."
        )
    )
    attempt: _Optional[_Attempt] = Field(description="Left out where the event means all attempts.")
    event_id: _Optional[_Id] = Field(description="Left out where the status is ruleset.")
    ruleset: _Optional[RulesetDigests] = Field(description="Only where the status is ruleset.")
    topic: _Id
    partition: _Count
    offset: _Count

    @model_validator(mode="after")
    def _agree(self) -> Self:
        about = (self.execution_id is not None, self.event_id is not None, self.ruleset is not None)
        if about != ((False, False, True) if self.status == "ruleset" else (True, True, False)):
            raise PydanticCustomError("cause_status", "what the cause is about does not agree with its status")
        return self


class RulesetRef(_Published):
    """The processor catalogue that the factors were consolidated with."""

    name: _Id = Field(description="Name and version.")
    digest: _Digest = Field(description="SHA-256 of its meaning.")


class Version(_Published):
    """Where the causing record stands; versions of an application only ever rise."""

    partition: _Count
    offset: _Count


class Quality(_Published):
    """What was odd about the causing event, which counts nevertheless."""

    issue: Issue
    factor: _Optional[StrictStr] = Field(
        description="The field, or for factors_misplaced the member, that it is about; never a value."
    )


class CurrentFactors(_Published):
    """The value of a ``factors`` record: one processor of one application, as it is."""

    schema_version: Literal[1]
    application_id: _Id
    processor: _Id
    processor_type: ProcessorType | None = Field(description="null: not in the catalogue, factors are merged.")
    outcome: Outcome
    factors: dict[str, FactorValue] = Field(description="The whole consolidated set; a factor without value is absent.")
    executions: Executions
    ruleset: RulesetRef
    version: Version
    occurred_at: AwareDatetime = Field(description="When the causing event happened, by its producer.")


class FactorChange(CurrentFactors):
    """The value of a ``factor-changes`` record: what one event changed, and everything as it is after it."""

    id: Annotated[StrictStr, Field(pattern="^[0-9a-f]{32}$")] = Field(description="The same in every replay.")
    previous_outcome: Outcome
    changed: tuple[Changed, ...] = Field(description="Sorted by factor; may be empty: outcome or counts differ then.")
    cause: Cause
    quality: tuple[Quality, ...]


class OutputContract(_Published):
    """What a completed execution found."""

    factors: dict[_SentFactorName, FactorValue | None] | None = Field(
        default=None, description="Scalars by name, of 256 bytes in UTF-8 at most; a null counts as not given."
    )


class ErrorContract(_Published):
    """Why an execution failed."""

    code: _SentCode | None = Field(
        default=None, description="Machine-readable, 256 bytes in UTF-8 at most; stands in changes."
    )
    message: StrictStr | None = Field(default=None, description="For people; not kept.")


class LifecycleEventContract(_Published):
    """The value of an ``executions`` record: one thing that happened to one execution. Unknown members are ignored.

    Lengths are in bytes of UTF-8: 512 for an id, 256 for a name or a code. A maxLength counts characters, of which a
    text may have fewer.
    """

    application_id: _SentId = Field(description="The application.")
    execution_id: _SentId = Field(description="The execution, unique within its application and processor.")
    processor: _SentName = Field(description="The processor; one that the catalogue does not know is legal.")
    status: Literal["requested", "started", "completed", "failed", "superseded", "cancelled"]
    occurred_at: _SentTime = Field(
        description="RFC 3339 with an offset; at most 24 h after the record's time. Decimals beyond the sixth are "
        "cut off; a leap second, 23:59:60 on the last day of June or December in UTC, is 00:00:00 of the next day."
    )
    attempt: _Attempt | None = Field(
        default=None, description="Default 1; on superseded and cancelled, left out means all attempts."
    )
    sequence: Annotated[StrictInt, Field(ge=0, le=MAX_COUNTER)] | None = Field(
        default=None, description="The producer's counter within the execution."
    )
    output: OutputContract | None = Field(default=None, description="On completed; ignored on any other status.")
    error: ErrorContract | None = Field(default=None, description="On failed; ignored on any other status.")
    supersedes: _SentId | None = Field(
        default=None, description="The execution, of the same application and processor, that this one replaces."
    )
    event_id: _SentId | None = Field(
        default=None, description="The event's identity, the same when it is published again. Default: its content."
    )
    schema_version: Annotated[StrictInt, Field(ge=1, le=1)] | None = Field(default=None, description="Default 1.")
