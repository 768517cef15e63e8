"""Erasures that were written before entries were needed: found, and confirmed.

Workers of earlier versions needed no entry: a record alone erased an application. The offset shows whether such a
worker applied a record: it must be below the offset up to which they had consolidated the partition. That offset is in
the binding, which the first worker that needs entries writes; until then it is the group's committed offset. Records at
higher offsets are never confirmed: a worker has made dead letters of them, or will.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from models.errors import BadEventError
from streams.operations.eraser import require_eraser
from topics.contract.declared import Topics
from topics.reading.erasures import read_entries
from topics.reading.positions import Beginning
from topics.reading.progress import GroupProgress
from topics.reading.reader import TopicReader
from topics.reading.rulesets import read_rulesets
from topics.records.erasures import ERASURE_PREFIX, Erasure, parse_erasure
from topics.writing.delivery import Written, write_records

__all__ = ["EarlierErasure", "EarlierErasures"]


@dataclass(frozen=True, slots=True)
class EarlierErasure:
    """A record under ``/erasure/`` without an entry.

    Attributes:
        partition: its partition in ``executions``.
        offset: its offset there.
        erasure: its content.
        is_earlier: whether a worker of an earlier version applied it. If not, it erases nothing, now and later.
    """

    partition: int
    offset: int
    erasure: Erasure
    is_earlier: bool


class EarlierErasures:
    """The erasures of an installation that have no entry.

    Args:
        config: for librdkafka.
        topics: the declared topics.
        group: the worker's group; it is neither joined nor moved.
        on_progress: called with a text that says what takes time.

    Raises:
        AuthorizationError: a permission is missing; the message names it.
        ContractError: a topic is not there, or belongs to workers of another id.
        InfrastructureError: from every method: Kafka does not answer, or refuses a record.
    """

    def __init__(
        self,
        config: Mapping[str, str | int],
        topics: Topics,
        group: str,
        *,
        on_progress: Callable[[str], None] = lambda _: None,
    ) -> None:
        require_eraser(config, topics, group)
        self._config = config
        self._topics = topics
        self._group = group
        self._on_progress = on_progress

    def found(self) -> list[EarlierErasure]:
        """Every record that looks like an erasure and has no entry, in the order of each partition."""
        self._on_progress(f"searching {self._topics.executions.name}")
        found = []
        with TopicReader(self._config, self._topics.executions.name, Beginning()) as reader:
            for record in reader.until_end():
                if not (record.key or b"").startswith(ERASURE_PREFIX):
                    continue
                # A record that cannot be read as an erasure now could not be read by earlier versions either.
                with suppress(BadEventError):
                    erasure = parse_erasure(record.key or b"", record.value or b"")
                    found.append((record.partition, record.offset, erasure))
        # Read after the records: each record that counts has its entry by now.
        entries = read_entries(self._config, self._topics, range(self._topics.partitions))
        taken_over = self._taken_over() if found else {}
        return [
            EarlierErasure(partition, offset, erasure, is_earlier=offset < taken_over.get(partition, 0))
            for partition, offset, erasure in sorted(found, key=lambda one: one[:2])
            if entries[partition].get(offset) != erasure
        ]

    def confirm(self, found: list[EarlierErasure]) -> int:
        """Write an entry for each erasure that an earlier version applied; return how many."""
        records = [
            Written(
                self._topics.erasures.name,
                one.partition,
                one.erasure.entry_key(one.partition, one.offset),
                one.erasure.entry_value,
            )
            for one in found
            if one.is_earlier
        ]
        return len(write_records(self._config, records))

    def _taken_over(self) -> Mapping[int, int]:
        binding = read_rulesets(self._config, self._topics, settled=[0]).binding
        if binding is not None:
            return binding.taken_over
        with GroupProgress(self._config, self._group, self._topics) as progress:
            return {partition: offset or 0 for partition, offset in progress.committed().items()}
