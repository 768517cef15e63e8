"""The JSON Schemas of the topics' records: ``python -m topics.contract.schemas topics/schemas`` writes them.

There are two for each published record. ``*.accepted.json`` is for those who read it: members that it does not name are
allowed, because a later version may add some. ``*.produced.json`` is what this version writes: no other member, and the
forms that it gives to times and differences. Events are read here, so they have only the first.

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
PUBLISHED: Final = ("factor-change", "factors")
"""The records that this program writes and others read."""
_WRITTEN_TIME: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z$"
_BRANCHES: Final[Mapping[str, list[dict[str, Any]]]] = {
    "Changed": [
        {"properties": {"op": {"const": "set"}, "before": False}, "required": ["after"]},
        {"properties": {"op": {"const": "updated"}}, "required": ["before", "after"]},
        {"properties": {"op": {"const": "cleared"}, "after": False}, "required": ["before"]},
    ],
    "Cause": [
        {
            "properties": {"status": {"const": "ruleset"}, "execution_id": False, "event_id": False, "attempt": False},
            "required": ["ruleset"],
        },
        {
            "properties": {"status": {"not": {"const": "ruleset"}}, "ruleset": False},
            "required": ["execution_id", "event_id"],
        },
    ],
}
"""Which members are there together, by type: what has no value is left out."""


def published_schemas() -> dict[str, str]:
    """The text of each schema (draft 2020-12), by file name."""
    found = {f"{name}.accepted.json": schema for name, schema in accepted_schemas().items()}
    for name in PUBLISHED:
        found[f"{name}.produced.json"] = produced(found[f"{name}.accepted.json"])
    return {file: json.dumps(schema, ensure_ascii=False, indent=2) + "\n" for file, schema in found.items()}


def accepted_schemas() -> dict[str, dict[str, Any]]:
    """The schemas for those who read, by the record's name."""
    return {
        "factor-change": _about("factor-change", "Factor change", _published(FactorChange)),
        "factors": _about("factors", "Current factors", _published(CurrentFactors)),
        "lifecycle-event": _about(
            "lifecycle-event", "Execution lifecycle event", LifecycleEventContract.model_json_schema()
        ),
    }


def produced(accepted: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of what is written, from the one of what has to be accepted.

    Args:
        accepted: of a published record.
    """
    schema: dict[str, Any] = closed(accepted)
    schema["$id"] += ":produced"
    schema["title"] += ", as written"
    schema["properties"] |= {
        "outcome": {"enum": [one for one in Outcome if one is not Outcome.NOT_ATTEMPTED], "type": "string"},
        "occurred_at": schema["properties"]["occurred_at"] | {"pattern": _WRITTEN_TIME},
    }
    for name, branches in _BRANCHES.items():
        if name in schema["$defs"]:
            schema["$defs"][name]["oneOf"] = branches
    return schema


def closed(schema: Any) -> Any:
    """The same schema, in which objects have no members but those that are named."""
    if not isinstance(schema, Mapping):
        return schema
    found = {key: _closed(key, part) for key, part in schema.items()}
    if schema.get("type") == "object" and "properties" in schema:
        found.setdefault("additionalProperties", False)
    return found


def _closed(keyword: str, part: Any) -> Any:
    if keyword in {"$defs", "properties"}:
        return {name: closed(one) for name, one in part.items()}
    if keyword in {"allOf", "anyOf", "oneOf", "prefixItems"}:
        return [closed(one) for one in part]
    return closed(part) if keyword in {"additionalProperties", "items"} else part


def _about(name: str, title: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    about: dict[str, Any] = {"$schema": _DIALECT, "$id": f"urn:factor-consolidator:{name}:1", "title": title}
    return about | {**schema, "title": title}


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
