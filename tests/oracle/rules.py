"""The independent oracle's rules of the catalogue: which values are accepted, and how they become factors.

The readings of the design that this follows are listed in ``tests/oracle/expected.py``.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

DEFAULT_MEAN_SCALE = 2
NUMBER_REDUCERS = frozenset({"mean", "sum", "min", "max"})
BOOLEAN_REDUCERS = frozenset({"count_true", "all_true", "any_true"})

Scalar = str | bool | Fraction
Plain = str | bool | int | Decimal
Contribution = Mapping[str, Scalar]

REDUCERS: dict[str, Callable[[Sequence[Any]], Scalar | int]] = {
    "mean": lambda values: sum(values, Fraction(0)) / len(values),
    "sum": lambda values: sum(values, Fraction(0)),
    "min": min,
    "max": max,
    "count": len,
    "latest": lambda values: values[-1],
    "earliest": lambda values: values[0],
    "count_true": lambda values: sum(1 for value in values if value),
    "all_true": all,
    "any_true": any,
    "distinct_count": lambda values: len({(type(value), value) for value in values}),
}


@dataclass(frozen=True, slots=True)
class Field:
    kind: str
    bounds: tuple[tuple[Fraction | None, Fraction | None], ...]

    @classmethod
    def read_by(cls, name: str, readers: Sequence[Mapping[str, Any]]) -> "Field":
        bounds = tuple(
            (_bound(reader.get("minimum")), _bound(reader.get("maximum")))
            for reader in readers
            if reader.get("minimum") is not None or reader.get("maximum") is not None
        )
        reducers = {reader["reducer"] for reader in readers}
        number = bool(bounds) or bool(reducers & NUMBER_REDUCERS)
        boolean = bool(reducers & BOOLEAN_REDUCERS)
        if number and boolean:
            raise ValueError(f"field {name} is read both as a number and as a boolean")
        return cls("number" if number else "boolean" if boolean else "any", bounds)

    def accepts(self, value: Scalar) -> bool:
        if self.kind == "boolean":
            return isinstance(value, bool)
        if self.kind == "any":
            return True
        return isinstance(value, Fraction) and all(
            (low is None or low <= value) and (high is None or value <= high) for low, high in self.bounds
        )


@dataclass(frozen=True, slots=True)
class Rule:
    type: str | None
    on_failed_rerun: str
    declared_factors: Mapping[str, Mapping[str, Any]]
    fields: Mapping[str, Field]

    @classmethod
    def declared(cls, spec: Mapping[str, Any]) -> "Rule":
        factors = spec.get("factors", {})
        readers: dict[str, list[Mapping[str, Any]]] = {}
        for factor in factors.values():
            if "field" in factor:
                readers.setdefault(factor["field"], []).append(factor)
        fields = {name: Field.read_by(name, its_readers) for name, its_readers in readers.items()}
        return cls(spec["type"], spec.get("on_failed_rerun", "replace"), factors, fields)

    def accept(self, output: Mapping[str, Any] | None) -> Contribution:
        offered = (output or {}).get("factors") or {}
        values = {name: _scalar(value) for name, value in offered.items() if value is not None}
        return {n: value for n, value in values.items() if n not in self.fields or self.fields[n].accepts(value)}

    def factors(self, contributions: Sequence[Contribution]) -> dict[str, Plain]:
        """The consolidated factors of the contributing executions, given in execution order."""
        if self.type is None:
            return _merge(contributions)
        if self.type == "application":
            contributions = contributions[-1:]
        factors: dict[str, Plain] = {}
        for name, spec in sorted(self.declared_factors.items()):
            values: list[Any] = (
                [c[spec["field"]] for c in contributions if spec["field"] in c] if "field" in spec else [*contributions]
            )
            if values:
                default_scale = DEFAULT_MEAN_SCALE if spec["reducer"] == "mean" else None
                factors[name] = _plain(REDUCERS[spec["reducer"]](values), spec.get("scale", default_scale))
        return factors


MERGE = Rule(type=None, on_failed_rerun="replace", declared_factors={}, fields={})


def _merge(contributions: Sequence[Contribution]) -> dict[str, Plain]:
    merged: dict[str, Scalar] = {}
    for contribution in contributions:
        merged.update(contribution)
    return {name: _plain(value, None) for name, value in sorted(merged.items())}


def _bound(value: int | Decimal | None) -> Fraction | None:
    scalar = None if value is None else _scalar(value)
    if isinstance(scalar, str | bool):
        raise TypeError("a bound must be a number")
    return scalar


def _scalar(value: Any) -> Scalar:
    if isinstance(value, str | bool):
        return value
    if isinstance(value, int | Decimal):
        return Fraction(value)
    raise TypeError(f"{type(value).__name__} is no exact JSON scalar")


def _plain(value: Scalar | int, scale: int | None) -> Plain:
    if isinstance(value, str | bool):
        return value
    exact = Fraction(value)
    if scale is not None:
        shift = Fraction(10) ** scale
        exact = Fraction(round(exact * shift)) / shift  # Fraction rounds half to even
    if exact.denominator == 1:
        return exact.numerator
    places = 0
    while 10**places % exact.denominator:
        places += 1
    coefficient = exact.numerator * (10**places // exact.denominator)
    digits = tuple(int(digit) for digit in str(abs(coefficient)))
    return Decimal((int(coefficient < 0), digits, -places))  # from a tuple: no context, no rounding


def canonical_json(value: Any) -> str:
    """One text for each JSON value: sorted keys, no spaces, numbers plain without exponent or trailing zeros.

    Raises:
        TypeError: the value holds a float, or something that JSON does not know.
    """
    if value is None or isinstance(value, str | bool):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, int | Decimal):
        text = format(value, "f") if isinstance(value, Decimal) else str(value)
        text = text.rstrip("0").rstrip(".") if "." in text else text
        return "0" if text == "-0" else text
    if isinstance(value, Mapping):
        members = (f"{canonical_json(str(name))}:{canonical_json(value[name])}" for name in sorted(value))
        return "{" + ",".join(members) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(canonical_json, value)) + "]"
    raise TypeError(f"{type(value).__name__} has no canonical JSON")
