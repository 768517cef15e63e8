"""Finds probable typing errors in a legal event: members, names and ids that would silently be ignored.

Unknown members are ignored, and the factors of an undeclared processor are merged: both are legal, so the worker folds
such events. Their publisher should get a warning.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Final

from models.catalogue import Catalogue
from models.events import LifecycleEvent, Status
from models.numbers import quote
from models.quality import Issue
from streams.core.acceptance import accept

__all__ = ["typing_errors"]

_MEMBERS: Final = (
    "application_id",
    "execution_id",
    "processor",
    "status",
    "occurred_at",
    "attempt",
    "sequence",
    "output",
    "error",
    "supersedes",
    "event_id",
    "schema_version",
)
_OUTPUT: Final = ("factors",)
_ERROR: Final = ("code", "message")
# Members in the wrong place: (place in the event) -> the place where it is read.
_MISPLACED: Final = {"factors": "output.factors", "factor": "output.factors", "code": "error.code"}
_IDS: Final = ("application_id", "execution_id", "processor", "event_id", "supersedes")
# The similarity from which two names are taken for the same: "outputs" and "output" have 0.92, "supercedes" and
# "supersedes" 0.9; "time" and "attempt" have 0.36.
_MEMBER_LIKENESS: Final = 0.8
_NAME_LIKENESS: Final = 0.7
_WORD_START: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SEPARATOR: Final = re.compile(r"[\s.-]+")


def typing_errors(body: Mapping[str, Any], event: LifecycleEvent, catalogue: Catalogue) -> Iterator[str]:
    """Everything in an event that looks mistyped, in words. Names are quoted as JSON; values are never shown.

    Args:
        body: the event as JSON; a CloudEvent's envelope is looked through.
        event: the decoded event.
        catalogue: where its processor is looked up.
    """
    data = body.get("data")
    if "specversion" in body and isinstance(data, Mapping):
        body = data
    yield from _ids(body)
    yield from _members(body)
    yield from _names(event, catalogue)
    yield from _values(event, catalogue)


def _ids(body: Mapping[str, Any]) -> Iterator[str]:
    for name in _IDS:
        value = body.get(name)
        if isinstance(value, str) and value != value.strip():
            yield f"{name} begins or ends with white space: it is another one than without"


def _members(body: Mapping[str, Any]) -> Iterator[str]:
    for name in body:
        if name in _MEMBERS:
            continue
        near = _MISPLACED.get(_normal(name)) or _near(name, _MEMBERS, _MEMBER_LIKENESS)
        if near is not None and (near not in body or "." in near):
            yield f"member {quote(name)} is not read{_suggestion(near)}"
    yield from _inner(body, "output", _OUTPUT)
    yield from _inner(body, "error", _ERROR)


def _inner(body: Mapping[str, Any], outer: str, known: tuple[str, ...]) -> Iterator[str]:
    value = body.get(outer)
    if not isinstance(value, Mapping) or any(name in value for name in known):
        return
    for name in value:
        near = _near(name, known, _MEMBER_LIKENESS)
        # If no member of the output is known, its members are probably the factors themselves.
        yield f"{outer} has no {' or '.join(known)}: member {quote(name)} in it is not read" + _suggestion(near)


def _names(event: LifecycleEvent, catalogue: Catalogue) -> Iterator[str]:
    rule = catalogue.processors.get(event.processor)
    if rule is None:
        near = _near(event.processor, catalogue.processors, _NAME_LIKENESS)
        yield (
            f"processor {quote(event.processor)} is not declared in ruleset {catalogue.ruleset.name}: "
            f"its factors are merged{_suggestion(near)}"
        )
        return
    for name in event.factors:
        if name not in rule.fields:
            near = _near(name, [field for field in rule.fields if field not in event.factors], _NAME_LIKENESS)
            yield f"no factor of processor {quote(event.processor)} reads field {quote(name)}" + _suggestion(near)


def _values(event: LifecycleEvent, catalogue: Catalogue) -> Iterator[str]:
    """The values that the fold will reject, found by the fold's own function."""
    rule = catalogue.processors.get(event.processor)
    if rule is None:
        return
    for issue in accept(event, rule.fields).issues:
        if issue.issue is Issue.OUTPUT_IGNORED and event.status is not Status.FAILED:
            # A failed processor may report the factors that it had found. By the strategy they do not count, so there
            # is no warning.
            yield f"the output is not read, as the status is {event.status.text}"
        elif issue.factor is None:
            continue
        elif issue.issue is Issue.FACTOR_WRONG_TYPE:
            yield f"field {quote(issue.factor)} is rejected: its factors want a {rule.fields[issue.factor].kind}"
        elif issue.issue is Issue.FACTOR_OUT_OF_BOUNDS:
            yield f"field {quote(issue.factor)} is rejected: it is out of its factors' bounds"


def _near(name: str, known: Iterable[str], likeness: float) -> str | None:
    """The known name that was probably meant: the same name in another spelling, or a similar one."""
    spellings = {_normal(one): one for one in known}
    normal = _normal(name)
    if normal in spellings:
        return spellings[normal]
    found = get_close_matches(normal, list(spellings), n=1, cutoff=likeness)
    return spellings[found[0]] if found else None


def _normal(name: str) -> str:
    """One spelling for ``payStub``, ``Pay_Stub``, ``pay-stub`` and ``pay stub``."""
    return _SEPARATOR.sub("_", _WORD_START.sub("_", name.strip())).lower()


def _suggestion(near: str | None) -> str:
    return "" if near is None else f"; did you mean {quote(near)}?"
