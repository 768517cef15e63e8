"""Whether everything that one schema allows is accepted by another, rule by rule.

What cannot be shown is a suspicion: a rule, the place in a value, and values that may be the proof. A suspicion without
proof is no verdict, see :mod:`tests.compatibility.verdicts`.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain
from typing import Any

from tests.compatibility.nodes import Conjunction, Node, TooDeepError, is_valid, meaning
from tests.compatibility.samples import array, number, of_shape, other_names, samples, some_object, texts
from tests.compatibility.shapes import (
    Array,
    Number,
    Object,
    Shape,
    Text,
    Values,
    is_inhabited,
    may_have,
    shapes,
)

_DEEPEST = 24
_LONG = 5_000


@dataclass(frozen=True)
class Place:
    """A place in a value: a JSON pointer (RFC 6901), and how a whole value is made of what stands there."""

    pointer: str = ""
    whole: Callable[[Any], Any] = lambda value: value
    depth: int = 0

    def member(self, name: str, beside: dict[str, Any]) -> "Place":
        """The place of a member of the object that stands here."""
        escaped = name.replace("~", "~0").replace("/", "~1")
        return Place(f"{self.pointer}/{escaped}", lambda value: self.whole({**beside, name: value}), self.depth + 1)

    def item(self, index: int, items: list[Any]) -> "Place":
        """The place of an item of the array that stands here."""
        return Place(
            f"{self.pointer}/{index}",
            lambda value: self.whole([*items[:index], value, *items[index + 1 :]]),
            self.depth + 1,
        )


@dataclass(frozen=True)
class Suspicion:
    """What the rules could not show.

    Attributes:
        rule: the keyword of the reader's schema.
        pointer: where, in a value.
        candidates: whole values that may show that it is not so.
    """

    rule: str
    pointer: str
    candidates: tuple[Any, ...]


def suspicions(writer: Conjunction, reader: Conjunction, place: Place = Place()) -> Iterator[Suspicion]:
    """Everything that keeps the reader's schemas from accepting all that the writer's do.

    Raises:
        TooDeepError: a schema refers to itself.
    """
    if place.depth > _DEEPEST:
        raise TooDeepError
    if _are_the_same(writer, reader):
        return
    read = shapes(reader)
    for written in shapes(writer):
        yield from _of_shape(written, read, reader, place)


def _are_the_same(writer: Conjunction, reader: Conjunction) -> bool:
    trivial = all(node.schema in (True, {}) for node in reader)
    if trivial:
        return True
    written = {meaning(node) for node in writer}
    return all(meaning(node) in written for node in reader)


def _of_shape(written: Shape, read: list[Shape], reader: Conjunction, place: Place) -> Iterator[Suspicion]:
    if isinstance(written, Values):
        for value in written.values:
            if not is_valid(value, *reader):
                yield _suspicion(_rule_for(value, read), place, [value])
        return
    alike = [shape for shape in read if type(shape) is type(written)]
    if not alike:
        rule = "enum" if any(isinstance(shape, Values) and _has_kind(shape, written) for shape in read) else "type"
        yield _suspicion(rule, place, of_shape(written))
        return
    findings = [list(_of_pair(written, shape, place)) for shape in alike]
    findings = [
        found if shape.exact else [*found, _suspicion("keyword", place, of_shape(written))]
        for shape, found in zip(alike, findings, strict=True)
    ]
    if not all(findings):
        return
    parts = list(_split(written))
    if len(parts) > 1 and len(alike) > 1:
        for part in parts:
            yield from _of_shape(part, read, reader, place)
        return
    yield from chain.from_iterable(findings)
    if len(alike) > 1:
        yield _suspicion("anyOf", place, of_shape(written))


def _split(written: Shape) -> Iterator[Shape]:
    """An object by the value of a member that has few: each part may fit another choice of the reader's."""
    if not isinstance(written, Object):
        return
    for name, conjunction in written.members.items():
        found = shapes(conjunction)
        values = [value for shape in found if isinstance(shape, Values) for value in shape.values]
        if len(values) > 1 and all(isinstance(shape, Values) for shape in found) and name in written.required:
            for value in values:
                yield replace(written, members={**written.members, name: (Node({"const": value}, {}),)})
            return


def _rule_for(value: Any, read: list[Shape]) -> str:
    kinds = {bool: Values, int: Number, float: Number, str: Text, list: Array, dict: Object}
    if any(isinstance(shape, Values) and any(type(one) is type(value) for one in shape.values) for shape in read):
        return "enum"
    alike = [shape for shape in read if isinstance(shape, kinds.get(type(value), Values))]
    if not alike or isinstance(alike[0], Values):
        return "type"
    kind = Values((value,))
    match alike[0]:
        case Number() if not isinstance(value, bool):
            exactly = Fraction(str(value))
            found = list(_numbers(Number(exactly, False, exactly, False), alike[0], Place()))  # noqa: FBT003
        case Text():
            found = list(_texts(Text(len(value), len(value)), alike[0], Place()))
        case _:
            found = [Suspicion("enum", "", kind.values)]
    return found[0].rule if found else "enum"


def _has_kind(shape: Values, written: Shape) -> bool:
    kinds: dict[type, tuple[type, ...]] = {Number: (int, float), Text: (str,), Array: (list,), Object: (dict,)}
    return any(isinstance(value, kinds[type(written)]) and not isinstance(value, bool) for value in shape.values)


def _suspicion(rule: str, place: Place, values: Iterable[Any]) -> Suspicion:
    return Suspicion(rule, place.pointer, tuple(map(place.whole, values)))


def _of_pair(written: Shape, read: Shape, place: Place) -> Iterator[Suspicion]:
    match written, read:
        case Number(), Number():
            yield from _numbers(written, read, place)
        case Text(), Text():
            yield from _texts(written, read, place)
        case Array(), Array():
            yield from _arrays(written, read, place)
        case Object(), Object():
            yield from _objects(written, read, place)


