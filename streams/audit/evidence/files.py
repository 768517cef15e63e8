"""Evidence as a directory of files, and back. The same evidence always gives the same bytes.

``executions.jsonl``, ``factor-changes.jsonl`` and ``factors.jsonl`` have a record a line, its key, value and headers in
base 64, so that every byte is kept; ``catalogue.json`` has the rules, ``rulesets.json`` those that were adopted on the
way, as text; ``manifest.json`` has the offsets of all records and the result of the check; ``SHA256SUMS`` the digest of
each, as ``sha256sum --check`` reads it. The digest of ``SHA256SUMS`` is the *seal*.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from models.errors import ContractError, InfrastructureError
from streams.audit.evidence.bundle import Evidence
from streams.audit.evidence.content import (
    Manifest,
    decode_manifest,
    decode_published,
    decode_rulesets,
    decode_source,
    decoded_catalogue,
    manifest_text,
    records_text,
    rulesets_text,
)
from streams.audit.evidence.directory import read_directory, write_directory
from streams.rulesets.catalogue_file import MAX_FILE_BYTES, catalogue_json
from topics.records.record import Record

__all__ = ["EvidenceFiles", "check_files", "read_evidence", "seal_of", "write_evidence"]

_MANIFEST: Final = "manifest.json"
_CATALOGUE: Final = "catalogue.json"
_RULESETS: Final = "rulesets.json"
_EXECUTIONS: Final = "executions.jsonl"
_CHANGES: Final = "factor-changes.jsonl"
_FACTORS: Final = "factors.jsonl"
_SUMS: Final = "SHA256SUMS"
_FILES: Final = (_CATALOGUE, _EXECUTIONS, _CHANGES, _FACTORS, _MANIFEST, _RULESETS)

_MIB: Final = 1024 * 1024
# All files are held in memory. A gigabyte of records is far more than any application has.
_LIMITS: Final[Mapping[str, int]] = {
    _CATALOGUE: MAX_FILE_BYTES,
    _EXECUTIONS: 1024 * _MIB,
    _CHANGES: 1024 * _MIB,
    _FACTORS: 1024 * _MIB,
    _MANIFEST: 16 * _MIB,
    _RULESETS: 256 * _MIB,
    _SUMS: _MIB,
}


@dataclass(frozen=True, slots=True)
class EvidenceFiles:
    """The files of a directory, read once, so that the checked bytes are the bytes that are used.

    Attributes:
        directory: where they were.
        contents: by name.
        foreign: the names of other files.
    """

    directory: Path
    contents: Mapping[str, bytes]
    foreign: tuple[str, ...]

    @classmethod
    def load(cls, directory: Path) -> "EvidenceFiles":
        """Read them.

        Raises:
            ContractError: this is no evidence: the directory cannot be read, has something in it that is no file or is
                too large, or has neither a manifest nor sums.
        """
        contents, foreign = read_directory(directory, _LIMITS)
        if _SUMS not in contents and _MANIFEST not in contents:
            raise ContractError(f"{directory} has no evidence: there is neither {_MANIFEST} nor {_SUMS} in it")
        return cls(directory, contents, tuple(foreign))

    @property
    def seal(self) -> str:
        """The digest of ``SHA256SUMS``. It differs for all other evidence, so a copy of it identifies this evidence."""
        return sha256(self.contents[_SUMS]).hexdigest()

    def problems(self) -> list[str]:
        """The problems of the files, in words; empty: each file has its recorded digest."""
        problems = [f"{name}: missing" for name in sorted({*_FILES, _SUMS} - {*self.contents})]
        problems += [f"{name}: is no part of this evidence" for name in self.foreign]
        if problems:
            return problems
        written = self.contents[_SUMS].splitlines(keepends=True)
        right = _sums(self.contents).splitlines(keepends=True)
        if len(written) != len(right):
            return [f"{_SUMS}: altered"]
        return [
            f"{name}: altered, or its line in {_SUMS}"
            for name, mine, theirs in zip(_FILES, right, written, strict=True)
            if mine != theirs
        ]

    def evidence(self) -> tuple[Evidence, Mapping[str, object]]:
        """The evidence in files without problems, and the result of the check when they were written.

        Raises:
            ContractError: it is of a format, or has a content, that this program does not read.
        """
        contents = self.contents
        manifest = decode_manifest(contents[_MANIFEST], self._source(_MANIFEST))
        topics, counts = manifest.topic_names(), manifest.records
        catalogue = decoded_catalogue(contents[_CATALOGUE], manifest, self._source(_CATALOGUE))
        evidence = Evidence(
            manifest.application_id,
            topics,
            manifest.partition,
            manifest.first,
            manifest.end,
            manifest.max_event_bytes,
            catalogue,
            decode_rulesets(contents[_RULESETS], manifest, self._source(_RULESETS)),
            decode_source(contents[_EXECUTIONS], manifest, self._source(_EXECUTIONS)),
            self._published(_CHANGES, manifest, topics.factor_changes, counts.factor_changes),
            self._published(_FACTORS, manifest, topics.factors, counts.factors),
            manifest.erased_events_left_out,
        )
        written = _contents(evidence, manifest.verification)
        for name in _FILES:
            # A catalogue is identified by its digest and may be spelt in several ways; every other file has exactly one
            # spelling.
            if name != _CATALOGUE and written[name] != contents[name]:
                raise ContractError(
                    f"{self._source(name)} cannot be read as evidence: this program would write it in another form"
                )
        return evidence, manifest.verification

    def _published(self, name: str, manifest: Manifest, topic: str, count: int) -> list[Record]:
        return decode_published(self.contents[name], manifest, topic, count, self._source(name))

    def _source(self, name: str) -> str:
        return str(self.directory / name)


def write_evidence(directory: Path, evidence: Evidence, report: Mapping[str, object]) -> str:
    """Write evidence into a new or empty directory that this user owns; ``SHA256SUMS`` is written last.

    Args:
        directory: where to.
        evidence: what to write.
        report: the result of its check.

    Returns:
        The seal.

    Raises:
        ContractError: there is something in the directory already, or it is not our own.
        InfrastructureError: it cannot be written, or is too large to be read again.
    """
    contents = _contents(evidence, report)
    for name, content in contents.items():
        if len(content) > _LIMITS[name]:
            raise InfrastructureError(f"{name} would have {len(content)} bytes, the limit is {_LIMITS[name]}")
    sums = _sums(contents)
    write_directory(directory, {**contents, _SUMS: sums})
    return sha256(sums).hexdigest()


def check_files(directory: Path) -> list[str]:
    """See :meth:`EvidenceFiles.problems`."""
    return EvidenceFiles.load(directory).problems()


def seal_of(directory: Path) -> str:
    """See :attr:`EvidenceFiles.seal`."""
    return EvidenceFiles.load(directory).seal


def read_evidence(directory: Path) -> tuple[Evidence, Mapping[str, object]]:
    """See :meth:`EvidenceFiles.evidence`."""
    return EvidenceFiles.load(directory).evidence()


def _contents(evidence: Evidence, report: Mapping[str, object]) -> dict[str, bytes]:
    texts = {
        _CATALOGUE: catalogue_json(evidence.catalogue) + "\n",
        _RULESETS: rulesets_text(evidence.rulesets),
        _EXECUTIONS: records_text(evidence.executions),
        _CHANGES: records_text(evidence.changes),
        _FACTORS: records_text(evidence.factors),
        _MANIFEST: manifest_text(evidence, report),
    }
    return {name: text.encode() for name, text in texts.items()}


def _sums(contents: Mapping[str, bytes]) -> bytes:
    return "".join(f"{sha256(contents[name]).hexdigest()}  {name}\n" for name in _FILES).encode()
