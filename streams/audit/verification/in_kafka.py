"""A verification of the records in Kafka, beside a live worker, up to the group's committed offsets."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from consolidator.keys import application_prefix
from streams.audit.verification.changes import last_cause
from streams.audit.verification.findings import Finding, PlaceInTopic
from streams.audit.verification.verify import Report, Verification
from streams.replay.log_replay import Selection, open_range
from streams.replay.replay import without_collector
from streams.replay.source_log import source_reader
from streams.replay.tables import Scratch
from streams.rulesets.rule_book import RuleBook
from streams.runtime.closing import Closing
from topics.cluster.authorization import require_permissions
from topics.cluster.provisioning import require_existing
from topics.contract.declared import Topics
from topics.contract.permissions import Role, permissions
from topics.reading.positions import AtOffset, Beginning
from topics.reading.progress import GroupProgress
from topics.reading.ranges import Range
from topics.reading.reader import TopicReader
from topics.records.record import Record

__all__ = ["KafkaVerification", "consolidated_end", "consolidated_offsets"]

_DECIDED_LIMIT_S: Final = 10.0
"""Markers follow a commit within milliseconds. A transaction that is open for longer is not the one of the group's
offset: a dead worker's transaction stays open for minutes."""


def consolidated_offsets(config: Mapping[str, str | int], topics: Topics, group: str) -> dict[int, int | None]:
    """How far a group has consolidated each partition, so that all of it can be read from now on; None: unknown.

    Args:
        config: for librdkafka.
        topics: the declared topics.
        group: the worker's group; it is neither joined nor moved.

    Raises:
        AuthorizationError: an auditor's permission is missing; the message names it.
        ContractError: a topic does not exist.
        InfrastructureError: Kafka does not answer.
    """
    # To a client that may not see a topic, Kafka answers only that its partitions are unknown.
    require_permissions(permissions(Role.AUDITOR, topics, group), config)
    require_existing((topics.executions, topics.factor_changes, topics.factors), config)
    with GroupProgress(config, group, topics) as progress:
        committed = progress.committed()
        decided = progress.wait_decided(topics.factor_changes, topics.factors, limit_s=_DECIDED_LIMIT_S)
    return committed if decided else dict.fromkeys(committed)


def consolidated_end(span: Range, committed: int | None, last: int | None) -> int:
    """Before which offset a partition's range ends.

    Args:
        span: the requested range.
        committed: see :func:`consolidated_offsets`.
        last: the greatest offset that a published change names as its cause; used if the group has committed nothing.
    """
    end = committed if committed is not None else 0 if last is None else last + 1
    return max(span.first, min(span.end, end))


class KafkaVerification(Closing):
    """One verification; a context manager that removes its temporary files.

    1. Read the group's committed offsets, then wait until every transaction that was open then has ended. From then on
       everything that the group has committed can be read.
    2. Read the ends of ``factor-changes`` and ``factors``, then those of the source: so no change was caused by a
       record after the source's end.
    3. Verify up to the group's committed offsets.

    Args:
        config: for librdkafka.
        topics: the declared topics.
        book: the rules of every offset.
        selection: the selected range and applications.
        group: the worker's group.
        max_event_bytes: larger events become dead letters.
        on_progress: called with how many offsets, of all topics, are done.

    Attributes:
        total: how many offsets there are to go through.

    Raises:
        ContractError: a topic, a partition or an offset is not there.
        InfrastructureError: Kafka or the disk failed.
    """

    def __init__(
        self,
        config: Mapping[str, str | int],
        topics: Topics,
        book: RuleBook,
        selection: Selection,
        *,
        group: str,
        max_event_bytes: int,
        on_progress: Callable[[int], None] = lambda _: None,
    ) -> None:
        super().__init__()
        self._config = config
        self._topics = topics
        self._application_id = selection.application_id
        self._on_progress = on_progress
        with self._opening() as stack:
            stack.enter_context(without_collector())
            # 1.
            self._committed = consolidated_offsets(config, topics, group)
            # 2.
            self._changes, self._factors = (
                stack.enter_context(
                    TopicReader(config, topic.name, Beginning(), application_id=selection.application_id)
                )
                for topic in (topics.factor_changes, topics.factors)
            )
            self._source, self._wanted = open_range(stack, config, topics, selection)
            scratch = stack.enter_context(Scratch())
        self._verification = Verification(
            topics,
            book,
            scratch.table,
            max_event_bytes,
            application_id=selection.application_id,
            processor=selection.processor,
            look_up=self._look_up,
            on_progress=on_progress,
            open_log=lambda: source_reader(config, topics, selection.application_id),
        )

    @property
    def total(self) -> int:
        """How many offsets there are to go through."""
        spans = [reader.spans[part] for reader in (self._changes, self._factors) for part in self._wanted]
        return sum(span.end - span.start for span in (*spans, *self._source.spans.values()))

    def run(self) -> Iterator[Finding]:
        """Every difference, as it is found."""
        # 3.
        yield from self._verification.index(self._of(self._changes))
        ranges = {partition: self._consolidated(partition, span) for partition, span in self._wanted.items()}
        ends = {partition: span.end for partition, span in self._source.spans.items()}
        yield from self._verification.run(self._source, ranges, ends, self._of(self._factors))

    def report(self) -> Report:
        """After :meth:`run`: the report, with the offsets that it covers and the counts."""
        return self._verification.report({partition: span.end for partition, span in self._wanted.items()})

    def _consolidated(self, partition: int, span: Range) -> Range:
        committed = self._committed.get(partition)
        # If the group has committed nothing, every change has to be looked at.
        last = last_cause(self._verification.published_changes, partition) if committed is None else None
        end = consolidated_end(span, committed, last)
        return replace(span, start=min(span.start, end), end=end)

    def _of(self, reader: TopicReader) -> Iterator[Record]:
        prefix = b"" if self._application_id is None else application_prefix(self._application_id)
        spans = {partition: reader.spans[partition] for partition in self._wanted}
        for partition, records in reader.by_partition(spans):
            at = reader.spans[partition].start
            for record in records:
                if (record.key or b"").startswith(prefix):
                    yield record
                if record.offset - at >= _OFFSETS_A_STEP:
                    self._on_progress(record.offset - at)
                    at = record.offset
            self._on_progress(reader.spans[partition].end - at)

    def _look_up(self, place: PlaceInTopic) -> bytes | None:
        with TopicReader(self._config, place.topic, AtOffset(place.partition, place.offset)) as reader:
            found = next(reader.until_end(), None)
        return found.value if found is not None and found.offset == place.offset else None


_OFFSETS_A_STEP: Final = 4_000