def _numbers(written: Number, read: Number, place: Place) -> Iterator[Suspicion]:
    if read.lower is not None and (
        written.lower is None or (written.lower, written.lower_open) < (read.lower, read.lower_open)
    ):
        below = [read.lower, read.lower - (written.step or Fraction(1, 2)), read.lower - 1]
        yield _suspicion("minimum", place, [*map(number, below), *of_shape(written)])
    if read.upper is not None and (
        written.upper is None or (-written.upper, written.upper_open) < (-read.upper, read.upper_open)
    ):
        above = [read.upper, read.upper + (written.step or Fraction(1, 2)), read.upper + 1]
        yield _suspicion("maximum", place, [*map(number, above), *of_shape(written)])
    if read.step is not None and (written.step is None or (written.step / read.step).denominator != 1):
        steps = [Fraction(1, 2), read.step / 2, written.step or read.step / 3]
        near = [(bound or Fraction(0)) + step for bound in (written.lower, written.upper) for step in steps]
        yield _suspicion("type" if read.step == 1 else "multipleOf", place, [*map(number, near), *of_shape(written)])


def _texts(written: Text, read: Text, place: Place) -> Iterator[Suspicion]:
    if written.shortest < read.shortest:
        yield _suspicion("minLength", place, [*texts(replace(written, longest=read.shortest - 1))])
    if read.longest is not None and (written.longest is None or written.longest > read.longest):
        longer = max(read.longest + 1, written.shortest)
        yield _suspicion("maxLength", place, ["a" * longer, *texts(replace(written, shortest=longer))])
    for pattern in sorted(read.patterns - written.patterns):
        yield _suspicion("pattern", place, [*texts(written, pattern), *of_shape(written)])
    if read.formats - written.formats:
        yield _suspicion("format", place, [*of_shape(written), "no such text"])


def _arrays(written: Array, read: Array, place: Place) -> Iterator[Suspicion]:
    if written.fewest < read.fewest:
        yield _suspicion("minItems", place, _of_lengths(written, (written.fewest, read.fewest - 1)))
    if read.most is not None and (written.most is None or written.most > read.most):
        yield _suspicion("maxItems", place, _of_lengths(written, (max(read.most + 1, written.fewest),)))
    # An array of at most one item has no two that are equal.
    if read.unique and not written.unique and (written.most is None or written.most > 1):
        twice = [[one, one] for one in samples(written.others)] if not written.prefix else []
        yield _suspicion("uniqueItems", place, [*twice, *of_shape(written)])
    first = max(len(written.prefix), len(read.prefix))
    for index in range(first + 1):
        if written.most is not None and index >= written.most:
            return
        items = array(written, max(index + 1, written.fewest), 0)
        if is_inhabited(written.at(index)):
            yield from _of_part(written.at(index), read.at(index), place.item(index, items or []), "items")


def _of_lengths(written: Array, lengths: Iterable[int]) -> Iterator[list[Any]]:
    for length in lengths:
        found = array(written, length, 0)
        if found is not None:
            yield found


def _of_part(writer: Conjunction, reader: Conjunction, place: Place, rule: str) -> Iterator[Suspicion]:
    """A member or an item; one that the reader's schema forbids altogether is the rule's."""
    if is_inhabited(reader):
        yield from suspicions(writer, reader, place)
    else:
        yield _suspicion(rule, place, samples(writer))


def _objects(written: Object, read: Object, place: Place) -> Iterator[Suspicion]:
    for name in sorted(read.required - written.required):
        without = some_object(written, besides=name)
        yield Suspicion(
            "required", place.member(name, {}).pointer, tuple(map(place.whole, [without] * (without is not None)))
        )
    yield from _counts(written, read, place)
    for name in dict.fromkeys((*written.members, *read.members, *sorted(written.required))):
        if may_have(written, name):
            inner = place.member(name, some_object(written, besides=name) or {})
            if not is_valid(name, *read.names):
                yield _suspicion("propertyNames", inner, samples(written.at(name)))
            yield from _of_part(written.at(name), read.at(name), inner, "additionalProperties")
    if is_inhabited(written.others) and written.most != len(written.required):
        yield from _others(written, read, place)


def _others(written: Object, read: Object, place: Place) -> Iterator[Suspicion]:
    """Members that neither schema names."""
    beside = some_object(written) or {}
    name = next((name for name in other_names(written, read) if is_valid(name, *read.names)), None)
    if name is not None:
        inner = place.member(name, beside)
        yield from _of_part(written.others, read.others, inner, "additionalProperties")
    elif any(suspicions(written.others, read.others)):
        yield _suspicion("additionalProperties", place, of_shape(written))
    if read.names:
        anything = (*written.names, Node({"type": "string"}, {}))
        for found in suspicions(anything, read.names):
            whole = [{**beside, key: value} for key in found.candidates for value in samples(written.others)[:1]]
            yield Suspicion("propertyNames", place.pointer, tuple(map(place.whole, whole)))


def _counts(written: Object, read: Object, place: Place) -> Iterator[Suspicion]:
    if max(written.fewest, len(written.required)) < read.fewest:
        yield _suspicion("minProperties", place, of_shape(written))
    if read.most is None:
        return
    open_ended = is_inhabited(written.others)
    possible = None if open_ended else sum(may_have(written, name) for name in {*written.members, *written.required})
    bounds = [bound for bound in (possible, written.most) if bound is not None]
    if not bounds or min(bounds) > read.most:
        many = some_object(replace(written, fewest=read.most + 1))
        yield _suspicion("maxProperties", place, [*of_shape(written), *([many] if many is not None else [])])
