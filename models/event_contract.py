"""What producers send, as a pydantic model: the source of the JSON Schema of ``executions``.

The worker reads events by hand (:mod:`topics.records.decoding`), for speed; contract tests hold both sides together.
What is published is described by the client's types, :mod:`consolidator.records`.

Read with :meth:`LifecycleEventContract.from_json`: pydantic's own JSON reader turns a fraction into a float and loses
digits of it, which is why a float is refused here.
"""

import json
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

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
)
from pydantic_core import PydanticCustomError

from models.lengths import MAX_ID_BYTES, MAX_NAME_BYTES, MAX_TIME_BYTES, fits

__all__ = [
    "ErrorContract",
    "FactorValue",
    "LifecycleEventContract",
    "OutputContract",
]

MAX_COUNTER = 2**31 - 1
"""Greatest ``attempt`` and ``sequence``: a 32-bit integer in every language."""


def _never_a_float(value: Any) -> Any:
    if isinstance(value, float):
        raise PydanticCustomError("float_refused", "a float may have lost digits: read the JSON with from_json")
    return value


_Attempt = Annotated[StrictInt, Field(ge=1, le=MAX_COUNTER)]


def _at_most(limit: int) -> AfterValidator:
    """Refuse a text of more bytes; the schema's maxLength counts characters, and so says less."""

    def check(text: str) -> str:
        if not fits(text, limit):
            raise PydanticCustomError("too_long", "must have at most {limit} bytes in UTF-8", {"limit": limit})
        return text

    return AfterValidator(check)


def _sent_time(text: Any, parse: ValidatorFunctionWrapHandler) -> datetime:
    """A time as producers write it: of limited length, and possibly with a leap second, which datetime cannot hold."""
    if type(text) is not str or not fits(text, MAX_TIME_BYTES):
        raise PydanticCustomError("too_long", "must be a text of at most {limit} bytes", {"limit": MAX_TIME_BYTES})
    if text[17:19] == "60":
        moment: datetime = parse(f"{text[:17]}59{text[19:]}")
        return moment + timedelta(seconds=1)
    return parse(text)  # type: ignore[no-any-return] # pydantic's own handler is untyped


# The types of members in the form in which producers send them.
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


class _Contract(BaseModel):
    # Members that the contract does not have are ignored.
    model_config = ConfigDict(frozen=True, extra="ignore")

    @classmethod
    def from_json(cls, raw: bytes) -> Self:
        """Read a record's value, every number exactly.

        Raises:
            pydantic.ValidationError: the value does not fit this model.
            json.JSONDecodeError: it is no JSON.
        """
        return cls.model_validate(json.loads(raw, parse_float=Decimal))


class OutputContract(_Contract):
    """What a completed execution found."""

    factors: dict[_SentFactorName, FactorValue | None] | None = Field(
        default=None, description="Scalars by name, of 256 bytes in UTF-8 at most; a null counts as not given."
    )


class ErrorContract(_Contract):
    """Why an execution failed."""

    code: _SentCode | None = Field(
        default=None, description="Machine-readable, 256 bytes in UTF-8 at most; stands in changes."
    )
    message: StrictStr | None = Field(default=None, description="For people; not kept.")


class LifecycleEventContract(_Contract):
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
