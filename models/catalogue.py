"""The processor catalogue: which factors a processor yields, declared instead of programmed.

A catalogue file (TOML or JSON, read by :mod:`streams.rulesets.catalogue_file`) becomes one :class:`Catalogue`. A
processor that it does not name is legal: its factors are merged, the later execution winning. The rules are those of
the mission's section "Consolidation Behavior for Failed Executions"; ``docs/catalogue.md`` says how to write a
catalogue.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    WithJsonSchema,
    WrapSerializer,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from models.lengths import MAX_NAME_BYTES, fits
from models.numbers import MAX_DIGITS, MAX_EXPONENT, scalar_text, within_limits

# Means are rounded to cents by default, because the mission's own figures are amounts of money.
DEFAULT_MEAN_SCALE: Final = 2
# The type of a validation error that carries several problems of one rule, each with its place, in ``ctx["problems"]``.
RULE_ERROR: Final = "catalogue_rule"


class ProcessorType(StrEnum):
    """How a processor's executions become one set of factors."""

    DOCUMENT = "document"
    APPLICATION = "application"
    STIPULATION = "stipulation"


class Reducer(StrEnum):
    """How the accepted values of one field become one factor."""

    MEAN = "mean"
    SUM = "sum"
    MIN = "min"
    MAX = "max"
    COUNT = "count"
    LATEST = "latest"
    EARLIEST = "earliest"
    COUNT_TRUE = "count_true"
    ALL_TRUE = "all_true"
    ANY_TRUE = "any_true"
    DISTINCT_COUNT = "distinct_count"


class RerunPolicy(StrEnum):
    """What a rerun that failed does to the execution that it names in ``supersedes``."""

    REPLACE = "replace"
    KEEP_PREVIOUS = "keep_previous"


FieldKind = Literal["number", "boolean", "any"]

NUMBER_REDUCERS: Final = frozenset({Reducer.MEAN, Reducer.SUM, Reducer.MIN, Reducer.MAX})
BOOLEAN_REDUCERS: Final = frozenset({Reducer.COUNT_TRUE, Reducer.ALL_TRUE, Reducer.ANY_TRUE})
# The reducers that allow a scale. The others yield a count or a boolean, which is never rounded.
SCALED_REDUCERS: Final = NUMBER_REDUCERS | {Reducer.LATEST, Reducer.EARLIEST}


def _exact(value: Any) -> Any:
    """Make a Decimal of an integer bound. A float is left and refused, because it may have lost digits already."""
    return Decimal(_bounded(value)) if type(value) is int else value


_Number = TypeVar("_Number", int, Decimal)


def _bounded(value: _Number) -> _Number:
    """Refuse a number beyond the limits of events, before computing with it: an integer may have millions of digits."""
    if not within_limits(value):
        raise PydanticCustomError(
            "number_limit",
            "must have at most {digits} significant digits and an exponent between -{exponent} and {exponent}",
            {"digits": MAX_DIGITS, "exponent": MAX_EXPONENT},
        )
    return value


def _whole(value: Any) -> Any:
    """Refuse values that Python would take for an integer although the file has none: true and 1.0 both equal 1."""
    if type(value) is not int:
        raise PydanticCustomError("int_type", "must be a whole number")
    return value


def _short(name: str) -> str:
    if not fits(name, MAX_NAME_BYTES):
        raise PydanticCustomError("too_long", "must have at most {limit} bytes in UTF-8", {"limit": MAX_NAME_BYTES})
    return name


def _constrain_names(schema: dict[str, Any]) -> None:
    """Make the JSON Schema check every name; pydantic's patternProperties lets names pass that do not match."""
    ((pattern, value),) = schema.pop("patternProperties").items()
    schema["propertyNames"]["pattern"] = pattern
    schema["additionalProperties"] = value
    if "minLength" in schema:
        schema["minProperties"] = schema.pop("minLength")


# A name neither begins nor ends with white space, and has no line break: it is printed in tables and written in keys.
# Names are printed and logged, so control characters and bidirectional overrides are refused. The ranges are spelt out,
# because the pattern is part of the JSON Schema, and JSON Schema has no Unicode character classes.
_STEERS: Final = r"\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
NAME_PATTERN: Final = rf"^[^\s{_STEERS}]([^{_STEERS}]*[^\s{_STEERS}])?$"

