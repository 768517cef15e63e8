"""What a schema accepts, as a union of simple sets: finitely many values, numbers, texts, arrays, objects.

A shape that is not ``exact`` accepts all that the schema does, and possibly more: some keyword was not understood. That
is good enough for what is written, and proves nothing for what is read.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import product
from typing import Any

from tests.compatibility.nodes import (
    ANNOTATIONS,
    JUDGED,
    Conjunction,
    Node,
    TooDeepError,
    checked_formats,
    is_valid,
)

_DEEPEST = 24
_MOST_ALTERNATIVES = 256
_FEW = 64
"""So many whole numbers are looked at one by one."""


@dataclass(frozen=True)
class Values:
    """Finitely many values."""

    values: tuple[Any, ...]
    exact: bool = True


@dataclass(frozen=True)
class Number:
    """Numbers between two bounds that are multiples of ``step``."""

    lower: Fraction | None = None
    lower_open: bool = False
    upper: Fraction | None = None
    upper_open: bool = False
    step: Fraction | None = None
    exact: bool = True


@dataclass(frozen=True)
class Text:
    """Texts between two lengths that fit every pattern and format."""

    shortest: int = 0
    longest: int | None = None
    patterns: frozenset[str] = frozenset()
    formats: frozenset[str] = frozenset()
    exact: bool = True


@dataclass(frozen=True)
class Array:
    """Arrays: schemas of the first items, and of the others."""

    prefix: tuple[Conjunction, ...] = ()
    others: Conjunction = ()
    fewest: int = 0
    most: int | None = None
    unique: bool = False
    exact: bool = True

    def at(self, index: int) -> Conjunction:
        """The schemas of the item at an index."""
        return self.prefix[index] if index < len(self.prefix) else self.others


@dataclass(frozen=True)
class Object:
    """Objects: schemas of the members that are named, of the others, and of names."""

    members: Mapping[str, Conjunction] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    others: Conjunction = ()
    names: Conjunction = ()
    fewest: int = 0
    most: int | None = None
    exact: bool = True

    def at(self, name: str) -> Conjunction:
        """The schemas of a member."""
        return self.members.get(name, self.others)


Shape = Values | Number | Text | Array | Object
_TYPES = ("null", "boolean", "number", "string", "array", "object")


def shapes(conjunction: Conjunction, depth: int = 0) -> list[Shape]:
    """What all of some schemas accept together; an empty list: nothing.

    Raises:
        TooDeepError: a schema refers to itself, or has too many alternatives.
    """
    if depth > _DEEPEST:
        raise TooDeepError
    found = (shape for nodes, exact in _alternatives(conjunction, depth) for shape in _of(nodes, exact=exact))
    return [shape for shape in found if _inhabited(shape, depth)]


def is_inhabited(conjunction: Conjunction, depth: int = 0) -> bool:
    """Whether all of some schemas together accept any value, as far as the rules see."""
    return bool(shapes(conjunction, depth))


def _alternatives(conjunction: Conjunction, depth: int) -> list[tuple[Conjunction, bool]]:
    """References, ``allOf`` and choices resolved: each alternative has nodes without them."""
    flat: list[Node] = []
    choices: list[list[Node]] = []
    exclusive: list[list[Node]] = []
    waiting = [(node, depth) for node in conjunction]
    while waiting:
        node, level = waiting.pop()
        if level > _DEEPEST:
            raise TooDeepError
        flat.append(node)
        if not isinstance(node.schema, dict):
            continue
        if "$ref" in node.schema:
            waiting.append((node.target(), level + 1))
        waiting += [(node.sub(part), level + 1) for part in node.schema.get("allOf", ())]
        if "anyOf" in node.schema:
            choices.append([node.sub(part) for part in node.schema["anyOf"]])
        if "oneOf" in node.schema:
            exclusive.append([node.sub(part) for part in node.schema["oneOf"]])
    choices += exclusive
    if math.prod(map(len, choices)) > _MOST_ALTERNATIVES:
        raise TooDeepError
    if not choices:
        return [(tuple(flat), True)]
    beside = tuple(_own(node) for node in flat)
    exact = all(_apart(branches, beside, depth) for branches in exclusive)
    return [
        (nodes, exact and inner)
        for chosen in product(*choices)
        for more, inner in _alternatives(tuple(chosen), depth + 1)
        for nodes in [(*flat, *more)]
    ]


def _apart(branches: list[Node], beside: Conjunction, depth: int) -> bool:
    """Whether no value fits two of the branches, so that ``oneOf`` means ``anyOf``."""
    pairs = ((one, other) for number, one in enumerate(branches) for other in branches[:number])
    return not any(is_inhabited((*beside, one, other), depth + 1) for one, other in pairs)


def _of(nodes: Conjunction, *, exact: bool) -> Iterator[Shape]:
    """The shapes of schemas whose references and choices were resolved."""
    if any(node.schema is False for node in nodes):
        return
    schemas = [node for node in nodes if isinstance(node.schema, dict)]
    listing = next((node.schema for node in schemas if "enum" in node.schema or "const" in node.schema), None)
    if listing is not None:
        listed = listing["enum"] if "enum" in listing else [listing["const"]]
        own = [_own(node) for node in schemas]
        yield Values(tuple(value for value in listed if is_valid(value, *own)), exact)
        return
    exact = exact and all(set(node.schema) <= JUDGED | ANNOTATIONS for node in schemas)
    types, whole = _types(schemas)
    made: dict[str, Callable[[], Shape]] = {
        "null": lambda: Values((None,), exact),
        "boolean": lambda: Values((False, True), exact),
        "number": lambda: _few(_number(schemas, whole=whole, exact=exact)),
        "string": lambda: _text(schemas, exact=exact),
        "array": lambda: _array(schemas, exact=exact),
        "object": lambda: _object(schemas, exact=exact),
    }
    yield from (make() for name, make in made.items() if name in types)


def _types(schemas: list[Node]) -> tuple[set[str], bool]:
    """The types that all schemas allow, and whether numbers have to be whole."""
    types, whole = set(_TYPES), False
    for node in schemas:
        if "type" in node.schema:
            named = node.schema["type"] if isinstance(node.schema["type"], list) else [node.schema["type"]]
            whole = whole or ("integer" in named and "number" not in named)
            types &= {"number" if name == "integer" else name for name in named}
    return types, whole


def _own(node: Node) -> Node:
    """A schema without its choices and references, which have been resolved."""
    if not isinstance(node.schema, dict):
        return node
    return node.sub({key: part for key, part in node.schema.items() if key not in {"$ref", "allOf", "anyOf", "oneOf"}})


def _number(nodes: list[Node], *, whole: bool, exact: bool) -> Number:
    found = Number(step=Fraction(1) if whole else None, exact=exact)
    for schema in (node.schema for node in nodes):
        for key, is_open in (("minimum", False), ("exclusiveMinimum", True)):
            if key in schema:
                bound = Fraction(str(schema[key]))
                if found.lower is None or (bound, is_open) > (found.lower, found.lower_open):
                    found = replace(found, lower=bound, lower_open=is_open)
        for key, is_open in (("maximum", False), ("exclusiveMaximum", True)):
            if key in schema:
                bound = Fraction(str(schema[key]))
                if found.upper is None or (-bound, is_open) > (-found.upper, found.upper_open):
                    found = replace(found, upper=bound, upper_open=is_open)
        if "multipleOf" in schema:
            step = Fraction(str(schema["multipleOf"]))
            found = replace(found, step=step if found.step is None else _common_multiple(found.step, step))
    return _on_steps(found)


def _common_multiple(one: Fraction, other: Fraction) -> Fraction:
    return Fraction(math.lcm(one.numerator, other.numerator), math.gcd(one.denominator, other.denominator))


def _on_steps(number: Number) -> Number:
    """The bounds moved to the first and the last multiple between them."""
    if number.step is None:
        return number
    if number.lower is not None:
        steps = math.ceil(number.lower / number.step)
        steps += number.lower_open and steps * number.step == number.lower
        number = replace(number, lower=steps * number.step, lower_open=False)
    if number.upper is not None:
        steps = math.floor(number.upper / number.step)
        steps -= number.upper_open and steps * number.step == number.upper
        number = replace(number, upper=steps * number.step, upper_open=False)
    return number


def _few(number: Number) -> Shape:
    """Few whole numbers as values."""
    if number.step != 1 or number.lower is None or number.upper is None or number.upper - number.lower >= _FEW:
        return number
    return Values(tuple(range(int(number.lower), int(number.upper) + 1)), number.exact)


def _least(nodes: list[Node], key: str) -> int | None:
    return min((int(node.schema[key]) for node in nodes if key in node.schema), default=None)


def _greatest(nodes: list[Node], key: str) -> int:
    return max((int(node.schema[key]) for node in nodes if key in node.schema), default=0)


def _text(nodes: list[Node], *, exact: bool) -> Text:
    return Text(
        shortest=_greatest(nodes, "minLength"),
        longest=_least(nodes, "maxLength"),
        patterns=frozenset(node.schema["pattern"] for node in nodes if "pattern" in node.schema),
        formats=frozenset(node.schema["format"] for node in nodes if "format" in node.schema) & checked_formats(),
        exact=exact,
    )


def _array(nodes: list[Node], *, exact: bool) -> Array:
    first = max(len(node.schema.get("prefixItems", ())) for node in nodes) if nodes else 0

    def at(node: Node, index: int) -> Node:
        listed = node.schema.get("prefixItems", ())
        return node.sub(listed[index] if index < len(listed) else node.schema.get("items", True))

    return Array(
        prefix=tuple(tuple(at(node, index) for node in nodes) for index in range(first)),
        others=tuple(at(node, first) for node in nodes),
        fewest=_greatest(nodes, "minItems"),
        most=_least(nodes, "maxItems"),
        unique=any(node.schema.get("uniqueItems") for node in nodes),
        exact=exact,
    )


def _object(nodes: list[Node], *, exact: bool) -> Object:
    def at(node: Node, name: str | None) -> Node:
        properties = node.schema.get("properties", {})
        if name in properties:
            return node.sub(properties[name])
        # A member whose name fits a pattern is no other member; the pattern itself is not understood.
        return node.sub(True if "patternProperties" in node.schema else node.schema.get("additionalProperties", True))

    names = dict.fromkeys(name for node in nodes for name in node.schema.get("properties", {}))
    return Object(
        members={name: tuple(at(node, name) for node in nodes) for name in names},
        required=frozenset(name for node in nodes for name in node.schema.get("required", ())),
        others=tuple(at(node, None) for node in nodes),
        names=tuple(node.sub(node.schema["propertyNames"]) for node in nodes if "propertyNames" in node.schema),
        fewest=_greatest(nodes, "minProperties"),
        most=_least(nodes, "maxProperties"),
        exact=exact,
    )


def _inhabited(shape: Shape, depth: int) -> bool:
    """Whether a shape has any value, as far as the rules see: of a text's patterns they see nothing."""
    match shape:
        case Values(values=values):
            return bool(values)
        case Number(lower=lower, upper=upper):
            if lower is None or upper is None:
                return True
            return lower < upper or (lower == upper and not (shape.lower_open or shape.upper_open))
        case Text(shortest=shortest, longest=longest):
            return longest is None or shortest <= longest
        case Array(fewest=fewest, most=most):
            within = most is None or fewest <= most
            return within and all(is_inhabited(shape.at(index), depth + 1) for index in range(min(fewest, _FEW)))
        case Object():
            return _has_objects(shape, depth)


def _has_objects(shape: Object, depth: int) -> bool:
    if shape.most is not None and max(shape.fewest, len(shape.required)) > shape.most:
        return False
    if not all(may_have(shape, name, depth) for name in sorted(shape.required)):
        return False
    if shape.fewest <= len(shape.required) or is_inhabited(shape.others, depth + 1):
        return True
    return shape.fewest <= sum(may_have(shape, name, depth) for name in {*shape.members, *shape.required})


def may_have(shape: Object, name: str, depth: int = 0) -> bool:
    """Whether an object of this shape can have a member."""
    if shape.most == 0 or not is_valid(name, *shape.names):
        return False
    return is_inhabited(shape.at(name), depth + 1)
