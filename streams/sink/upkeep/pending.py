"""What the log has behind a cut: records, and not offsets, which transaction markers take up, too."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from streams.sink.upkeep.status import Pending
from topics.contract.declared import Topics
from topics.reading.positions import Beginning, Span
from topics.reading.progress import GroupProgress
from topics.reading.reader import TopicReader

__all__ = ["open_pending"]


@contextmanager
def open_pending(
    config: Mapping[str, str | int], topics: Topics, group: str
) -> Iterator[Callable[[int, int], Pending]]:
    """What answers what is behind a partition's cut.

    Args:
        config: for librdkafka.
        topics: the declared topics.
        group: the workers' group.

    Raises:
        ContractError: the source topic is not there, or may not be read.
        InfrastructureError: Kafka does not answer.
    """
    with (
        TopicReader(config, topics.executions.name, Beginning()) as reader,
        GroupProgress(config, group, topics) as progress,
    ):
        consolidated = progress.committed()

        def pending(partition: int, place: int) -> Pending:
            span = reader.spans.get(partition, Span(0, 0))
            behind = {partition: Span(max(place, span.start), span.end)}
            first = next(reader.until_end(behind), None)
            return Pending(
                span.end,
                consolidated.get(partition) or 0,
                None if first is None else first.offset,
                None if first is None else first.timestamp_ms,
            )

        yield pending