# The limit in bytes is that of an event's names. max_length counts characters, as a JSON Schema cannot count bytes.
Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME_BYTES, pattern=NAME_PATTERN), AfterValidator(_short)]
Bound = Annotated[Decimal, BeforeValidator(_exact), AfterValidator(_bounded), WithJsonSchema({"type": "number"})]

_Rule = TypeVar("_Rule")
# Read-only at run time, too, because the digest is computed only once.
FrozenMapping = Annotated[
    Mapping[Name, _Rule],
    AfterValidator(MappingProxyType),
    WrapSerializer(lambda rules, serialize: serialize(dict(rules))),
    Field(json_schema_extra=_constrain_names),
]


def _refuse(problems: list[tuple[str, str]]) -> None:
    """Raise one error for all problems, if there are any; each is a pair of place and reason."""
    if problems:
        text = "; ".join(f"{place}: {reason}" for place, reason in problems)
        raise PydanticCustomError(RULE_ERROR, "{text}", {"text": text, "problems": tuple(problems)})


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:  # noqa: ARG002
        """A validated copy; pydantic's own copy would keep the cached digest, which would be wrong."""
        return self.model_validate({name: getattr(self, name) for name in type(self).model_fields} | dict(update or {}))


@dataclass(frozen=True, slots=True)
class FieldRule:
    """What a value of one output field must be to be accepted, over all factors that read it.

    Attributes:
        kind: ``number`` (never a boolean), ``boolean``, or ``any`` JSON scalar.
        minimum: smallest accepted number, inclusive; None: no bound.
        maximum: greatest accepted number, inclusive; None: no bound.
        required: a success without it is a quality issue, which never blocks.
    """

    kind: FieldKind
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    required: bool = False


class FactorRule(_Frozen):
    """One factor: a reducer over the accepted values of one output field."""

    # Not strict, because a file gives enumerations as strings.
    reducer: Annotated[Reducer, Field(strict=False)] = Field(description="How the field's values become the factor.")
    field: Name = Field(description="The field of a success's output factors that the reducer reads.")
    scale: Annotated[int, Field(ge=0, le=MAX_EXPONENT)] | None = Field(
        default=None,
        validate_default=True,
        description="Decimal places, rounded once, half to even. Unset: 2 for mean, unrounded for the others.",
    )
    minimum: Bound | None = Field(default=None, description="Smallest accepted value of the field, inclusive.")
    maximum: Bound | None = Field(default=None, description="Greatest accepted value of the field, inclusive.")
    unit: Name | None = Field(default=None, description="Unit of the factor, such as USD, months or points.")
    required: bool = Field(default=False, description="A success without the field is a quality issue; nothing stops.")
    description: str | None = Field(default=None, description="For people; not part of the digest.")

    @field_validator("scale", mode="after")
    @classmethod
    def _default(cls, scale: int | None, info: ValidationInfo) -> int | None:
        """Write the default scale into the value: a file with it and a file without it then have the same digest."""
        return DEFAULT_MEAN_SCALE if scale is None and info.data.get("reducer") is Reducer.MEAN else scale

    @property
    def kind(self) -> FieldKind:
        """The kind of values that this factor accepts; with bounds or a scale, only numbers make sense."""
        if self.reducer in BOOLEAN_REDUCERS:
            return "boolean"
        if self.reducer in NUMBER_REDUCERS or (self.minimum, self.maximum, self.scale) != (None, None, None):
            return "number"
        return "any"

    @model_validator(mode="after")
    def _check(self) -> Self:
        problems = []
        if self.scale is not None and self.reducer not in SCALED_REDUCERS:
            problems.append(("scale", f"means nothing for {self.reducer}, which yields nothing to round: remove it"))
        if self.reducer in BOOLEAN_REDUCERS:
            problems += [
                (name, f"means nothing for {self.reducer}, which reads booleans: remove it")
                for name in ("minimum", "maximum")
                if getattr(self, name) is not None
            ]
        elif self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            problems.append(
                ("minimum", f"{scalar_text(self.minimum)} is greater than the maximum, {scalar_text(self.maximum)}")
            )
        _refuse(problems)
        return self


