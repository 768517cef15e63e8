"""Checks of single published records: whether a record is in the right place, and the finding if it is not."""

from typing import Protocol

from consolidator.keys import partition_of
from streams.audit.verification.findings import Finding, Kind, PlaceInTopic
from topics.contract.declared import Topics
from topics.records.record import Record

__all__ = ["Content", "finding_on", "out_of_place"]


class _Version(Protocol):
    @property
    def partition(self) -> int: ...

    @property
    def offset(self) -> int: ...


class Content(Protocol):
    """The members that values of ``factor-changes`` and of ``factors`` have in common."""

    @property
    def application_id(self) -> str:
        """The application."""

    @property
    def processor(self) -> str:
        """The processor."""

    @property
    def version(self) -> _Version:
        """Where the causing record stands."""


def out_of_place(record: Record, content: Content, topics: Topics, *, has_own_key: bool) -> str | None:
    """Why a record is in the wrong place; None: its place is right.

    Args:
        record: the record.
        content: its value.
        topics: the declared topics.
        has_own_key: whether its key is the one that its content requires.
    """
    if not has_own_key:
        return "its key is not that of its content"
    if partition_of(content.application_id, topics.partitions) != record.partition:
        return "it stands in a partition that is not its application's"
    if content.version.partition != record.partition:
        return "it names a cause in another partition"
    return None


def finding_on(kind: Kind, record: Record, content: Content | None, topics: Topics, reason: str) -> Finding:
    """The finding for one published record.

    Args:
        kind: what is wrong.
        record: the record.
        content: its value; None: it cannot be read.
        topics: the declared topics.
        reason: the difference in words.
    """
    cause = None
    if content is not None:
        cause = PlaceInTopic(topics.executions.name, content.version.partition, content.version.offset)
    return Finding(
        kind,
        record.topic,
        record.key or b"",
        "" if content is None else content.application_id,
        "" if content is None else content.processor,
        PlaceInTopic(record.topic, record.partition, record.offset),
        cause,
        reason,
    )
