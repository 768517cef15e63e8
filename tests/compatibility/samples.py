"""Values that a shape accepts, the simplest first: of these, examples are made.

None of them is certain to be accepted. Whoever uses one asks ``jsonschema``.
"""

import re
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from itertools import islice
from typing import Any

from hypothesis import HealthCheck, Phase, find, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from tests.compatibility.nodes import FORMATS, Conjunction
from tests.compatibility.shapes import Array, Number, Object, Shape, Text, Values, may_have, shapes

OTHER = "another_member"
"""The name of a member that no schema names."""

_MOST = 12
"""So many samples of one shape; an example needs one."""
_LONGEST = 5_000
_DEEPEST = 12
_BY_FORMAT = {
    "date-time": ("2026-03-01T10:00:00Z", "2026-03-01T10:00:00.000000Z", "2026-03-01T10:00:00.5+02:00"),
    "date": ("2026-03-01",),
    "email": ("a@example.org",),
    "ipv4": ("192.0.2.1",),
}
_ANYTHING = (None, True, 0, "a", 0.5, [], {}, False, "", -1, ["a"], {"a": 0})
_TEXTS = ("a", "", "A", "0", " ", "a b", "é", "aa", "0a")
_SEARCH = settings(
    max_examples=300,
    database=None,
    derandomize=True,
    deadline=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)


def samples(conjunction: Conjunction, depth: int = 0) -> list[Any]:
    """Some values that all of some schemas accept, in turn of each of its shapes."""
    if depth > _DEEPEST:
        return []
    # Deeper ones are parts of samples, of which there would be too many.
    most = max(_MOST >> depth, 1)
    if all(node.schema is True or node.schema == {} for node in conjunction):
        return [*_ANYTHING[:most]]
    found: list[Any] = []
    turns = [of_shape(shape, depth) for shape in shapes(conjunction, depth)]
    while turns and len(found) < most:
        for turn in list(turns):
            try:
                found.append(next(turn))
            except StopIteration:
                turns.remove(turn)
    return found


def of_shape(shape: Shape, depth: int = 0) -> Iterator[Any]:
    """Some values of a shape, at most twelve."""
    match shape:
        case Values():
            found: Iterator[Any] = iter(shape.values)
        case Number():
            found = _numbers(shape)
        case Text():
            found = texts(shape)
        case Array():
            found = _arrays(shape, depth)
        case Object():
            found = _objects(shape, depth)
    yield from islice(found, _MOST)


def number(value: Fraction) -> int | float:
    """As JSON has it."""
    return int(value) if value.denominator == 1 else float(value)


def _numbers(shape: Number) -> Iterator[int | float]:
    near = [Fraction(0), Fraction(1), Fraction(1, 2)]
    step = shape.step or Fraction(1, 2)
    for bound in (shape.lower, shape.upper):
        if bound is not None:
            near += [bound, bound + step, bound - step, bound + 1, bound - 1]
    near += [step, -step, Fraction(-1), Fraction(2), Fraction(10**6)]
    for value in dict.fromkeys(near):
        if contains(shape, value):
            yield number(value)


def contains(shape: Number, value: Fraction) -> bool:
    """Whether a number is between the bounds, and a multiple of the step."""
    if shape.lower is not None and (value < shape.lower or (shape.lower_open and value == shape.lower)):
        return False
    if shape.upper is not None and (value > shape.upper or (shape.upper_open and value == shape.upper)):
        return False
    return shape.step is None or (value / shape.step).denominator == 1


def texts(shape: Text, *without: str) -> Iterator[str]:
    """Some texts of a shape that do not fit certain other patterns."""
    longest = _LONGEST if shape.longest is None else shape.longest
    of_formats = [text for name in sorted(shape.formats & _BY_FORMAT.keys()) for text in _BY_FORMAT[name]]
    for text in (*of_formats, *_TEXTS):
        if len(text) < shape.shortest and not shape.patterns and not shape.formats:
            yield (text or "a").ljust(shape.shortest, "a")
        elif shape.shortest <= len(text) <= longest and _fits(text, shape) and not _fits_any(text, without):
            yield text
    for pattern in sorted(shape.patterns) or [r"\A[a-zA-Z0-9_ .-]*\Z"] * bool(without):
        text = _found(pattern, frozenset(shape.patterns), without, shape.shortest, longest)
        if text is not None and _fits(text, shape):
            yield text
    if not shape.patterns and not shape.formats and longest < _LONGEST:
        yield "a" * longest


