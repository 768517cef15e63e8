"""Catalogue files: read TOML or JSON, report all problems at once, write JSON, describe the format.

Numbers go from the text into ``Decimal``, never through a float.
"""

import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from models.catalogue import (
    NAME_PATTERN,
    RULE_ERROR,
    Catalogue,
    FactorRule,
    ProcessorRule,
    ProcessorType,
    Reducer,
    RerunPolicy,
)
from models.errors import CatalogueError
from models.numbers import quote, scalar_text
from streams.rulesets.structure import require_plain_structure

SAMPLE: Final = "sample_catalogue.toml"
# A catalogue of a thousand processors is about 500 KiB. A much larger file is probably no catalogue.
MAX_FILE_BYTES: Final = 4 * 1024 * 1024
# Editors find the JSON Schema through this key; it is no part of the catalogue.
_SCHEMA_KEY: Final = "$schema"

# The model at a depth of the file: (), ("processors", p), ("processors", p, "factors", f).
_MODELS: Final[Mapping[int, type[BaseModel]]] = {0: Catalogue, 2: ProcessorRule, 4: FactorRule}
_CHOICES: Final = {"reducer": Reducer, "type": ProcessorType, "on_failed_rerun": RerunPolicy}
_WANTED: Final = {
    "string_type": "a string",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "is_instance_of": "a number",
    "finite_number": "a finite number",
    "model_type": "a table",
    "dict_type": "a table",
    "mapping_type": "a table",
}
_PLAIN: Final = {
    "missing": "is missing",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
}
# Names of reducers in other systems, for hints.
_SYNONYMS: Final = {"avg": "mean", "average": "mean", "total": "sum", "last": "latest", "first": "earliest"}
_MAX_SHOWN_CHARS: Final = 60
# Python refuses to write integers of more than 4,300 digits.
_MAX_SHOWN_BITS: Final = 1_024
# bool comes before int, because in Python True is an int.
_KINDS: Final = (
    (bool, "a boolean"),
    (str, "a string"),
    (int, "a whole number"),
    (Decimal, "a decimal number"),
    (list, "an array"),
    (dict, "a table"),
    (type(None), "null"),
)


def load_catalogue(path: Path | None) -> Catalogue:
    """Read and check a catalogue; None: the sample that is built in.

    Raises:
        CatalogueError: the file cannot be read, or its message lists every problem with its place.
    """
    if path is None:
        sample = resources.files("streams.rulesets").joinpath(SAMPLE).read_bytes()
        return parse_catalogue(sample, suffix=".toml", source="the built-in sample catalogue")
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise CatalogueError(f"{path}: cannot be read: {error.strerror}") from None
    return parse_catalogue(data, suffix=path.suffix, source=str(path))


def parse_catalogue(data: bytes, *, suffix: str, source: str) -> Catalogue:
    """Make a catalogue from a file's bytes.

    Args:
        data: the file's content, UTF-8.
        suffix: ``.toml`` or ``.json``.
        source: the file's name in messages.

    Raises:
        CatalogueError: with every problem and its place.
    """
    if len(data) > MAX_FILE_BYTES:
        raise CatalogueError(f"{source}: larger than {MAX_FILE_BYTES // 1024 // 1024} MiB: is this a catalogue?")
    content = _parse(data, suffix=suffix, source=source)
    catalogue = _validated(content, source)
    # This text is kept in Kafka and in evidence, and it must be readable again.
    if len(catalogue_json(catalogue).encode()) > MAX_FILE_BYTES:
        raise CatalogueError(
            f"{source}: larger than {MAX_FILE_BYTES // 1024 // 1024} MiB once its numbers are written out: split it"
        )
    return catalogue


def _validated(content: Any, source: str) -> Catalogue:
    try:
        return Catalogue.model_validate(content)
    except ValidationError as error:
        lines = [line for problem in error.errors(include_url=False) for line in _explain(problem)]
        problems = "1 problem" if len(lines) == 1 else f"{len(lines)} problems"
        raise CatalogueError(f"{source}: {problems}:\n  " + "\n  ".join(lines)) from None


def catalogue_json(catalogue: Catalogue) -> str:
    """The catalogue as one line of JSON that reads back with the same digest; defaults are left out."""
    return _json_text(catalogue.model_dump(exclude_defaults=True))


