"""How far the workers are in each partition, and how long the first record behind that has waited."""

from collections.abc import Mapping
from dataclasses import dataclass

from topics.contract.declared import Topics
from topics.reading.positions import Beginning, Span
from topics.reading.progress import GroupProgress
from topics.reading.reader import TopicReader

__all__ = ["PartitionProgress", "read_progress"]


@dataclass(frozen=True, slots=True)
class PartitionProgress:
    """One partition.

    Attributes:
        partition: which one.
        committed: the group's offset; None: nothing is committed.
        start: the first offset that the topic has.
        end: the last stable offset.
        first_offset: of the first record that is not consolidated; None: there is none, whatever offsets there are.
        first_time_ms: when the broker took that record, in milliseconds since the epoch.
    """

    partition: int
    committed: int | None
    start: int
    end: int
    first_offset: int | None = None
    first_time_ms: int | None = None

    @property
    def lag(self) -> int:
        """Offsets behind the group's, those of transaction markers included; 0 where no record is among them."""
        return 0 if self.first_offset is None else self.end - max(self.committed or 0, self.start)

    def waits_s(self, now_ms: int) -> float:
        """How long the first record has waited, in seconds; 0: none waits."""
        return 0.0 if self.first_time_ms is None else max(0, now_ms - self.first_time_ms) / 1_000


def read_progress(config: Mapping[str, str | int], topics: Topics, group: str) -> tuple[PartitionProgress, ...]:
    """How far a group is in each partition of the source.

    Transaction markers take up offsets, so the first record behind the group's offset is looked for.

    Args:
        config: for librdkafka.
        topics: the declared topics.
        group: the workers' group.

    Raises:
        ContractError: there is no source topic, or it may not be read.
        InfrastructureError: Kafka does not answer.
    """
    # The offsets are asked for first: a commit in between makes the lag too large for a moment, and never negative.
    with GroupProgress(config, group, topics) as progress:
        committed = progress.committed()
    found = []
    with TopicReader(config, topics.executions.name, Beginning()) as reader:
        for partition, span in sorted(reader.spans.items()):
            offset = committed.get(partition)
            behind = Span(max(offset or 0, span.start), span.end)
            waiting = next(reader.until_end({partition: behind}), None) if behind.start < behind.end else None
            first = (None, None) if waiting is None else (waiting.offset, waiting.timestamp_ms)
            found.append(PartitionProgress(partition, offset, span.start, span.end, *first))
    return tuple(found)
