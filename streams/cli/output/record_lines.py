"""Kafka records for people: one readable line each, with columns that fit the topic. Control characters are escaped."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from models.errors import ContractError
from streams.cli.output.record_json import readable_entries, rfc3339_of
from streams.runtime.escaping import escaped
from topics.records import dead_letter_format
from topics.records.adoptions import ADOPTION_PREFIX, CATALOGUE_PREFIX, adoptions_in
from topics.records.bindings import binding_in
from topics.records.content import event_of, last_header, payload_of
from topics.records.erasures import ERASURE_PREFIX
from topics.records.record import Record

_ABSENT: Final = "-"
# Wide enough for the usual ids; longer ones push the rest of their line to the right and lose nothing.
_TIME, _ID, _NAME, _PLACE, _WORD = 24, 20, 22, 26, 12

_HEADINGS: Final = {
    "executions": f"{'TIME':<{_TIME}} {'APPLICATION':<{_ID}} {'PROCESSOR':<{_NAME}} {'EXECUTION':<{_ID}} "
    f"{'STATUS':<{_WORD}} ATTEMPT",
    "factor-changes": f"{'TIME':<{_TIME}} {'APPLICATION':<{_ID}} {'PROCESSOR':<{_NAME}} {'OUTCOME':<{_PLACE}} "
    "CHANGED, AND BY WHAT",
    "factors": f"{'TIME':<{_TIME}} {'APPLICATION':<{_ID}} {'PROCESSOR':<{_NAME}} {'OUTCOME':<{_WORD}} FACTORS",
    "dlq": f"{'TIME':<{_TIME}} {'SOURCE':<{_PLACE}} {'ERROR':<{_NAME}} MESSAGE",
    "rulesets": f"{'TIME':<{_TIME}} {'RECORD':<{_WORD}} WHAT IT SAYS",
    "erasures": f"{'TIME':<{_TIME}} {'CONFIRMED':<{_WORD}} {'IN EXECUTIONS':<{_ID}} HASH",
}


def heading(kind: str) -> str:
    """The column titles for a kind of topic: executions, factor-changes, factors, dlq, rulesets or erasures."""
    return _HEADINGS[kind]


def readable_line(kind: str, record: Record) -> str:
    """One record as one line.

    Args:
        kind: as in :func:`heading`.
        record: the record, with any content. The line is never empty, and control characters are escaped.
    """
    if kind == "dlq":
        return escaped(_dead_letter(record))
    time = rfc3339_of(record.timestamp_ms)
    control = _control(record) if kind == "executions" else None
    if control is not None:
        return escaped(f"{time:<{_TIME}} {control}: {_key(record)}")
    if record.value is None:
        return escaped(f"{time:<{_TIME}} erased by a tombstone: {_key(record)}")
    if kind in _ENTRIES:
        return escaped(f"{time:<{_TIME}} {_ENTRIES[kind](record)}")
    payload = payload_of(record)
    if payload is None:
        return escaped(f"{time:<{_TIME}} no JSON object, {len(record.value)} bytes: {_key(record)}")
    event = event_of(payload)
    about = f"{time:<{_TIME}} {_shown(event, 'application_id'):<{_ID}} {_shown(event, 'processor'):<{_NAME}}"
    return escaped(f"{about} {_DETAILS[kind](event)}")


def _control(record: Record) -> str | None:
    """A record under a key that no application has, in words: an erasure or an adoption, for example."""
    key = record.key or b""
    if key.startswith(ADOPTION_PREFIX):
        return "no event, a ruleset's adoption if the topic of rulesets names it"
    if not key.startswith(ERASURE_PREFIX):
        return None
    payload = payload_of(record) or {}
    what = "lift" if payload.get("erasure") == "lifted" else "erasure"
    return f"no event, an application's {what} if the topic of erasures names it"


def _execution(event: Mapping[str, Any]) -> str:
    return (
        f"{_shown(event, 'execution_id'):<{_ID}} {_shown(event, 'status'):<{_WORD}} {_shown(event, 'attempt')}".rstrip()
    )


def _change(change: Mapping[str, Any]) -> str:
    outcome = f"{_shown(change, 'previous_outcome')} → {_shown(change, 'outcome')}"
    changed = change.get("changed")
    entries = [entry for entry in changed if isinstance(entry, dict)] if isinstance(changed, list) else []
    factors = ", ".join(map(_changed_factor, entries)) or "no factor changed"
    return f"{outcome:<{_PLACE}} {factors}  ({_cause(change.get('cause'))})"


def _changed_factor(entry: Mapping[str, Any]) -> str:
    return f"{_shown(entry, 'factor')}: {_shown(entry, 'before')} → {_shown(entry, 'after')}"


def _cause(cause: Any) -> str:
    if not isinstance(cause, dict):
        return "cause unknown"
    if "ruleset" in cause:
        return "another ruleset"
    attempt = cause.get("attempt")
    suffix = "" if attempt is None else f", attempt {_scalar(attempt)}"
    return f"{_shown(cause, 'execution_id')} {_shown(cause, 'status')}{suffix}"


def _factors(current: Mapping[str, Any]) -> str:
    factors = current.get("factors")
    pairs = factors.items() if isinstance(factors, dict) else ()
    shown = ", ".join(f"{name}={_scalar(value)}" for name, value in pairs) or "no factors"
    return f"{_shown(current, 'outcome'):<{_WORD}} {shown}"


def _dead_letter(record: Record) -> str:
    time = rfc3339_of(record.timestamp_ms)
    marked = dead_letter_format.marked_letter(record)
    if marked is not None:
        source = ":".join(marked.decode(errors="replace").rsplit("/", 2))
        return f"{time:<{_TIME}} {source:<{_PLACE}} {'redriven':<{_NAME}} put back into the source"
    source = ":".join(_key(record).rsplit("/", 2))
    error, message = _header(record, dead_letter_format.CLASS), _header(record, dead_letter_format.MESSAGE)
    return f"{time:<{_TIME}} {source:<{_PLACE}} {error:<{_NAME}} {message}"


def _about_rulesets(record: Record) -> str:
    with suppress(ContractError):
        for adoption in adoptions_in(record):
            place = f"{adoption.partition}:{adoption.offset}"
            return f"{'adoption':<{_WORD}} from {place} on {adoption.after}, instead of {adoption.before}"
        binding = binding_in(record)
        if binding is not None:
            before = "" if binding.moved_from is None else f", moved from {binding.moved_from}"
            return f"{'binding':<{_WORD}} topics with the prefix {binding.prefix!r} to {binding.app_id}{before}"
        key = record.key or b""
        catalogue = payload_of(record) if key.startswith(CATALOGUE_PREFIX) else None
        if catalogue is not None:
            digest = key.removeprefix(CATALOGUE_PREFIX).decode(errors="replace")
            return f"{'catalogue':<{_WORD}} {_shown(catalogue, 'name')}/{_shown(catalogue, 'version')} {digest}"
    return _unknown(record)


def _about_erasures(record: Record) -> str:
    for offset, erasure in readable_entries(record):
        place = f"{record.partition}:{offset}"
        return f"{'lift' if erasure.lifted else 'erasure':<{_WORD}} {place:<{_ID}} {erasure.hash.hex()}"
    return _unknown(record)


def _unknown(record: Record) -> str:
    return f"nothing that this version reads: {_key(record)}"


def _header(record: Record, name: str) -> str:
    value = last_header(record, name)
    return _ABSENT if value is None else value.decode(errors="replace")


def _key(record: Record) -> str:
    return "no key" if record.key is None else record.key.decode(errors="replace")


def _shown(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    return _ABSENT if value is None else _scalar(value)


def _scalar(value: Any) -> str:
    # JSON writes Python's True as true; other values look the same in both.
    return str(value).lower() if isinstance(value, bool) else str(value)


_ENTRIES: Final[Mapping[str, Callable[[Record], str]]] = {"rulesets": _about_rulesets, "erasures": _about_erasures}

_DETAILS: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "executions": _execution,
    "factor-changes": _change,
    "factors": _factors,
}
