"""An application's current factors and their last changes, read from Kafka without a consumer group.

Only the application's own partition is read, up to its end as it is now. No consumer group is touched.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from consolidator.keys import factors_key
from consolidator.records import CurrentFactors, FactorChange
from streams.audit.published import change_of, current_of
from topics.reading.positions import AtTime, Beginning
from topics.reading.reader import TopicReader

if TYPE_CHECKING:
    from topics.records.record import Record

__all__ = ["Current", "Journalled", "last_change", "read_current"]

# A change and the factors record that goes with it are written in one transaction. Mostly that takes milliseconds. The
# broker allows it 15 minutes at most (transaction.max.timeout.ms), and the clocks of a cluster do not differ by more
# than that.
_WINDOWS_MS: Final = (5_000, 15 * 60_000)


@dataclass(frozen=True, slots=True)
class Current:
    """The current record of one pair.

    Attributes:
        value: the newest record of ``factors`` under the pair's key.
        timestamp_ms: when the broker took that record.
    """

    value: CurrentFactors
    timestamp_ms: int


@dataclass(frozen=True, slots=True)
class Journalled:
    """A change, and its position in ``factor-changes``."""

    value: FactorChange
    topic: str
    partition: int
    offset: int


def read_current(config: Mapping[str, str | int], topic: str, application_id: str) -> list[Current]:
    """Every processor of an application, sorted by name; empty for an unknown application.

    Args:
        config: for librdkafka.
        topic: the ``factors`` topic.
        application_id: the application.

    Raises:
        ContractError: the topic does not exist, or a record in it cannot be read.
        InfrastructureError: Kafka does not answer.
    """
    prefix = factors_key(application_id, "")
    newest: dict[bytes, Record] = {}
    with TopicReader(config, topic, Beginning(), application_id=application_id) as reader:
        for record in reader.until_end():
            if record.key is not None and record.key.startswith(prefix):
                newest[record.key] = record
    # A tombstone erases the pair: it is unknown again.
    kept = [record for record in newest.values() if record.value is not None]
    return sorted(
        (Current(current_of(record), record.timestamp_ms) for record in kept), key=lambda one: one.value.processor
    )


def last_change(config: Mapping[str, str | int], topic: str, current: Current) -> Journalled | None:
    """The change that was published with a current record; None: it was erased.

    ``factor-changes`` keeps every change for ever, so only changes of about the same time as the record are read.

    Args:
        config: for librdkafka.
        topic: the ``factor-changes`` topic.
        current: the record, from :func:`read_current`.

    Raises:
        ContractError: the topic does not exist, or a record in it cannot be read.
        InfrastructureError: Kafka does not answer.
    """
    for window_ms in _WINDOWS_MS:
        found = _find(config, topic, current, window_ms)
        if found is not None:
            return found
    return None


def _find(config: Mapping[str, str | int], topic: str, current: Current, window_ms: int) -> Journalled | None:
    wanted = current.value
    prefix = factors_key(wanted.application_id, "")
    start = AtTime(max(0, current.timestamp_ms - window_ms))
    with TopicReader(config, topic, start, application_id=wanted.application_id) as reader:
        for record in reader.until_end():
            if record.timestamp_ms > current.timestamp_ms + window_ms:
                return None
            if record.value is None or record.key is None or not record.key.startswith(prefix):
                continue
            change = change_of(record)
            if (change.processor, change.version) == (wanted.processor, wanted.version):
                return Journalled(change, record.topic, record.partition, record.offset)
    return None
