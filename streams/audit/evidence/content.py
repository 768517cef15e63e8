"""The typed content of each file of evidence: to be written, and to be read from files that may be forged.

Content with wrong types, or that contradicts itself, is refused. Whether the content is true is checked by
:class:`~streams.audit.evidence.bundle.EvidenceCheck` and by the seal.
"""

import json
from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from operator import ge
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import Meta

from consolidator.keys import application_prefix, partition_of
from models.catalogue import Catalogue
from models.errors import ContractError
from streams.audit.evidence.bundle import Evidence, TopicNames
from streams.rulesets.catalogue_file import parse_catalogue
from topics.records.adoptions import Adoption, KnownRulesets
from topics.records.erasures import is_about_application
from topics.records.record import Record

__all__ = [
    "FORMAT",
    "Manifest",
    "decode_manifest",
    "decode_published",
    "decode_rulesets",
    "decode_source",
    "decoded_catalogue",
    "manifest_text",
    "records_text",
    "rulesets_text",
]

FORMAT: Final = "consolidator-evidence/1"

_MOST_ADOPTIONS: Final = 1_000
"""Each folds the log again; an installation has a few a year."""

_MAX_OFFSET: Final = 2**63 - 1
_MAX_TIMESTAMP_MS: Final = 253_402_300_799_999
"""The end of the year 9999."""

_Text = Annotated[str, Meta(min_length=1)]
_Count = Annotated[int, Meta(ge=0, le=_MAX_OFFSET)]
_Partition = Annotated[int, Meta(ge=0, lt=1_000_000)]
_Digest = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class _Ruleset(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: _Text
    digest: _Digest


class _Topics(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    executions: _Text
    factor_changes: _Text
    factors: _Text
    partitions: Annotated[int, Meta(ge=1, le=1_000_000)]


class _Counts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    executions: _Count
    factor_changes: _Count
    factors: _Count


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"first": "from", "end": "to"}):
    """``manifest.json``: the offsets of the evidence, and the result of its check."""

    format: str
    application_id: _Text
    topics: _Topics
    partition: _Partition
    first: _Count
    end: _Count
    max_event_bytes: Annotated[int, Meta(ge=1, le=_MAX_OFFSET)]
    ruleset: _Ruleset
    records: _Counts
    erased_events_left_out: _Count
    verification: dict[str, Any]

    def topic_names(self) -> TopicNames:
        """The topics that the records were read from."""
        topics = self.topics
        return TopicNames(topics.executions, topics.factor_changes, topics.factors, topics.partitions)


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    partition: _Partition
    offset: Annotated[int, Meta(ge=0, lt=_MAX_OFFSET)]
    timestamp_ms: Annotated[int, Meta(ge=-1, le=_MAX_TIMESTAMP_MS)]
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]


