"""The JSON Schemas of the topics' records: ``python -m topics.contract.schemas topics/schemas`` writes them.

The client's types (:mod:`consolidator.records`) describe the published records. A pydantic model
(:mod:`models.event_contract`) describes producers' events, because it can express more than types. A contract test
compares the committed files with :func:`published_schemas`, so a type cannot change unnoticed.
"""

import json
import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import msgspec

from consolidator.records import CurrentFactors, FactorChange
from models.catalogue import ProcessorType
from models.event_contract import LifecycleEventContract
from models.outcomes import Outcome
from models.quality import Issue

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_WORDS: Final[tuple[type[StrEnum], ...]] = (Issue, Outcome, ProcessorType)
"""The enumerations that the published types refer to; they are defined with the rules, and not in the client."""
_REFERENCE: Final = "#/$defs/"
_PUBLISHED_NAMES: Final[Mapping[str, str]] = {
    "ChangeCause": "Cause",
    "FactorDifference": "Changed",
    "FailedExecution": "Failure",
    "QualityNote": "Quality",
    "Ruleset": "RulesetRef",
    "SourcePlace": "Version",
}
"""The published names of types, where they differ from the types' names, since the first version of the schemas."""
_CAUSE_ORDER: Final = (
    "execution_id",
    "status",
    "attempt",
    "event_id",
    "ruleset",
    "topic",
    "partition",
    "offset",
)
"""The order of a cause's members in published records; the type has to list required members first."""


def published_schemas() -> dict[str, str]:
    """The text of each schema (draft 2020-12), by file name."""
    event = LifecycleEventContract.model_json_schema()
    return {
        "factor-change.schema.json": _text("factor-change", "Factor change", _published(FactorChange)),
        "factors.schema.json": _text("factors", "Current factors", _published(CurrentFactors)),
        "lifecycle-event.schema.json": _text("lifecycle-event", "Execution lifecycle event", event),
    }


def _text(name: str, title: str, schema: Mapping[str, Any]) -> str:
    about: dict[str, Any] = {"$schema": _DIALECT, "$id": f"urn:factor-consolidator:{name}:1", "title": title}
    return json.dumps(about | {**schema, "title": title}, ensure_ascii=False, indent=2) + "\n"


def _published(struct: type[CurrentFactors]) -> dict[str, Any]:
    """The schema of a published record, spelled as pydantic spelled its first version."""
    _, found = msgspec.json.schema_components([struct])
    record = _object(found.pop(struct.__name__))
    parts = {_name(name): _object(part) | {"title": _name(name)} for name, part in found.items()}
    words = {word.__name__: _enumeration(word) for word in _WORDS}
    named = json.dumps([record, parts])
    parts |= {name: word for name, word in words.items() if f'"{_REFERENCE}{name}"' in named}
    return {"$defs": {name: _sorted(part) for name, part in sorted(parts.items())}} | _sorted(record)


def _object(schema: Mapping[str, Any]) -> dict[str, Any]:
    listed = schema["properties"]
    names = _CAUSE_ORDER if set(_CAUSE_ORDER) == set(listed) else listed
    members = {name: _sorted(_member(name, listed[name])) for name in names}
    # Descriptions of attributes are left out here, because the attributes have them.
    return {**schema, "description": schema["description"].partition("\n\n")[0], "properties": members}


def _member(name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a member. A member with a default is omitted from records, and never null."""
    member: dict[str, Any] = _referring(schema)
    if "default" in member:
        del member["default"]
        [given] = [choice for choice in member.pop("anyOf") if choice != {"type": "null"}]
        member = given | member
    if not {"$ref", "anyOf"} & set(member):
        member["title"] = name.replace("_", " ").title()
    return member


def _referring(schema: Any) -> Any:
    """A schema with the published names of types. A reference has no members besides the name."""
    if isinstance(schema, list):
        return [_referring(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {name: _referring(part) for name, part in schema.items()}
    if "$ref" in schema:
        schema.pop("type", None)
        schema["$ref"] = _REFERENCE + _name(schema["$ref"].removeprefix(_REFERENCE))
    return schema


def _enumeration(words: type[StrEnum]) -> dict[str, Any]:
    return {"description": words.__doc__, "enum": [*words], "title": words.__name__, "type": "string"}


def _name(type_name: str) -> str:
    return _PUBLISHED_NAMES.get(type_name, type_name)


def _sorted(schema: Mapping[str, Any]) -> dict[str, Any]:
    return dict(sorted(schema.items()))


if __name__ == "__main__":
    for file_name, text in published_schemas().items():
        (Path(sys.argv[1]) / file_name).write_text(text, encoding="utf-8")
