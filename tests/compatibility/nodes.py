"""JSON Schemas as nodes: a schema beside the document in which its references are looked up."""

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from jsonschema import Draft202012Validator, FormatChecker

FORMATS = FormatChecker()
"""The formats that are checked; jsonschema ignores the others, and so do the rules."""

ANNOTATIONS = frozenset(
    {"$comment", "$defs", "$id", "$schema", "default", "deprecated", "description", "examples", "readOnly", "title"}
    | {"writeOnly"}
)
"""Keywords that refuse no value."""

JUDGED = frozenset(
    {"$ref", "additionalProperties", "allOf", "anyOf", "const", "enum", "exclusiveMaximum", "exclusiveMinimum"}
    | {"format", "items", "maxItems", "maxLength", "maxProperties", "maximum", "minItems", "minLength"}
    | {"minProperties", "minimum", "multipleOf", "oneOf", "pattern", "prefixItems", "properties", "propertyNames"}
    | {"required", "type", "uniqueItems"}
)
"""Keywords that the rules understand."""

_DEEPEST = 24
"""References within references; a schema that refers to itself is deeper than any."""


class TooDeepError(Exception):
    """A schema refers to itself, or is nested deeper than the rules follow."""


class Node(NamedTuple):
    """A schema, and the document that it is part of."""

    schema: Any
    document: Any

    def sub(self, schema: Any) -> "Node":
        """Another schema of the same document."""
        return Node(schema, self.document)

    def target(self) -> "Node":
        """The schema that ``$ref`` names.

        Raises:
            KeyError: there is none, or it is in another document.
        """
        found = self.document
        for part in self.schema["$ref"].removeprefix("#").split("/")[1:]:
            found = found[part.replace("~1", "/").replace("~0", "~")]
        return Node(found, self.document)


Conjunction = tuple[Node, ...]
"""Schemas that all hold for a value."""

_validators: dict[tuple[int, int], tuple[Node, Draft202012Validator]] = {}


def is_valid(value: Any, *nodes: Node) -> bool:
    """Whether every one of the schemas accepts a value, as the library ``jsonschema`` judges it."""
    return all(_validator(node).is_valid(value) for node in nodes)


def _validator(node: Node) -> Draft202012Validator:
    known = _validators.get((id(node.schema), id(node.document)))
    if known is None or known[0].schema is not node.schema:
        schema = node.schema
        if isinstance(schema, dict) and node.document is not schema:
            # References begin at the document's root, so its definitions are put beside the part.
            schema = {key: part for key, part in schema.items() if key not in {"$id", "$schema"}}
            schema["$defs"] = node.document.get("$defs", {}) if isinstance(node.document, dict) else {}
        known = (node, Draft202012Validator(schema, format_checker=FORMATS))
        _validators[id(node.schema), id(node.document)] = known
    return known[1]


def meaning(node: Node) -> str:
    """A text that is the same only for schemas that accept the same values.

    Raises:
        TooDeepError: the schema refers to itself.
    """
    return json.dumps(_plain(node), sort_keys=True)


def _plain(node: Node, depth: int = 0) -> Any:
    """A schema with its references written out and without annotations."""
    if depth > _DEEPEST:
        raise TooDeepError
    schema = node.schema
    if not isinstance(schema, dict):
        return schema
    written = dict(_written(node, depth))
    if "$ref" not in schema:
        return written
    target = _plain(node.target(), depth + 1)
    return {"allOf": [target, written]} if written else target


def _written(node: Node, depth: int) -> Iterator[tuple[str, Any]]:
    for key, part in sorted(node.schema.items()):
        if key in ANNOTATIONS or key == "$ref":
            continue
        if key == "properties":
            yield key, {name: _plain(node.sub(one), depth + 1) for name, one in sorted(part.items())}
        elif key in {"items", "additionalProperties", "propertyNames"}:
            yield key, _plain(node.sub(part), depth + 1)
        elif key in {"anyOf", "allOf", "oneOf", "prefixItems"}:
            yield key, [_plain(node.sub(one), depth + 1) for one in part]
        elif key in {"required", "enum"}:
            yield key, sorted(part, key=repr)
        elif key not in JUDGED and "$ref" in repr(part):
            # What is behind a reference is not looked at, so two of them cannot be called equal.
            yield key, [id(node.document), part]
        else:
            yield key, part


@lru_cache(maxsize=1)
def checked_formats() -> frozenset[str]:
    """The names of formats that jsonschema checks here."""
    return frozenset(FORMATS.checkers)
