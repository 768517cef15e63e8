"""Makes items of fetched records: decodes them, and leaves out what the filter does not let pass."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol

from consolidator.errors import UnreadableRecordError
from consolidator.keys import application_prefix, factors_key, parse_event_key
from consolidator.records import CurrentFactors, FactorChange, decode_change, decode_factors
from consolidator.subscribing.items import Changed, Current, Erased, Item
from consolidator.subscribing.positions import Frame
from consolidator.subscribing.start import Filter

__all__ = ["Decoder", "Floor", "Record"]

_UPGRADE: Final = "install a later version of factor-consolidator-client, and subscribe again"
_REPORT: Final = (
    "no worker has written it. Find out who has; a subscription goes on behind it only from a new snapshot, after a "
    "tombstone for its key was published, or from a position that you choose"
)

Floor = tuple[int, bytes]
"""Version and pair up to which changes are in the snapshot; see :class:`.Position`."""


class Record(Protocol):
    """What is used of confluent-kafka's ``Message``."""

    def partition(self) -> int | None:
        """Its partition."""

    def offset(self) -> int | None:
        """Its offset."""

    def key(self) -> Any:
        """Its key."""

    def value(self) -> Any:
        """Its value; None: a tombstone."""


class Decoder:
    """Makes items of records.

    Args:
        wanted: the filter.
        changes: the name of ``factor-changes``.
        factors: the name of ``factors``.
    """

    def __init__(self, wanted: Filter, changes: str, factors: str) -> None:
        self._changes = changes
        self._factors = factors
        self._wanted = wanted
        self._prefixes = frozenset(application_prefix(one) for one in wanted.applications)
        self._passes = _change_filter(wanted) if wanted.processors or wanted.chooses_changes else None

    def changes(
        self, records: Sequence[Record], frame: Frame, floors: dict[int, Floor], last: dict[int, int]
    ) -> Iterator[Item]:
        """The items of records of ``factor-changes``, in their order.

        Each is made when it is asked for. Thousands of them at a time would keep the garbage collector busy for as long
        as the decoding takes.

        Args:
            records: without errors.
            frame: of the items; their places are added to it.
            floors: by partition, what is in the snapshot. Taken out once a change is after it, and all that follow.
            last: by partition, the offset of the last record that was dealt with; is set.

        Raises:
            UnreadableRecordError: of a record; the message names it.
        """
        prefixes, passes = self._prefixes, self._passes
        partitions, offsets = frame.partitions, frame.offsets
        index = 0
        partition = offset = -1
        try:
            for record in records:
                partition, offset = record.partition(), record.offset()  # type: ignore[assignment]
                if not prefixes or _is_of(record.key(), prefixes):
                    value = record.value()
                    if value is None:
                        item: Item | None = self._erased(record.key(), frame, partition, offset, index, of_change=True)
                    else:
                        change = decode_change(value)
                        if (passes is None or passes(change)) and not (floors and _is_below(change, partition, floors)):
                            item = Changed(change, partition, offset, frame, index)
                        else:
                            item = None
                    if item is not None:
                        index += 1
                        partitions.append(partition)
                        offsets.append(offset)
                        yield item
                last[partition] = offset
        except UnreadableRecordError as error:
            raise _at(error, self._changes, partition, offset) from None

    def snapshot(
        self,
        records: Sequence[Record],
        frame: Frame,
        floors: dict[int, Floor],
        last: dict[int, int],
        firsts: Mapping[int, int],
    ) -> Iterator[Item]:
        """The items of records of ``factors``, in their order; each is made when it is asked for.

        Args:
            records: without errors.
            frame: of the items; their places are added to it.
            floors: by partition, the last version and pair; moved behind the last of the records.
            last: see :meth:`changes`.
            firsts: by partition, the first offset whose record is yielded.

        Raises:
            UnreadableRecordError: of a record; the message names it.
        """
        heads: dict[int, Record] = {}
        index = 0
        partition = offset = -1
        try:
            for record in records:
                partition, offset = record.partition(), record.offset()  # type: ignore[assignment]
                if record.value() is not None:
                    heads[partition] = record
                item = self._current(record, frame, index) if offset >= firsts.get(partition, 0) else None
                if item is not None:
                    index += 1
                    frame.partitions.append(partition)
                    frame.offsets.append(offset)
                    yield item
                last[partition] = offset
        except UnreadableRecordError as error:
            raise _at(error, self._factors, partition, offset) from None
        for number, record in heads.items():
            # One that the filter leaves out may be unreadable.
            with suppress(UnreadableRecordError):
                floors[number] = max(floors.get(number, (-1, b"")), _floor_of(decode_factors(record.value())))

    def _current(self, record: Record, frame: Frame, index: int) -> Item | None:
        """The item of a record of ``factors``; None: the filter leaves it out."""
        key, value, processors = record.key(), record.value(), self._wanted.processors
        if self._prefixes and not _is_of(key, self._prefixes):
            return None
        partition, offset = record.partition() or 0, record.offset() or 0
        if value is None:
            return self._erased(key, frame, partition, offset, index, of_change=False)
        factors = decode_factors(value)
        passes = not processors or factors.processor in processors
        return Current(factors, partition, offset, frame, index) if passes else None

    def _erased(
        self, key: Any, frame: Frame, partition: int, offset: int, index: int, *, of_change: bool
    ) -> Erased | None:
        """The item of a tombstone; None: of a processor that is not wanted, or under a key that no worker uses."""
        parts = parse_event_key(key) if isinstance(key, bytes) else None
        if parts is None:
            return None
        application_id, identity = parts
        if of_change:
            return Erased(application_id, None, identity, partition, offset, frame, index)
        if self._wanted.processors and identity not in self._wanted.processors:
            return None
        return Erased(application_id, identity, None, partition, offset, frame, index)


def _is_of(key: Any, prefixes: frozenset[bytes]) -> bool:
    return isinstance(key, bytes) and key[: key.find(b"/") + 1] in prefixes


def _floor_of(factors: CurrentFactors) -> Floor:
    return factors.version.offset, factors_key(factors.application_id, factors.processor)


def _is_below(change: FactorChange, partition: int, floors: dict[int, Floor]) -> bool:
    floor = floors.get(partition)
    if floor is None:
        return False
    if change.version.offset < floor[0] or (change.version.offset == floor[0] and _floor_of(change) <= floor):
        return True
    # Versions never decrease in a partition.
    del floors[partition]
    return False


def _change_filter(wanted: Filter) -> Callable[[FactorChange], bool]:
    """Whether a change passes; applications are looked at before it is decoded."""
    processors, outcomes, factors, kinds = wanted.processors, wanted.outcomes, wanted.factors, wanted.kinds

    def passes(change: FactorChange) -> bool:
        if processors and change.processor not in processors:
            return False
        if outcomes and change.outcome not in outcomes:
            return False
        if not factors and not kinds:
            return True
        if not change.changed:
            return not factors and "unchanged" in kinds
        return any((not factors or one.factor in factors) and (not kinds or one.op in kinds) for one in change.changed)

    return passes


def _at(error: UnreadableRecordError, topic: str, partition: int, offset: int) -> UnreadableRecordError:
    advice = _REPORT if error.newer_version is None else _UPGRADE
    return UnreadableRecordError(
        error.reason,
        newer_version=error.newer_version,
        detail=error.detail,
        place=f"{topic} partition {partition} offset {offset}",
        advice=advice,
    )
