"""The state row of one (application, processor): all its unerased events in a compact form, and no derived value.

A row is a function of the *set* of its events, so it keeps that set. What follows from it (which executions are
active, the consolidated factors, the counts) is derived when the row is read: see :mod:`streams.core.tally`.

Rows are MessagePack arrays with a leading tag: the row's kind, and the number of its format. Golden files of every
format stay in ``tests/contracts/``. A row with one field more, or one fewer without a default, is of another format:
its number is raised, and the earlier format stays readable. The mark's number is raised whenever another number is
raised, and whenever the same events give another result: an earlier program reads the mark first, and refuses an
unknown number (``docs/upgrading.md``).
"""

from typing import Any

import msgspec

from models.events import Status

__all__ = [
    "DIGEST_BYTES",
    "MAX_EXECUTIONS",
    "MAX_WEIGHT",
    "EarlierHalfwayMark",
    "EarlierMark",
    "EarlierMark2",
    "Entry",
    "ErasedApplication",
    "Erasures",
    "HalfwayMark",
    "PartitionMark",
    "Row",
    "RowHead",
    "Rows",
]

MAX_EXECUTIONS = 2_000
"""Executions in one row: with three events of ~150 bytes each they take 60 % of :data:`MAX_WEIGHT`."""

MAX_WEIGHT = 1_500_000
"""Greatest weight of a row: five times as much, a change with everything before and after, stays below the 8 MiB that
the topics allow a record."""

DIGEST_BYTES = 16
"""How many bytes of an event's SHA-256 a row keeps: enough to tell two contents of one event id apart."""


class Entry(msgspec.Struct, frozen=True, array_like=True, gc=False, omit_defaults=True, forbid_unknown_fields=True):
    """One event of an execution, in the form in which a row keeps it.

    Attributes:
        event_id: the event's identity.
        digest: the first :data:`DIGEST_BYTES` of the content's SHA-256.
        status: what happened.
        occurred_at: microseconds since the epoch, UTC.
        attempt: None: all attempts (``superseded``, ``cancelled`` only).
        sequence: -1: none.
        supersedes: the execution that this one replaces, if it names another one.
        code: a failure's error code.
        contributes: the output had an accepted, non-null factor of any name.
        factors: accepted values by output field, those that a factor reads, as canonical JSON text.
    """

    event_id: str
    digest: bytes
    status: Status
    occurred_at: int
    attempt: int | None = 1
    sequence: int = -1
    supersedes: str | None = None
    code: str | None = None
    contributes: bool = False
    factors: dict[str, str] = {}

    @property
    def order(self) -> tuple[int, int, int, str, bytes]:
        """The sort key of the completed and failed events of one execution: the greatest decides."""
        return (self.attempt or 0, self.sequence, self.occurred_at, self.event_id, self.digest)


class Row(msgspec.Struct, frozen=True, array_like=True, tag="row1", gc=False, forbid_unknown_fields=True):
    """The state of one processor of one application.

    Attributes:
        application_id: the application.
        processor: the processor.
        ruleset: name and digest of the catalogue under which the entries were accepted.
        applied: source offset of the last event that changed this row.
        version: source offset of the last change published for it.
        weight: the sum of the entries' weights, at most :data:`MAX_WEIGHT`.
        executions: the unerased events of each execution, in order of arrival.
    """

    application_id: str
    processor: str
    ruleset: str
    applied: int
    version: int
    weight: int
    executions: dict[str, tuple[Entry, ...]]


class RowHead(msgspec.Struct, frozen=True, array_like=True, tag="row1", gc=False):
    """The first fields of a :class:`Row`. Decoding skips the others, which are the most expensive part of a row."""

    application_id: str
    processor: str
    ruleset: str
    applied: int
    version: int


class Erasures(msgspec.Struct, frozen=True, array_like=True, tag="erased1", gc=False, forbid_unknown_fields=True):
    """The events of one application that a tombstone erased: their late copies are ignored.

    Attributes:
        application_id: the application.
        applied: source offset of the last tombstone.
        hashes: the first 16 bytes of the SHA-256 of each erased event's id, sorted: equal rows have equal bytes.
    """

    application_id: str
    applied: int
    hashes: tuple[bytes, ...]


class ErasedApplication(
    msgspec.Struct, frozen=True, array_like=True, tag="gone1", gc=False, forbid_unknown_fields=True
):
    """An application that is erased as a whole; its id is not kept.

    Attributes:
        salt: of the hash.
        hash: SHA-256 over the salt and what every key of the application starts with.
        applied: source offset of the erasure.
    """

    salt: bytes
    hash: bytes
    applied: int


class PartitionMark(msgspec.Struct, frozen=True, array_like=True, tag="mark3", gc=False, forbid_unknown_fields=True):
    """How far a source partition is applied; written in every transaction.

    Attributes:
        partition: the source partition.
        applied: the last source offset that state and outputs contain.
        ruleset: name and digest of the catalogue that the partition's rows were folded with.
        erasures: how many rows of this partition are about erasures, of events and of applications.
        topic_id: the source topic's id (KIP-516), which differs for a re-created topic of the same name; "": not known,
            as in marks that were written before ids were kept.
    """

    partition: int
    applied: int
    ruleset: str
    erasures: int = 0
    topic_id: str = ""


class EarlierMark(msgspec.Struct, frozen=True, array_like=True, tag="mark1", gc=False, forbid_unknown_fields=True):
    """A mark of format 1, which commit d333f77 and earlier commits write. It is still read, and no longer written."""

    partition: int
    applied: int
    ruleset: str
    erasures: int = 0
    topic_id: str = ""


class EarlierMark2(msgspec.Struct, frozen=True, array_like=True, tag="mark2", gc=False, forbid_unknown_fields=True):
    """A mark of format 2, of workers that erased without an entry (decision 26). Read, but no longer written."""

    partition: int
    applied: int
    ruleset: str
    erasures: int = 0
    topic_id: str = ""


class HalfwayMark(PartitionMark, frozen=True, array_like=True, tag="halfway2", gc=False):
    """A partition's mark while it goes over to another ruleset: rows of the old and of the new ruleset are mixed.

    It has a tag of its own. An earlier worker, which does not know the tag, refuses it; otherwise it would take every
    row for one of the ruleset that the mark names.

    Attributes:
        adoption: source offset of the record that adopts the other ruleset; it counts as applied with the last row.
        gone_over: rows with keys up to and including this one are of the new ruleset.
    """

    adoption: int = -1
    gone_over: bytes = b""

    @classmethod
    def of(cls, mark: PartitionMark, adoption: int, gone_over: bytes) -> "HalfwayMark":
        """The first halfway mark of a partition that goes over to the ruleset that a record adopts."""
        return cls(**_plain(mark), adoption=adoption, gone_over=gone_over)

    @property
    def plain(self) -> PartitionMark:
        """The mark as it was before the partition began to go over."""
        return PartitionMark(**_plain(self))


class EarlierHalfwayMark(EarlierMark2, frozen=True, array_like=True, tag="halfway1", gc=False):
    """A halfway mark of format 1, of workers that erased without an entry. It is still read, and no longer written."""

    adoption: int = -1
    gone_over: bytes = b""


def _plain(mark: PartitionMark) -> dict[str, Any]:
    return {name: getattr(mark, name) for name in PartitionMark.__struct_fields__}


Rows = Row | Erasures | ErasedApplication | PartitionMark | HalfwayMark
"""All kinds of rows in the table; the tag at the start of a row gives its kind."""
