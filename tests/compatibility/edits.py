"""Edits of a schema, each with its expected verdict in both roles: rule and place, or None where it is allowed."""

from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final

GONE: Final = object()
"""Instead of a value: the part is taken out."""

BASE: Final[dict[str, Any]] = {
    "$defs": {
        "Place": {
            "type": "object",
            "properties": {"partition": {"type": "integer", "minimum": 0}, "offset": {"type": "integer", "minimum": 0}},
            "required": ["partition", "offset"],
        },
        "Word": {"enum": ["open", "shut"], "type": "string"},
    },
    "type": "object",
    "properties": {
        "id": {"type": "string", "minLength": 2, "maxLength": 64},
        "version": {"const": 1, "type": "integer"},
        "word": {"$ref": "#/$defs/Word"},
        "count": {"type": "integer", "minimum": 0, "maximum": 1000},
        "amount": {"type": "number"},
        "at": {"type": "string", "format": "date-time"},
        "code": {"type": "string", "pattern": "^[a-z]+$"},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 3},
        "place": {"$ref": "#/$defs/Place"},
        "places": {"type": "array", "items": {"$ref": "#/$defs/Place"}},
        "factors": {"type": "object", "additionalProperties": {"type": ["boolean", "number", "string"]}},
    },
    "required": ["id", "version", "word", "place"],
}
_ID, _COUNT, _TAGS, _FACTORS = "/properties/id", "/properties/count", "/properties/tags", "/properties/factors"
_REQUIRED = BASE["required"]
_PLACE = BASE["$defs"]["Place"]
_STRING, _NULL = {"type": "string"}, {"type": "null"}

Expected = tuple[str, str] | None


@dataclass(frozen=True)
class Edit:
    """One edit.

    Attributes:
        name: what is done.
        changes: parts by their JSON pointer, and what they become.
        publisher: what is wrong where the edited schema is written, and the one before it read.
        consumer: what is wrong where the schema before the edit is written, and the edited one read.
    """

    name: str
    changes: dict[str, Any]
    publisher: Expected
    consumer: Expected

    def schema(self) -> dict[str, Any]:
        """The edited schema."""
        found = deepcopy(BASE)
        for pointer, value in self.changes.items():
            *path, last = pointer.split("/")[1:]
            part: Any = found
            for name in path:
                part = part[name]
            if value is GONE:
                del part[last]
            else:
                part[last] = deepcopy(value)
        return found