class ProcessorRule(_Frozen):
    """One processor: its type, its factors, and what its failed reruns do."""

    type: Annotated[ProcessorType, Field(strict=False)] = Field(
        description="document: every success contributes; application: the latest contributing success alone; "
        "stipulation: an aggregate over the successes."
    )
    factors: Annotated[FrozenMapping[FactorRule], Field(min_length=1)] = Field(description="The factors, by name.")
    on_failed_rerun: Annotated[RerunPolicy, Field(strict=False)] = Field(
        default=RerunPolicy.REPLACE,
        description="A failed rerun evicts what it supersedes (replace), or leaves it active (keep_previous).",
    )
    description: str | None = Field(default=None, description="For people; not part of the digest.")

    @cached_property
    def fields(self) -> Mapping[str, FieldRule]:
        """The acceptance of each output field that a factor reads; every other field is accepted without a check."""
        return MappingProxyType({name: _merge(list(readers.values())) for name, readers in self._readers().items()})

    def _readers(self) -> dict[str, dict[str, FactorRule]]:
        readers: dict[str, dict[str, FactorRule]] = {}
        for name, factor in self.factors.items():
            readers.setdefault(factor.field, {})[name] = factor
        return readers

    @model_validator(mode="after")
    def _check(self) -> Self:
        problems = []
        for field, readers in self._readers().items():
            numbers = [name for name, factor in readers.items() if factor.kind == "number"]
            booleans = [name for name, factor in readers.items() if factor.kind == "boolean"]
            if numbers and booleans:
                reason = (
                    f"field '{field}' is read as a number by {', '.join(numbers)} "
                    f"and as a boolean by {', '.join(booleans)}: it can be only one"
                )
                problems.append(("factors", reason))
            merged = _merge(list(readers.values()))
            if merged.minimum is not None and merged.maximum is not None and merged.minimum > merged.maximum:
                reason = (
                    f"field '{field}' could have no value: it would have to be at least {scalar_text(merged.minimum)} "
                    f"and at most {scalar_text(merged.maximum)} for {', '.join(readers)} together"
                )
                problems.append(("factors", reason))
        _refuse(problems)
        return self


def _merge(readers: list[FactorRule]) -> FieldRule:
    """Merge the acceptances of all factors that read a field: a value counts for all of them or for none."""
    kinds = {factor.kind for factor in readers}
    return FieldRule(
        kind="number" if "number" in kinds else "boolean" if "boolean" in kinds else "any",
        minimum=max((factor.minimum for factor in readers if factor.minimum is not None), default=None),
        maximum=min((factor.maximum for factor in readers if factor.maximum is not None), default=None),
        required=any(factor.required for factor in readers),
    )


class Ruleset(_Frozen):
    """The catalogue's identity, as it stands in every change event and in every state row."""

    name: str
    digest: str


class Catalogue(_Frozen):
    """A whole catalogue; a value, equal to another one where every declaration is."""

    schema_version: Annotated[Literal[1], BeforeValidator(_whole)] = Field(description="Version of this file format.")
    # No slash is allowed, because the ruleset's name is "<name>/<version>", and must have only one slash.
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,100}$")] = Field(description="Name of the ruleset.")
    version: Annotated[str, Field(pattern=r"^[A-Za-z0-9._+-]{1,100}$")] = Field(description="Version of the ruleset.")
    processors: FrozenMapping[ProcessorRule] = Field(
        description="The processors, by name. One that is not here is legal: its factors are merged, the later wins."
    )

    @cached_property
    def digest(self) -> str:
        """SHA-256, in hexadecimal, of the canonical JSON of all that a result or its meaning depends on.

        Descriptions are left out. Everything else is in: name and version stand in every change event, and another
        unit gives the same figure another meaning. Spelling does not count: key order, ``0`` or ``0.0``, a default
        written out or omitted. Defaults are left out, so that a new optional key keeps every existing digest.
        """
        prose: dict[str, Any] = {"description": True, "factors": {"__all__": {"description": True}}}
        canonical = self.model_dump(exclude={"processors": {"__all__": prose}}, exclude_defaults=True)
        text = json.dumps(canonical, default=scalar_text, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @cached_property
    def ruleset(self) -> Ruleset:
        """Name and digest, for change events and rows: ``{"name": "sample-underwriting/2026.1", "digest": …}``."""
        return Ruleset(name=f"{self.name}/{self.version}", digest=self.digest)
