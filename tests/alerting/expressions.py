"""What a PromQL expression names: its selectors, and the labels that it groups or matches by.

The syntax is checked by promtool. This only finds names in an expression that is right.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

__all__ = ["Selector", "grouping_labels", "selectors"]

_STRING: Final = r'"(?:[^"\\]|\\.)*"'
_GROUPING: Final = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_SELECTOR: Final = re.compile(
    rf"(?<![\w:.$])(?P<name>[A-Za-z_:][\w:]*)(?!\w)(?P<call>\s*\()?\s*(?P<labels>\{{(?:{_STRING}|[^}}\"])*\}})?"
)
_MATCHER: Final = re.compile(rf"(\w+)\s*(=~|!~|!=|=)\s*({_STRING})")
_WORDS: Final = {"and", "or", "unless", "bool", "offset", "inf", "nan"}


class Selector(NamedTuple):
    """A selector of series.

    Attributes:
        name: of the series.
        matchers: label, operator and value of each.
    """

    name: str
    matchers: tuple[tuple[str, str, str], ...]


def selectors(expression: str) -> list[Selector]:
    """Every selector of an expression, in its order."""
    return list(_found(expression))


def grouping_labels(expression: str) -> set[str]:
    """Every label that an expression groups by, or matches series on."""
    labels = {label.strip() for names in _GROUPING.findall(expression) for label in names.split(",")}
    return labels - {""}


def _found(expression: str) -> Iterator[Selector]:
    for match in _SELECTOR.finditer(_GROUPING.sub(" ", expression)):
        # An aggregation may have its grouping, which is gone, before its parenthesis: sum by (job) (…).
        if match["call"] is None and match["name"].lower() not in _WORDS:
            matchers = _MATCHER.findall(match["labels"] or "")
            yield Selector(match["name"], tuple((label, how, value[1:-1]) for label, how, value in matchers))
