"""Classifies each record of the source once, before a partition's fold. The fold trusts the kinds.

For an event of this partition, the kind is the event itself, without a wrapper: nearly every record is one.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from consolidator.keys import application_prefix, parse_event_key, partition_of
from consolidator.source_records import ADOPTION_PREFIX, CONTROL_PREFIXES, ERASURE_HEADER, ERASURE_PREFIX
from models.errors import BadEventError, Defect
from models.events import LifecycleEvent
from models.lengths import MAX_ID_BYTES, fits
from models.values import Value
from streams.core.rules import Rules
from streams.partition.batch import SourceRecord
from streams.partition.ruleset_switches import RulesetSwitches
from topics.records.decoding import decode_event
from topics.records.erasure_authority import ErasureAuthority, confirmed_erasure
from topics.records.erasures import Erasure

__all__ = ["Adopted", "Edge", "Foreign", "ForeignRemoval", "Kind", "Tombstone", "is_adoption", "is_control"]

_NO_KEY: Final = b""


class Tombstone(NamedTuple):
    """A record without a value: it erases an event of this partition permanently.

    Attributes:
        application_id: the event's application.
        event_id: the event's id.
        is_too_long: an id is beyond the limits. Such a record counts if the state has the event, from before there were
            limits. The event's partition is not computed for it.
    """

    application_id: str
    event_id: str
    is_too_long: bool = False


class Foreign(NamedTuple):
    """An event, or a tombstone, under another key or in another partition than the contract says.

    Attributes:
        key: the canonical key.
        partition: the canonical partition.
    """

    key: bytes
    partition: int


class ForeignRemoval(Value):
    """An erasure's tombstone for a record under a foreign key; the canonical copy has a tombstone of its own."""


class Adopted(NamedTuple):
    """The adoption of a ruleset, confirmed."""

    rules: Rules


Kind = LifecycleEvent | Tombstone | Foreign | ForeignRemoval | Erasure | Adopted | BadEventError
"""The kinds of a record. An :class:`~topics.records.erasures.Erasure` may also be a lift. An error says why a record is
bad."""


def is_control(key: bytes | None) -> bool:
    """Whether a record with this key counts only if an entry in another topic confirms it."""
    return key is not None and key.startswith(CONTROL_PREFIXES)


def is_adoption(key: bytes | None) -> bool:
    """Whether a record with this key adopts a ruleset, if an entry confirms it."""
    return key is not None and key.startswith(ADOPTION_PREFIX)


class Edge:
    """Classifies the records of one partition.

    Args:
        partition: the source partition.
        partitions: how many there are.
        max_event_bytes: larger events are bad.
    """

    def __init__(self, partition: int, partitions: int, max_event_bytes: int) -> None:
        self._partition: Final = partition
        self._partitions: Final = partitions
        self._max_event_bytes: Final = max_event_bytes

    def classified(
        self, records: Sequence[SourceRecord], switches: RulesetSwitches, authority: ErasureAuthority
    ) -> tuple[list[Kind], list[bytes]]:
        """The kinds of records, and for each event the key of its pair's row.

        Args:
            records: the records. The entries that confirm some of them were read already.
            switches: where another ruleset was adopted.
            authority: knows which erasures count.

        Raises:
            ContractError: the entry of a record cannot be read.
        """
        kinds: list[Kind] = []
        row_keys: list[bytes] = []
        # The key prefixes of applications of this partition, kept because an application's events come in bursts.
        home: set[bytes] = set()
        max_bytes, partition, partitions = self._max_event_bytes, self._partition, self._partitions
        for record in records:
            row_key = _NO_KEY
            kind: Kind
            try:
                key, value = record.key, record.value
                if value is None or (key is not None and key.startswith(CONTROL_PREFIXES)):
                    kind = self._without_event(record, switches, authority)
                else:
                    event = decode_event(value, max_bytes=max_bytes, recorded_at=record.timestamp * 1000)
                    application_id = event.application_id
                    prefix = application_prefix(application_id)
                    canonical = prefix + event.event_id.encode()
                    is_home = prefix in home
                    if not is_home and partition_of(application_id, partitions) == partition:
                        home.add(prefix)
                        is_home = True
                    if is_home and canonical == key:
                        kind = event
                        row_key = prefix + event.processor.encode()
                    else:
                        kind = Foreign(canonical, partition_of(application_id, partitions))
            except BadEventError as error:
                # Without its traceback, which refers to this frame, whose list of kinds refers to the error. The cycle
                # collector runs only every few minutes, and until then each cycle would keep a batch in memory.
                kind = BadEventError(error.defect, str(error))
            kinds.append(kind)
            row_keys.append(row_key)
        return kinds, row_keys

    def _without_event(self, record: SourceRecord, switches: RulesetSwitches, authority: ErasureAuthority) -> Kind:
        """The kind of a control record or a tombstone.

        Raises:
            BadEventError: it is neither, or is not valid.
        """
        key = record.key
        if key is not None and key.startswith(ERASURE_PREFIX):
            return confirmed_erasure(record, self._partition, authority)
        if key is not None and key.startswith(ADOPTION_PREFIX):
            return _adopted(record, switches)
        return self._tombstone(record)

    def _tombstone(self, record: SourceRecord) -> Kind:
        key = record.key
        identity = None if key is None else parse_event_key(key)
        is_erasures = any(name == ERASURE_HEADER for name, _ in record.headers)
        if key is None or identity is None:
            if is_erasures:
                return ForeignRemoval()
            raise BadEventError(
                Defect.TOMBSTONE_KEY, "a tombstone needs the key of the event that it erases: application_id/event_id"
            )
        application_id, event_id = identity
        if not fits(application_id, MAX_ID_BYTES) or not fits(event_id, MAX_ID_BYTES):
            # Do not compute the partition of an unknown id beyond the limits.
            return ForeignRemoval() if is_erasures else Tombstone(application_id, event_id, is_too_long=True)
        partition = partition_of(application_id, self._partitions)
        if partition == self._partition:
            return Tombstone(application_id, event_id)
        return ForeignRemoval() if is_erasures else Foreign(key, partition)


def _adopted(record: SourceRecord, switches: RulesetSwitches) -> Adopted:
    rules = switches.rules_at(record.offset)
    if rules is None:
        raise BadEventError(
            Defect.INVALID_ADOPTION,
            "a record under /ruleset/ adopts nothing: a worker writes it, with --adopt-ruleset, and nobody else",
        )
    return Adopted(rules)
