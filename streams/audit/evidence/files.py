"""Evidence as a directory of files, and back. The same evidence always gives the same bytes.

``executions.jsonl``, ``factor-changes.jsonl`` and ``factors.jsonl`` have a record a line, its key, value and headers in
base 64, so that every byte is kept; ``catalogue.json`` has the rules, ``rulesets.json`` those that were adopted on the
way, as text; ``manifest.json`` where all of it stood and what its check gave; ``SHA256SUMS`` the digest of each, as
``sha256sum --check`` reads it. The digest of ``SHA256SUMS`` is the *seal*.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from models.errors import ContractError, InfrastructureError
from streams.audit.evidence.bundle import Evidence, TopicNames
from streams.rulesets.catalogue_file import catalogue_json, parse_catalogue
from topics.records.adoptions import Adoption, KnownRulesets
from topics.records.record import Record

__all__ = ["check_files", "read_evidence", "seal_of", "write_evidence"]

FORMAT: Final = "consolidator-evidence/1"

_MANIFEST: Final = "manifest.json"
_CATALOGUE: Final = "catalogue.json"
_RULESETS: Final = "rulesets.json"
_EXECUTIONS: Final = "executions.jsonl"
_CHANGES: Final = "factor-changes.jsonl"
_FACTORS: Final = "factors.jsonl"
_SUMS: Final = "SHA256SUMS"
_FILES: Final = (_CATALOGUE, _EXECUTIONS, _CHANGES, _FACTORS, _MANIFEST, _RULESETS)

_OWNER_ONLY: Final = 0o700
"""What is in it is as confidential as the topics."""


def write_evidence(directory: Path, evidence: Evidence, report: Mapping[str, object]) -> str:
    """Write evidence into a new or empty directory, the sums last.

    Args:
        directory: where to.
        evidence: what to write.
        report: what its check gave.

    Returns:
        The seal.

    Raises:
        ContractError: there is something in the directory already.
        InfrastructureError: it cannot be written.
    """
    contents = {
        _CATALOGUE: catalogue_json(evidence.catalogue) + "\n",
        _RULESETS: json.dumps(_rulesets(evidence.rulesets), ensure_ascii=False, indent=2) + "\n",
        _EXECUTIONS: _lines(evidence.executions),
        _CHANGES: _lines(evidence.changes),
        _FACTORS: _lines(evidence.factors),
        _MANIFEST: json.dumps(_manifest(evidence, report), ensure_ascii=False, indent=2) + "\n",
    }
    try:
        directory.mkdir(mode=_OWNER_ONLY, parents=True, exist_ok=True)
        if any(directory.iterdir()):
            raise ContractError(f"{directory} is not empty: evidence is written into a directory of its own")
        for name, text in contents.items():
            (directory / name).write_bytes(text.encode())
        (directory / _SUMS).write_bytes(_sums(directory))
    except OSError as error:
        raise InfrastructureError(f"cannot write evidence to {directory}: {error.strerror}") from error
    return seal_of(directory)


def check_files(directory: Path) -> list[str]:
    """What is wrong with the files of evidence, in words; empty: each has the digest that it had.

    Raises:
        ContractError: the directory cannot be read.
    """
    found = {path.name for path in _entries(directory)}
    wanted = {*_FILES, _SUMS}
    problems = [f"{name}: missing" for name in sorted(wanted - found)]
    problems += [f"{name}: is no part of this evidence" for name in sorted(found - wanted)]
    if problems:
        return problems
    written = (directory / _SUMS).read_bytes().splitlines(keepends=True)
    right = _sums(directory).splitlines(keepends=True)
    if len(written) != len(right):
        return [f"{_SUMS}: altered"]
    return [
        f"{name}: altered, or its line in {_SUMS}"
        for name, mine, theirs in zip(_FILES, right, written, strict=True)
        if mine != theirs
    ]


def seal_of(directory: Path) -> str:
    """The digest of the sums: whoever keeps it elsewhere can tell this evidence from any other."""
    return sha256((directory / _SUMS).read_bytes()).hexdigest()


def read_evidence(directory: Path) -> tuple[Evidence, Mapping[str, object]]:
    """Read evidence whose files were checked; also what its check gave when it was written.

    Raises:
        ContractError: it is of a format, or has a content, that this program does not read.
    """
    try:
        manifest = json.loads((directory / _MANIFEST).read_bytes())
        if manifest.get("format") != FORMAT:
            raise ContractError(
                f"{directory} has evidence of the format {manifest.get('format')!r}, this program reads {FORMAT}: "
                "check it with the version that wrote it, or a later one (docs/upgrading.md)"
            )
        catalogue = parse_catalogue(
            (directory / _CATALOGUE).read_bytes(), suffix=".json", source=str(directory / _CATALOGUE)
        )
        if catalogue.digest != manifest["ruleset"]["digest"]:
            raise ContractError(f"{directory}: the catalogue's digest is not that of the manifest's ruleset")
        topics = TopicNames(**manifest["topics"])
        evidence = Evidence(
            manifest["application_id"],
            topics,
            manifest["partition"],
            manifest["from"],
            manifest["to"],
            manifest["max_event_bytes"],
            catalogue,
            _known(json.loads((directory / _RULESETS).read_bytes())),
            _records(directory / _EXECUTIONS, topics.executions),
            _records(directory / _CHANGES, topics.factor_changes),
            _records(directory / _FACTORS, topics.factors),
            manifest["erased_events_left_out"],
        )
        return evidence, manifest["verification"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ContractError(f"{directory} has no evidence that this program reads: {type(error).__name__}") from error


def _entries(directory: Path) -> list[Path]:
    try:
        return list(directory.iterdir())
    except OSError as error:
        raise ContractError(f"{directory} cannot be read: {error.strerror}") from error


def _sums(directory: Path) -> bytes:
    return "".join(f"{sha256((directory / name).read_bytes()).hexdigest()}  {name}\n" for name in _FILES).encode()


def _manifest(evidence: Evidence, report: Mapping[str, object]) -> dict[str, object]:
    return {
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


def _rulesets(known: KnownRulesets) -> dict[str, Any]:
    return {
        "catalogues": {digest: raw.decode() for digest, raw in known.catalogues.items()},
        "adoptions": [asdict(one) for adoptions in known.adoptions.values() for one in adoptions],
    }


def _known(members: Mapping[str, Any]) -> KnownRulesets:
    adoptions: dict[int, tuple[Adoption, ...]] = {}
    for one in members["adoptions"]:
        adoption = Adoption(**one)
        adoptions[adoption.partition] = (*adoptions.get(adoption.partition, ()), adoption)
    return KnownRulesets({digest: text.encode() for digest, text in members["catalogues"].items()}, adoptions)


def _lines(records: Iterable[Record]) -> str:
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


def _records(path: Path, topic: str) -> list[Record]:
    return [_record(json.loads(line), topic) for line in path.read_bytes().splitlines()]


def _record(members: Mapping[str, Any], topic: str) -> Record:
    return Record(
        topic,
        members["partition"],
        members["offset"],
        members["timestamp_ms"],
        _bytes(members["key"]),
        _bytes(members["value"]),
        tuple((name, _bytes(value)) for name, value in members["headers"]),
    )


def _text(data: bytes | None) -> str | None:
    return None if data is None else b64encode(data).decode()


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else b64decode(text, validate=True)