EDITS: Final = [
    # Words for people.
    Edit("a title", {"/title": "Record"}, None, None),
    Edit("a description of a member", {f"{_COUNT}/description": "How many."}, None, None),
    Edit("a default", {f"{_COUNT}/default": 0}, None, None),
    Edit("examples", {f"{_COUNT}/examples": [1]}, None, None),
    Edit("an identifier", {"/$id": "urn:example:2"}, None, None),
    Edit("nothing but the order of members", {"/properties": dict(reversed(BASE["properties"].items()))}, None, None),
    # Members.
    Edit("an optional member added", {"/properties/extra": _STRING}, None, None),
    Edit(
        "a required member added",
        {"/properties/extra": _STRING, "/required": [*_REQUIRED, "extra"]},
        None,
        ("required", "/extra"),
    ),
    Edit("an optional member removed", {"/properties/count": GONE}, None, None),
    Edit(
        "a required member removed",
        {"/properties/word": GONE, "/required": ["id", "version", "place"]},
        ("required", "/word"),
        None,
    ),
    Edit("an optional member made required", {"/required": [*_REQUIRED, "count"]}, None, ("required", "/count")),
    Edit("a required member made optional", {"/required": ["id", "version", "place"]}, ("required", "/word"), None),
    Edit(
        "a required member renamed",
        {
            "/properties/word": GONE,
            "/properties/state": {"$ref": "#/$defs/Word"},
            "/required": ["id", "version", "state", "place"],
        },
        ("required", "/word"),
        ("required", "/state"),
    ),
    Edit("an optional member forbidden", {"/properties/count": False}, None, ("additionalProperties", "/count")),
    Edit("the record closed", {"/additionalProperties": False}, None, None),
    Edit(
        "the record closed, without a member that it had",
        {"/additionalProperties": False, "/properties/count": GONE},
        None,
        ("additionalProperties", "/count"),
    ),
    Edit("a member that may be anything", {"/properties/count": {}}, ("type", "/count"), None),
    # Types.
    Edit("integer to number", {f"{_COUNT}/type": "number"}, ("type", "/count"), None),
    Edit("number to integer", {"/properties/amount/type": "integer"}, None, ("type", "/amount")),
    Edit("number to string", {"/properties/amount/type": "string"}, ("type", "/amount"), ("type", "/amount")),
    Edit("string to number", {_ID: {"type": "number"}}, ("type", "/id"), ("type", "/id")),
    Edit("a type more", {"/properties/amount/type": ["number", "string"]}, ("type", "/amount"), None),
    Edit("string made nullable", {f"{_ID}/type": ["string", "null"]}, ("type", "/id"), None),
    Edit("nullable no more", {"/properties/note": _STRING}, None, ("type", "/note")),
    Edit("nullable written as a list of types", {"/properties/note": {"type": ["string", "null"]}}, None, None),
    Edit("an object in place of a text", {_ID: {"type": "object"}}, ("type", "/id"), ("type", "/id")),
    Edit("one in place of a list", {"/properties/tags": _STRING}, ("type", "/tags"), ("type", "/tags")),
    Edit(
        "a boolean in place of a number",
        {"/properties/amount": {"type": "boolean"}},
        ("type", "/amount"),
        ("type", "/amount"),
    ),
    # Values.
    Edit("a value more in an enumeration", {"/$defs/Word/enum": ["open", "shut", "ajar"]}, ("enum", "/word"), None),
    Edit("a value less in an enumeration", {"/$defs/Word/enum": ["open"]}, None, ("enum", "/word")),
    Edit("an enumeration in another order", {"/$defs/Word/enum": ["shut", "open"]}, None, None),
    Edit(
        "a value of an enumeration renamed",
        {"/$defs/Word/enum": ["open", "closed"]},
        ("enum", "/word"),
        ("enum", "/word"),
    ),
    Edit("an enumeration to any text", {"/$defs/Word": _STRING}, ("enum", "/word"), None),
    Edit("any text to an enumeration", {_ID: {"enum": ["aa", "bb"]}}, None, ("enum", "/id")),
    Edit("another constant", {"/properties/version/const": 2}, ("enum", "/version"), ("enum", "/version")),
    Edit("a constant to an enumeration", {"/properties/version": {"enum": [1, 2]}}, ("enum", "/version"), None),
    Edit("a constant to its type", {"/properties/version": {"type": "integer"}}, ("enum", "/version"), None),
    # Bounds.
    Edit("a lower bound raised", {f"{_COUNT}/minimum": 1}, None, ("minimum", "/count")),
    Edit("a lower bound lowered", {f"{_COUNT}/minimum": -1}, ("minimum", "/count"), None),
    Edit("a lower bound that is excluded", {f"{_COUNT}/minimum": GONE, f"{_COUNT}/exclusiveMinimum": -1}, None, None),
    Edit("an upper bound raised", {f"{_COUNT}/maximum": 1001}, ("maximum", "/count"), None),
    Edit("an upper bound lowered", {f"{_COUNT}/maximum": 999}, None, ("maximum", "/count")),
    Edit("an upper bound taken away", {f"{_COUNT}/maximum": GONE}, ("maximum", "/count"), None),
    Edit("a bound where there was none", {"/properties/amount/minimum": 0}, None, ("minimum", "/amount")),
    Edit("multiples only", {f"{_COUNT}/multipleOf": 5}, None, ("multipleOf", "/count")),
    # Texts.
    Edit("a shorter text allowed", {f"{_ID}/minLength": 1}, ("minLength", "/id"), None),
    Edit("a longer text required", {f"{_ID}/minLength": 3}, None, ("minLength", "/id")),
    Edit("a longer text allowed", {f"{_ID}/maxLength": 65}, ("maxLength", "/id"), None),
    Edit("a shorter text required", {f"{_ID}/maxLength": 63}, None, ("maxLength", "/id")),
    Edit("a pattern added", {f"{_ID}/pattern": "^[a-z]+$"}, None, ("pattern", "/id")),
    Edit("a pattern taken away", {"/properties/code/pattern": GONE}, ("pattern", "/code"), None),
    Edit(
        "a pattern beside the one before", {"/properties/code/allOf": [{"pattern": "^a"}]}, None, ("pattern", "/code")
    ),
    Edit("a wider pattern", {"/properties/code/pattern": "^[a-z0-9]+$"}, ("pattern", "/code"), ("undecided", "/code")),
    Edit("a format added", {f"{_ID}/format": "date-time"}, None, ("format", "/id")),
    Edit("a format taken away", {"/properties/at/format": GONE}, ("format", "/at"), None),
    # Arrays.
    Edit("items of another type", {f"{_TAGS}/items": {"type": "integer"}}, ("type", "/tags/0"), ("type", "/tags/0")),
    Edit("items of a type more", {f"{_TAGS}/items": {"type": ["string", "null"]}}, ("type", "/tags/0"), None),
    Edit("more items allowed", {f"{_TAGS}/maxItems": 4}, ("maxItems", "/tags"), None),
    Edit("fewer items allowed", {f"{_TAGS}/maxItems": 2}, None, ("maxItems", "/tags")),
    Edit("an item required", {f"{_TAGS}/minItems": 1}, None, ("minItems", "/tags")),
    Edit("no item twice", {f"{_TAGS}/uniqueItems": True}, None, ("uniqueItems", "/tags")),
    # Nested, by reference, and by choice.
    Edit("a nested bound lowered", {"/$defs/Place/properties/offset/minimum": -1}, ("minimum", "/place/offset"), None),
    Edit(
        "a nested member made optional", {"/$defs/Place/required": ["partition"]}, ("required", "/place/offset"), None
    ),
    Edit("a nested member added", {"/$defs/Place/properties/epoch": {"type": "integer"}}, None, None),
    Edit(
        "a definition renamed",
        {
            "/$defs/Place": GONE,
            "/$defs/Position": _PLACE,
            "/properties/place/$ref": "#/$defs/Position",
            "/properties/places/items/$ref": "#/$defs/Position",
        },
        None,
        None,
    ),
    Edit("a definition written in its place", {"/properties/place": _PLACE}, None, None),
    Edit("a reference within allOf", {"/properties/place": {"allOf": [{"$ref": "#/$defs/Place"}]}}, None, None),
    Edit("a choice more", {"/properties/note/anyOf": [_STRING, _NULL, {"type": "integer"}]}, ("type", "/note"), None),
    Edit("a choice less", {"/properties/note/anyOf": [_NULL]}, None, ("type", "/note")),
    Edit("choices in another order", {"/properties/note/anyOf": [_NULL, _STRING]}, None, None),
    Edit("oneOf for anyOf, of what is apart", {"/properties/note": {"oneOf": [_STRING, _NULL]}}, None, None),
    # Maps.
    Edit(
        "a map's values may be null",
        {f"{_FACTORS}/additionalProperties/type": ["boolean", "number", "string", "null"]},
        ("type", "/factors/another_member"),
        None,
    ),
    Edit(
        "a map's values are no longer texts",
        {f"{_FACTORS}/additionalProperties/type": ["boolean", "number"]},
        None,
        ("type", "/factors/another_member"),
    ),
    Edit(
        "a map's names have a bound",
        {f"{_FACTORS}/propertyNames": {"maxLength": 8}},
        None,
        ("propertyNames", "/factors"),
    ),
    Edit("a map has a bound", {f"{_FACTORS}/maxProperties": 2}, None, ("maxProperties", "/factors")),
    Edit("a map is never empty", {f"{_FACTORS}/minProperties": 1}, None, ("minProperties", "/factors")),
    # What the rules do not know is not taken for granted.
    Edit("a condition", {"/properties/amount/not": {"const": 0}}, None, ("keyword", "/amount")),
]
