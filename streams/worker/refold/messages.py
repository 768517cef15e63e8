"""The messages between a worker and its refold process: one JSON object a line, through the process's pipes."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from models.rows import PartitionMark
from topics.contract.declared import Topics

__all__ = [
    "Answer",
    "Report",
    "Task",
    "decode_answer",
    "decode_report",
    "decode_task",
    "encode",
    "task_of",
]


class Task(msgspec.Struct, frozen=True):
    """The first line to the process: the task.

    Attributes:
        config: for librdkafka. It holds passwords, so it is not passed on the command line.
        topics: the declared topics.
        partition: which one is folded.
        topic_id: the source topic's id.
        directory: of the database.
        before: the catalogue of the partition's state, as JSON.
        after: the catalogue to fold with, as JSON.
        max_event_bytes: larger events are dead letters.
        gone_over: the key up to which the partition has gone over, in hexadecimal digits; empty: it has not begun.
        until: the offset before which to end; None: not known yet.
        taken_over: the offset up to which earlier versions, in which erasures needed no entry, had consolidated the
            partition.
    """

    config: dict[str, str | int]
    topics: Topics
    partition: int
    topic_id: str
    directory: str
    before: str
    after: str
    max_event_bytes: int
    gone_over: str = ""
    until: int | None = None
    taken_over: int = 0


class Report(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line from the process.

    Attributes:
        done: the offset before which everything is folded; None: the line is about something else.
        end: the offset before which the source ends.
        wants_table: the process needs a copy of the partition's present table.
        begun_anew: why an earlier process's database is deleted.
        is_near: the end of the source is near, so that the adoption may be written.
        error: what went wrong; the process ends.
        is_contract: whether the error is a ContractError, and not one of Kafka or the disk.
    """

    done: int | None = None
    end: int = 0
    wants_table: bool = False
    begun_anew: str | None = None
    is_near: bool = False
    error: str | None = None
    is_contract: bool = False


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line from the worker.

    Attributes:
        table: the directory of the copy of the partition's table.
        until: the offset before which to end.
    """

    table: str | None = None
    until: int | None = None


def _plain(value: object) -> object:
    """Encode types that msgspec does not know: a topic's read-only settings, and addresses with their source."""
    return str(value) if isinstance(value, str) else dict(value)  # type: ignore[call-overload]


_encode: Final = msgspec.json.Encoder(enc_hook=_plain).encode
decode_task: Final = msgspec.json.Decoder(Task).decode
decode_report: Final = msgspec.json.Decoder(Report).decode
decode_answer: Final = msgspec.json.Decoder(Answer).decode


def encode(message: Task | Report | Answer) -> bytes:
    """A message as a line."""
    return _encode(message) + b"\n"


def task_of(
    config: Mapping[str, str | int],
    topics: Topics,
    mark: PartitionMark,
    catalogues: Sequence[str],
    *,
    max_event_bytes: int,
    gone_over: bytes,
    until: int | None,
    taken_over: int = 0,
) -> Task:
    """The task of a partition, without a directory.

    Args:
        config: for librdkafka.
        topics: the declared topics.
        mark: the partition's.
        catalogues: of the partition's state, and the one to fold with; as JSON.
        max_event_bytes: larger events are dead letters.
        gone_over: the key up to which the partition has gone over.
        until: the offset before which to end, where it is known.
        taken_over: see :class:`Task`.
    """
    before, after = catalogues
    return Task(
        dict(config),
        topics,
        mark.partition,
        mark.topic_id,
        "",
        before,
        after,
        max_event_bytes,
        gone_over.hex(),
        until,
        taken_over,
    )