def _fits(text: str, shape: Text) -> bool:
    known = all(re.search(pattern, text) for pattern in shape.patterns)
    return known and all(FORMATS.conforms(text, name) for name in shape.formats)


def _fits_any(text: str, patterns: tuple[str, ...]) -> bool:
    return any(re.search(pattern, text) for pattern in patterns)


@lru_cache(maxsize=1_000)
def _found(pattern: str, all_of: frozenset[str], none_of: tuple[str, ...], shortest: int, longest: int) -> str | None:
    """A text of a pattern, as simple as can be found."""

    def is_wanted(text: str) -> bool:
        fits = shortest <= len(text) <= longest and all(re.search(one, text) for one in all_of)
        return fits and not _fits_any(text, none_of)

    try:
        return find(st.from_regex(pattern), is_wanted, settings=_SEARCH)
    except NoSuchExample:
        return None


def _arrays(shape: Array, depth: int) -> Iterator[list[Any]]:
    most = shape.most if shape.most is not None else max(shape.fewest, len(shape.prefix), 1) + 1
    for length in dict.fromkeys((shape.fewest, *range(shape.fewest, min(most, shape.fewest + 2) + 1), most)):
        items = array(shape, length, depth)
        if items is not None:
            yield items


def array(shape: Array, length: int, depth: int) -> list[Any] | None:
    """An array of so many items, different ones if possible; None: some item has no sample."""
    if length > _LONGEST:
        return None
    items: list[Any] = []
    of_others = samples(shape.others, depth + 1) if length > len(shape.prefix) else []
    if shape.unique:
        # Of texts there are enough different ones.
        of_others += [f"{one}{number}" for one in of_others[:1] if isinstance(one, str) for number in range(length)]
    for index in range(length):
        choice = samples(shape.prefix[index], depth + 1) if index < len(shape.prefix) else of_others
        if not choice:
            return None
        fresh = [one for one in choice if one not in items] if shape.unique else choice
        items.append((fresh or choice)[0])
    return items


def _objects(shape: Object, depth: int) -> Iterator[dict[str, Any]]:
    least = some_object(shape, depth)
    if least is None:
        return
    yield least
    full = dict(least)
    for name in shape.members:
        found = samples(shape.members[name], depth + 1) if may_have(shape, name) else []
        for value in found[:3]:
            yield {**least, name: value}
        if found:
            full[name] = found[0]
    yield full


def some_object(shape: Object, depth: int = 0, *, besides: str | None = None) -> dict[str, Any] | None:
    """An object with the required members, and as many others as it needs; None: some member has no sample.

    Args:
        shape: of the object.
        depth: how deep it is.
        besides: a member that it need not have.
    """
    found: dict[str, Any] = {}
    for name in sorted(
        shape.required - {besides}, key=list(shape.members).index if shape.required <= shape.members.keys() else str
    ):
        values = samples(shape.at(name), depth + 1)
        if not values:
            return None
        found[name] = values[0]
    spare = (name for name in (*shape.members, *other_names(shape)) if name not in found and name != besides)
    while len(found) + (besides is not None) < shape.fewest:
        name = next(spare, None)
        if name is None:
            return None
        if may_have(shape, name) and (values := samples(shape.at(name), depth + 1)):
            found[name] = values[0]
    return found


def other_names(*objects: Object) -> list[str]:
    """Names of members that none of some objects names, and the first one may have."""
    patterns = [shape for one in objects[:1] if one.names for shape in shapes(one.names)]
    found = [OTHER, *(f"{OTHER}_{number}" for number in range(3))]
    found += [name for shape in patterns for name in of_shape(shape) if isinstance(name, str)]
    return [name for name in found if not any(name in one.members for one in objects) and may_have(objects[0], name)]
