"""Checks of settings' values that are stricter than pydantic's, and messages about wrong values."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator
from pydantic_core import PydanticCustomError

from consolidator.connecting.addresses import parse_servers
from consolidator.connecting.quoting import shown

__all__ = ["NUMBER", "RULESET_NAME", "WHOLE", "Addresses", "FilePath", "Listening", "StateDirectory", "kind_of"]

_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,18}(\.[0-9]{1,18})?")
_ALTERNATIVES: Final = re.compile(r"\^\(([A-Za-z0-9_|-]+)\)\$")
_NAMES: Final = re.compile(r"\^\[a-zA-Z0-9\._-\]\{([0-9]+),([0-9]+)\}\$")
_LISTENING: Final = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(?P<port>[0-9]{1,5})")
_LAST_PORT: Final = 65_535
RULESET_NAME: Final = r"^[A-Za-z0-9._-]{1,100}/[A-Za-z0-9._+-]{1,100}$"
_KINDS: Final = {"integer": "a whole number", "number": "a number", "boolean": "true or false", "path": "a path"}

_SPOILS_PROPERTIES: Final = ",:\\"
"""Kafka reads a list of directories from its properties. It would split a path at these characters, and write
elsewhere."""


def _wrong(words: str) -> PydanticCustomError:
    return PydanticCustomError("setting", "{words}", {"words": words})


def _spelt(pattern: re.Pattern[str]) -> BeforeValidator:
    def check(value: Any) -> Any:
        # Only ASCII digits: Python would also read 1_0 as 10, and the digits of every script.
        if isinstance(value, str) and not pattern.fullmatch(value.strip()):
            raise _wrong("")
        return value

    return BeforeValidator(check)


def _not_empty(value: Any) -> Any:
    if value == "":
        raise _wrong("it is empty: leave it unset, or give a path")
    return value


def _state_directory(path: Path) -> Path:
    try:
        path = path.expanduser().absolute()
    except RuntimeError:
        raise _wrong(f"{shown(path)} begins in a home directory, and this user has none: give a path") from None
    spoiling = next((one for one in str(path) if one in _SPOILS_PROPERTIES or not one.isprintable()), None)
    if spoiling is not None:
        raise _wrong(f"{shown(path)} has {shown(spoiling)} in it: Kafka would write outside of it")
    for place in (path, *path.parents):
        try:
            is_there, is_directory = place.exists(), place.is_dir()
        except OSError as error:
            raise _wrong(f"{shown(place)} cannot be used: {error.strerror}") from None
        if is_there:
            if not is_directory:
                raise _wrong(f"{shown(place)} is a file, a directory is wanted")
            break
    return path


def _addresses(value: str) -> str:
    try:
        parse_servers(value)
    except ValueError as error:
        raise _wrong(str(error)) from None
    return value


def _listening(value: str) -> str:
    match = _LISTENING.fullmatch(value.strip())
    if match is None or int(match["port"]) > _LAST_PORT:
        raise _wrong(f"{shown(value)} is no host:port such as 127.0.0.1:9404 or 0.0.0.0:9404")
    return value.strip()


WHOLE: Final = _spelt(_WHOLE)
"""This must come after a number's limits; otherwise the limits would be missing from the schema."""
NUMBER: Final = _spelt(_NUMBER)
FilePath = Annotated[Path, BeforeValidator(_not_empty)]
StateDirectory = Annotated[Path, BeforeValidator(_not_empty), AfterValidator(_state_directory)]
Addresses = Annotated[str, AfterValidator(_addresses)]
Listening = Annotated[str, AfterValidator(_listening)]


def kind_of(schema: Mapping[str, Any]) -> str:
    """The allowed values in words, from a field's JSON schema."""
    branches = schema.get("anyOf", [schema])
    allowed = next(branch for branch in branches if branch.get("type") != "null")
    alternatives = _ALTERNATIVES.fullmatch(allowed.get("pattern", ""))
    if alternatives is not None:
        *first, last = alternatives[1].split("|")
        return f"{', '.join(first)} or {last} is wanted"
    pattern = allowed.get("pattern")
    if pattern is not None:
        if pattern == RULESET_NAME:
            return "NAME/VERSION is wanted, as the catalogue calls itself"
        names = _NAMES.fullmatch(pattern)
        wanted = f"{names[1]} to {names[2]} letters, digits, dots, hyphens and underscores" if names else pattern
        return f"{wanted} {'are' if names else 'is'} wanted"
    wanted = _KINDS.get(allowed.get("format") or allowed["type"], "a text")
    return f"{wanted}{_limits(allowed.get('minimum'), allowed.get('maximum'))} is wanted"


def _limits(least: float | None, most: float | None) -> str:
    if least is not None and most is not None:
        return f" from {least:,} to {most:,}"
    return f" of at least {least:,}" if least is not None else f" of at most {most:,}" if most is not None else ""
