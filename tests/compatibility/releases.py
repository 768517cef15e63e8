"""The schemas of this tree, judged by role against those of every released version.

==========  =========================================  ================================================
role        who writes                                 who reads
==========  =========================================  ================================================
publisher   this version: ``*.produced.json``          a subscriber of then: ``*.accepted.json`` of then
subscriber  a worker of then: ``*.produced.json``      this version: ``*.accepted.json``
consumer    a producer of then: ``*.accepted.json``,   this version: ``*.accepted.json``
            without members that it does not name
file        a catalogue of then                        this version: ``catalogue.schema.json``
==========  =========================================  ================================================

The second line is about what is in the topics: records of every version stay for years, and are read by this one.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.compatibility.verdicts import UNDECIDED, Finding, findings
from topics.contract.schemas import closed

CATALOGUE: Final = "catalogue.schema.json"
_ACCEPTED: Final = ".accepted.json"
_PRODUCED: Final = ".produced.json"

Schemas = Mapping[str, Any]
"""Schemas by file name."""

_SENTENCES: Final = {
    "type": "a value of a type that the reader does not accept",
    "enum": "a value that the reader does not know",
    "required": "it may be missing, and the reader requires it",
    "additionalProperties": "a member that the reader forbids",
    "propertyNames": "a member whose name the reader does not accept",
    "anyOf": "what fits none of the reader's choices",
    "minimum": "a number below the reader's bound",
    "maximum": "a number above the reader's bound",
    "multipleOf": "a number that is no multiple of the reader's",
    "minLength": "a text shorter than the reader's bound",
    "maxLength": "a text longer than the reader's bound",
    "pattern": "a text that does not fit the reader's pattern",
    "format": "a text that is not of the reader's format",
    "minItems": "fewer items than the reader requires",
    "maxItems": "more items than the reader allows",
    "items": "an item where the reader allows none",
    "uniqueItems": "an item twice, which the reader forbids",
    "minProperties": "fewer members than the reader requires",
    "maxProperties": "more members than the reader allows",
    "keyword": "what a keyword of the reader refuses that the rules do not know",
    "removed": "the file is gone, and readers refer to it",
}


@dataclass(frozen=True)
class Break:
    """One break of the contract.

    Attributes:
        role: in which this version breaks it.
        file: of this version's schema.
        version: the released version that it is not compatible with.
        finding: the rule, the place and the example.
    """

    role: str
    file: str
    version: str
    finding: Finding

    def __str__(self) -> str:
        at = self.finding.pointer or "the record itself"
        head = f"{self.file}, as {self.role}, breaks {self.version}: {self.finding.rule} at {at}"
        if self.finding.rule == UNDECIDED:
            return f"{head}: neither a proof nor an example was found; the rule in doubt is {self.finding.doubt}"
        example = json.dumps(self.finding.example, ensure_ascii=False)
        return f"{head}: {_SENTENCES[self.finding.rule]}\n    example: {example}"


def read(folder: Path) -> dict[str, Any]:
    """The schemas of a folder, by file name."""
    return {file.name: json.loads(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.json"))}


def released(folder: Path) -> dict[str, dict[str, Any]]:
    """The schemas of each released version, by its name."""
    return {version.name: read(version) for version in sorted((folder / "released").iterdir())}


def breaks(current: Schemas, versions: Mapping[str, Schemas]) -> list[Break]:
    """Everything in which this version's schemas break what released versions promised.

    Args:
        current: this version's.
        versions: every released version's, by its name.
    """
    found = [*_with_itself(current)]
    for version, then in versions.items():
        found += _with(current, version, then)
    return found


def _with_itself(current: Schemas) -> Iterator[Break]:
    for file, schema in current.items():
        if file.endswith(_PRODUCED):
            accepted = current[file.removesuffix(_PRODUCED) + _ACCEPTED]
            yield from _judged("publisher", file, "this version", schema, accepted)


def _with(current: Schemas, version: str, then: Schemas) -> Iterator[Break]:
    for file, old in then.items():
        if file not in current:
            if file.endswith((_ACCEPTED, _PRODUCED)) or file == CATALOGUE:
                yield Break("publisher", file, version, Finding("removed", ""))
        elif file == CATALOGUE:
            yield from _judged("file", file, version, old, current[file])
        elif file.endswith(_ACCEPTED):
            produced = file.removesuffix(_ACCEPTED) + _PRODUCED
            if produced in current:
                yield from _judged("publisher", produced, version, current[produced], old)
            else:
                yield from _judged("consumer", file, version, closed(old), current[file])
        elif file.endswith(_PRODUCED):
            accepted = file.removesuffix(_PRODUCED) + _ACCEPTED
            yield from _judged("subscriber", accepted, version, old, current[accepted])


def _judged(role: str, file: str, version: str, writer: Any, reader: Any) -> Iterator[Break]:
    for finding in findings(writer, reader):
        yield Break(role, file, version, finding)
