"""Reads the source records of dead letters that were too large to hold them, if the topic still has them."""

from collections.abc import Mapping
from types import TracebackType
from typing import Self

from topics.reading.positions import Beginning, Span
from topics.reading.reader import TopicReader
from topics.records.dead_letter_format import Original
from topics.records.record import Record

__all__ = ["Originals"]


class Originals:
    """Reads source records one at a time; it connects when the first one is requested.

    Args:
        config: for librdkafka.
        topic: the source topic.
    """

    def __init__(self, config: Mapping[str, str | int], topic: str) -> None:
        self._config = config
        self._topic = topic
        self._reader: TopicReader | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._reader is not None:
            self._reader.__exit__(kind, error, trace)

    def find(self, original: Original) -> Record | None:
        """The source record; None: it was compacted away, or another record has its offset (the topic was re-created).

        Raises:
            ContractError: there is no such topic.
            InfrastructureError: Kafka does not answer.
        """
        if original.topic != self._topic:
            return None
        if self._reader is None:
            self._reader = TopicReader(self._config, self._topic, Beginning())
        span = self._reader.spans.get(original.partition)
        if span is None or not span.start <= original.offset < span.end:
            return None
        wanted = {original.partition: Span(original.offset, original.offset + 1)}
        record = next(self._reader.until_end(wanted), None)
        return record if record is not None and original.is_in(record) else None

    def has(self, original: Original) -> bool:
        """Whether the source record is still there."""
        return self.find(original) is not None
