"""Confirmed erasures in Kafka: the records of ``executions`` that erase an application, or lift an erasure.

A record under ``/erasure/`` counts only with an entry in the topic ``erasures``, in the same transaction: publishers of
events are not permitted to write there. The broker ends a transaction partition by partition, so the record may become
readable before its entry. But the entry was *written* before the commit. So a reader that has read the record reads the
entries' partition up to its present high watermark, and waits for the transactions that are open before it.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Final

from consolidator.keys import partition_of
from topics.contract.declared import Topics
from topics.reading.positions import Beginning
from topics.reading.reader import TopicReader
from topics.records.erasures import Erasure, Forgotten, entries_in, forgotten_in

__all__ = ["ConfirmedErasures", "read_entries", "read_forgotten"]

_NONE: Final[Mapping[int, Erasure]] = {}

_Entries = dict[int, dict[int, Erasure]]
"""By partition and by offset."""


def read_entries(
    config: Mapping[str, str | int], topics: Topics, partitions: Collection[int]
) -> dict[int, dict[int, Erasure]]:
    """All present entries about partitions of ``executions``, by partition and by offset.

    Args:
        config: for librdkafka.
        topics: the declared topics.
        partitions: the partitions; open transactions in them are waited for.

    Raises:
        AuthorizationError: this client may not read the topic.
        ContractError: there is no such topic, or a later version has written an entry that this one cannot read.
        InfrastructureError: Kafka does not answer.
    """
    found: dict[int, dict[int, Erasure]] = {partition: {} for partition in partitions}
    with TopicReader(config, topics.erasures.name, Beginning(), settled=partitions) as reader:
        spans = {partition: span for partition, span in reader.spans.items() if partition in found}
        for record in reader.until_end(spans):
            found[record.partition].update(entries_in(record))
    return found


def read_forgotten(config: Mapping[str, str | int], topics: Topics, application_id: str) -> Forgotten | None:
    """The last erasure of an application; raises as :func:`read_entries`."""
    partition = partition_of(application_id, topics.partitions)
    return forgotten_in(read_entries(config, topics, [partition])[partition], partition, application_id)


class ConfirmedErasures:
    """Looks entries up, once for all records that were read together. Without an erasure among them, it reads nothing.

    Several threads may call its methods, each for a partition of its own.

    Args:
        config: for librdkafka.
        topics: the declared topics.
        asking: asks Kafka what is given to it, for who wants to know when it is waited for; None: nobody does.
    """

    def __init__(
        self,
        config: Mapping[str, str | int],
        topics: Topics,
        asking: Callable[[Callable[[], _Entries]], _Entries] | None = None,
    ) -> None:
        self._config = config
        self._topics = topics
        self._asking = asking
        self._fetched: dict[int, int] = {}
        self._looked_up: dict[int, int] = {}
        self._entries: dict[int, Mapping[int, Erasure]] = {}

    def fetched(self, partition: int, end: int) -> None:
        """Note that the records before an offset were read, so that their entries can be looked up together."""
        self._fetched[partition] = max(self._fetched.get(partition, 0), end)

    def confirms(self, partition: int, offset: int, erasure: Erasure) -> bool:
        """Whether an entry confirms an erasure at an offset. Raises as :func:`read_entries`."""
        if offset >= self._looked_up.get(partition, 0):
            # Taken before the entries are read: the entry of a record that is read meanwhile may be missing.
            through = max(self._fetched.get(partition, 0), offset + 1)
            self._entries |= self._read([partition])
            self._looked_up[partition] = through
        return self._entries.get(partition, _NONE).get(offset) == erasure

    def forgotten(self, partition: int, application_id: str) -> Forgotten | None:
        """The last erasure of an application, as of the first request for its partition, or later."""
        if partition not in self._entries:
            # Read the entries of all partitions at once: further requests are likely to be about other applications.
            self._entries = self._read(range(self._topics.partitions)) | self._entries
        entries = self._entries[partition]
        return forgotten_in(entries, partition, application_id) if entries else None

    def _read(self, partitions: Collection[int]) -> _Entries:
        if self._asking is None:
            return read_entries(self._config, self._topics, partitions)
        return self._asking(lambda: read_entries(self._config, self._topics, partitions))