class _Adoption(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    partition: _Partition
    offset: Annotated[int, Meta(ge=0, lt=_MAX_OFFSET)]
    before: _Digest
    after: _Digest


class _Rulesets(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    catalogues: dict[_Digest, str]
    adoptions: Annotated[list[_Adoption], Meta(max_length=_MOST_ADOPTIONS)]


class _Format(msgspec.Struct, frozen=True):
    """The member that every format has."""

    format: str


_Type = TypeVar("_Type")


def decode_manifest(raw: bytes, source: str) -> Manifest:
    """Read ``manifest.json``.

    Raises:
        ContractError: it is of another format, or this program would not write it.
    """
    found = _decode(raw, _Format, source).format
    if found != FORMAT:
        raise ContractError(f"{source} is of the format {found!r}, not {FORMAT}")
    manifest = _decode(raw, Manifest, source)
    if not manifest.first <= manifest.end:
        raise ContractError(f"{source}: its range ends before it begins")
    if manifest.partition != partition_of(manifest.application_id, manifest.topics.partitions):
        raise ContractError(f"{source}: its application is not in partition {manifest.partition}")
    return manifest


def decoded_catalogue(raw: bytes, manifest: Manifest, source: str) -> Catalogue:
    """Read ``catalogue.json``: the ruleset that the manifest names.

    Raises:
        ContractError: it is another ruleset, or cannot be read as one; a subclass lists the problems.
    """
    catalogue = parse_catalogue(raw, suffix=".json", source=source)
    if (catalogue.ruleset.name, catalogue.digest) != (manifest.ruleset.name, manifest.ruleset.digest):
        raise ContractError(f"{source}: the catalogue's digest or name is not that of the manifest's ruleset")
    return catalogue


def decode_rulesets(raw: bytes, manifest: Manifest, source: str) -> KnownRulesets:
    """Read ``rulesets.json``: the adoptions of the partition, in order, and their catalogues.

    Raises:
        ContractError: adoptions, catalogues and manifest do not fit together.
    """
    found = _decode(raw, _Rulesets, source)
    for digest, text in found.catalogues.items():
        if parse_catalogue(text.encode(), suffix=".json", source=f"{source}, {digest}").digest != digest:
            raise ContractError(f"{source}: a catalogue does not have its digest {digest}")
    named = {digest for one in found.adoptions for digest in (one.before, one.after)}
    if named != {*found.catalogues}:
        raise ContractError(f"{source}: the catalogues are not those that the adoptions name")
    offsets = [one.offset for one in found.adoptions]
    if any(one.partition != manifest.partition for one in found.adoptions) or offsets != sorted(set(offsets)):
        raise ContractError(f"{source}: adoptions of another partition than {manifest.partition}, or out of order")
    adoptions = tuple(Adoption(one.partition, one.offset, one.before, one.after) for one in found.adoptions)
    catalogues = {digest: text.encode() for digest, text in found.catalogues.items()}
    return KnownRulesets(catalogues, {manifest.partition: adoptions} if adoptions else {})


def decode_source(raw: bytes, manifest: Manifest, source: str) -> list[Record]:
    """Read ``executions.jsonl``: records about the application, in the range of the manifest.

    Raises:
        ContractError: a record is not the application's, or the manifest gives another number of records.
    """
    records = _records(raw, manifest.topics.executions, manifest.records.executions, manifest.partition, source)
    for record in records:
        if not is_about_application(record, manifest.application_id):
            raise ContractError(f"{source}: offset {record.offset} is not about the application")
        if not manifest.first <= record.offset < manifest.end:
            raise ContractError(f"{source}: offset {record.offset} is out of the manifest's range")
    return records


def decode_published(raw: bytes, manifest: Manifest, topic: str, count: int, source: str) -> list[Record]:
    """Read ``factor-changes.jsonl`` or ``factors.jsonl``: records under the application's keys.

    Raises:
        ContractError: a record is not the application's, or the manifest gives another number of records.
    """
    records = _records(raw, topic, count, manifest.partition, source)
    prefix = application_prefix(manifest.application_id)
    for record in records:
        if not (record.key or b"").startswith(prefix):
            raise ContractError(f"{source}: offset {record.offset} is not about the application")
    return records


def _records(raw: bytes, topic: str, count: int, partition: int, source: str) -> list[Record]:
    lines = raw.split(b"\n")
    if lines.pop() or len(lines) != count:
        raise ContractError(f"{source} does not have the {count} lines that the manifest names")
    records = [_record(_decode(line, _Line, f"{source}, line {number}"), topic) for number, line in enumerate(lines, 1)]
    offsets = [record.offset for record in records]
    if any(record.partition != partition for record in records) or any(map(ge, offsets, offsets[1:])):
        raise ContractError(f"{source}: a record is of another partition than {partition}, or they are out of order")
    return records


def _decode(raw: bytes, kind: type[_Type], source: str) -> _Type:
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ContractError(f"{source} cannot be read as evidence: {error}") from None


def _record(line: _Line, topic: str) -> Record:
    return Record(topic, line.partition, line.offset, line.timestamp_ms, line.key, line.value, tuple(line.headers))


def manifest_text(evidence: Evidence, report: Mapping[str, object]) -> str:
    """``manifest.json``."""
    members = {
        "format": FORMAT,
        "application_id": evidence.application_id,
        "topics": {
            "executions": evidence.topics.executions,
            "factor_changes": evidence.topics.factor_changes,
            "factors": evidence.topics.factors,
            "partitions": evidence.topics.partitions,
        },
        "partition": evidence.partition,
        "from": evidence.first,
        "to": evidence.end,
        "max_event_bytes": evidence.max_event_bytes,
        "ruleset": evidence.catalogue.ruleset.model_dump(),
        "records": {
            "executions": len(evidence.executions),
            "factor_changes": len(evidence.changes),
            "factors": len(evidence.factors),
        },
        "erased_events_left_out": evidence.left_out,
        "verification": report,
    }
    return json.dumps(members, ensure_ascii=False, indent=2) + "\n"


def rulesets_text(known: KnownRulesets) -> str:
    """``rulesets.json``."""
    members = {
        "catalogues": {digest: raw.decode() for digest, raw in known.catalogues.items()},
        "adoptions": [asdict(one) for adoptions in known.adoptions.values() for one in adoptions],
    }
    return json.dumps(members, ensure_ascii=False, indent=2) + "\n"


def records_text(records: Iterable[Record]) -> str:
    """A file of records."""
    return "".join(json.dumps(_members(record)) + "\n" for record in records)


def _members(record: Record) -> dict[str, Any]:
    return {
        "partition": record.partition,
        "offset": record.offset,
        "timestamp_ms": record.timestamp_ms,
        "key": _text(record.key),
        "value": _text(record.value),
        "headers": [[name, _text(value)] for name, value in record.headers],
    }


def _text(data: bytes | None) -> str | None:
    return None if data is None else b64encode(data).decode()