def catalogue_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a catalogue file, generated from the models."""
    schema = Catalogue.model_json_schema()
    about = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:factor-consolidator:catalogue:1",
        "title": "Processor catalogue",
        "description": "Which factors each processor yields, and how. See docs/catalogue.md.",
    }
    hint = {"type": "string", "description": "Where an editor finds this schema; ignored otherwise."}
    return {**schema, **about, "properties": {_SCHEMA_KEY: hint, **schema["properties"]}}


def _parse(data: bytes, *, suffix: str, source: str) -> Any:
    parsers = {".toml": _parse_toml, ".json": _parse_json}
    suffix = suffix.lower()
    if suffix not in parsers:
        raise CatalogueError(f"{source}: the name must end in .toml or .json, to say what is in it")
    try:
        # Some editors begin a file with a byte order mark, which means nothing in UTF-8.
        text = data.decode("utf-8-sig")
        require_plain_structure(text, suffix=suffix, source=source)
        content = parsers[suffix](text)
    except json.JSONDecodeError as error:
        raise CatalogueError(f"{source}: line {error.lineno}, column {error.colno}: {error.msg}") from None
    except tomllib.TOMLDecodeError as error:
        place = re.fullmatch(r"(.*) \(at (line \d+, column \d+|end of document)\)", str(error), re.DOTALL)
        message = f"{place[2]}: {place[1]}" if place else str(error)
        raise CatalogueError(f"{source}: {message}") from None
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise CatalogueError(f"{source}: line {line}: not UTF-8") from None
    except ValueError as error:
        # A duplicate key.
        raise CatalogueError(f"{source}: {error}") from None
    if isinstance(content, dict) and isinstance(content.get(_SCHEMA_KEY), str):
        del content[_SCHEMA_KEY]
    return content


def _parse_toml(text: str) -> dict[str, Any]:
    return tomllib.loads(text, parse_float=_decimal)


def _parse_json(text: str) -> Any:
    # NaN and the infinities become Decimals, too: the model refuses them, and its message names their place.
    return json.loads(text, parse_float=_decimal, parse_constant=_decimal, object_pairs_hook=_refuse_duplicate_keys)


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        # Decimal cannot hold the exponent. The model refuses this value, and its message names the place.
        return Decimal("NaN")


def _refuse_duplicate_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for key, value in pairs:
        if key in table:
            raise ValueError(f"the key {quote(key)} is there twice in one object")
        table[key] = value
    return table


_INVISIBLE: Final = "has white space at an end, or a character in it that cannot be seen"


def _explain(problem: ErrorDetails) -> list[str]:
    """One of pydantic's problems as lines of ``place: problem``."""
    loc = [str(part) for part in problem["loc"]]
    if problem["type"] == RULE_ERROR:
        return [f"{_place([*loc, sub])}: {reason}" for sub, reason in problem["ctx"]["problems"]]
    if loc and loc[-1] == "[key]":
        return [f"{_place(loc[:-1])}: the name {_reason(problem, loc)}"]
    return [f"{_place(loc)}: {_reason(problem, loc)}"]


def _reason(problem: ErrorDetails, loc: list[str]) -> str:
    kind, value = problem["type"], problem["input"]
    if kind == "enum":
        choices = [str(choice) for choice in _CHOICES[loc[-1]]]
        return f"{_shown(value)} is not one of {', '.join(choices)}{_did_you_mean(value, choices)}"
    if kind == "extra_forbidden":
        known = list(_MODELS[len(loc) - 1].model_fields)
        return f"unknown key{_did_you_mean(loc[-1], known) or '; known here: ' + ', '.join(known)}"
    if kind == "literal_error":
        return f"{_shown(value)} is not a version that this program reads: it reads {problem['ctx']['expected']}"
    if kind == "string_pattern_mismatch":
        pattern = problem["ctx"]["pattern"]
        return f"{_shown(value)} {_INVISIBLE if pattern == NAME_PATTERN else f'does not match {pattern}'}"
    if kind in _WANTED:
        return f"must be {_WANTED[kind]}, not {_kind_of(value)}{f': {_shown(value)}' if isinstance(value, str) else ''}"
    return _PLAIN.get(kind) or re.sub(r"^(Input|String) ", "", problem["msg"])


def _place(loc: Iterable[str]) -> str:
    """The dotted key as TOML writes it, with quotes where they are needed."""
    parts = [part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else quote(part) for part in loc]
    return ".".join(parts) or "the file"


def _shown(value: Any) -> str:
    # repr, because a terminal would execute control characters. The text is cut so that the choices fit beside it.
    if type(value) is int and value.bit_length() > _MAX_SHOWN_BITS:
        return "an immense number"
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= _MAX_SHOWN_CHARS else f"{text[:_MAX_SHOWN_CHARS]}…"


def _kind_of(value: Any) -> str:
    if isinstance(value, Decimal) and not value.is_finite():
        return "an infinite, undefined or immense one"
    return next((name for kind, name in _KINDS if isinstance(value, kind)), "a date or time")


def _did_you_mean(given: Any, known: list[str]) -> str:
    if not isinstance(given, str):
        return ""
    word = given.lower()
    near = [name for name in known if name == _SYNONYMS.get(word) or name.startswith(f"{word}_")]
    near = near or get_close_matches(word, known, n=1)
    return f"; did you mean '{near[0]}'?" if near else ""


def _json_text(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{quote(key)}:{_json_text(item)}" for key, item in value.items()) + "}"
    return scalar_text(value)
