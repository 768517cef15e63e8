"""The output of one batch, in order, and its encoding as records.

Changes are encoded some thousand at a time, and not one by one between events: a CPU's caches hold the code for
decoding, for folding, or for encoding, but not all of it at once (``docs/decisions/0013``).
"""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from consolidator.keys import change_key
from streams.core.change import Change, common_parts, encode_change, encode_factors
from streams.core.rules import Rules
from streams.partition.batch import Outgoing
from streams.partition.sizes import memory_size
from topics.contract.declared import Topics
from topics.records.cloudevents import change_headers, factors_headers

__all__ = ["MadeChange", "Outbox"]


_ENVELOPE_BYTES: Final = 512
"""About the bytes of a published record's key and headers. Counting each would take a tenth of the fold's time."""


_VALUE_FACTOR: Final = 4
"""The size of a change's factors as values in memory, relative to their size as text."""

_REFERENCE_BYTES: Final = 8


class MadeChange(NamedTuple):
    """A change as a value, and its record.

    Attributes:
        row_key: the key of the pair's row, and of its ``factors`` record.
        change: the change.
        id: its identity.
        rules: the ruleset that it was made with.
        record: the ``factor-changes`` record.
    """

    row_key: bytes
    change: Change
    id: str
    rules: Rules
    record: Outgoing

    @property
    def offset(self) -> int:
        """Where the causing record stands in its partition."""
        return self.change.cause.position.offset


def _value_size(change: Change, text_bytes: int) -> int:
    """About the bytes that a change takes in memory as a value. The pair's next change shares a part of them."""
    after = change.after
    return _VALUE_FACTOR * text_bytes + _REFERENCE_BYTES * (len(after.contributions) + len(after.failures))


@dataclass(slots=True)
class Outbox:
    """The output of one batch, in order.

    Attributes:
        pending: the output that is not encoded yet, in order: complete records, changes with the keys of their pairs'
            rows, and keys of removed rows. The fold appends changes itself.
        unwritten: an upper bound of the size of the records that are not encoded yet. The fold adds those of changes.
        size: about the bytes that the encoded records take in memory, and the values that are kept.
        keeps_changes: whether changes are kept as values, too. A worker drops each once it is encoded, because it
            refers to the whole state before and after it.
    """

    pending: list[Outgoing | tuple[bytes, Change] | bytes] = field(default_factory=list)
    unwritten: int = 0
    size: int = 0
    keeps_changes: bool = False
    _changes: list[MadeChange] = field(default_factory=list)
    _written: list[Outgoing] = field(default_factory=list)
    _factors: dict[bytes, Outgoing] = field(default_factory=dict)

    def add(self, record: Outgoing) -> None:
        """Add a record that is complete already: a dead letter, a re-publication or a tombstone."""
        self.pending.append(record)
        size = memory_size(record.key, record.value, record.headers or ())
        self.size += size
        self.unwritten += size

    def withdraw_factors(self, row_key: bytes) -> None:
        """Drop the ``factors`` record of a pair that was removed, although it may have changes in this batch."""
        self.pending.append(row_key)

    def write(self, topics: Topics, partition: int, rules: Rules) -> None:
        """Encode everything that was added since the last call.

        Args:
            topics: the declared topics.
            partition: the partition.
            rules: the ruleset of the changes.
        """
        latest: dict[bytes, Change] = {}
        for pending in self.pending:
            if isinstance(pending, tuple):
                latest[pending[0]] = pending[1]
            elif isinstance(pending, bytes):
                latest.pop(pending, None)
                self._forget_factors(pending)
        changes_topic, factors_topic = topics.factor_changes.name, topics.factors.name
        written, factors, ruleset_json = self._written, self._factors, rules.json
        size = 0
        for pending in self.pending:
            if isinstance(pending, tuple):
                row_key, change = pending
                identity = change.id
                common = common_parts(change, ruleset_json)
                ce_id, subject = identity.encode(), change.application_id.encode()
                key = change_key(change.application_id, identity)
                value = encode_change(change, identity, common)
                headers = change_headers(ce_id, subject)
                record = Outgoing(changes_topic, partition, key, value, headers)
                written.append(record)
                size += _ENVELOPE_BYTES + len(value)
                if self.keeps_changes:
                    self._changes.append(MadeChange(row_key, change, identity, rules, record))
                    size += _value_size(change, len(value))
                if latest.get(row_key) is change:
                    if row_key in factors:
                        self._forget_factors(row_key)
                    headers = factors_headers(ce_id, subject)
                    value = encode_factors(common)
                    factors[row_key] = Outgoing(factors_topic, partition, row_key, value, headers)
                    size += _ENVELOPE_BYTES + len(value)
            elif isinstance(pending, Outgoing):
                written.append(pending)
        self.size += size
        self.pending.clear()
        self.unwritten = 0

    def drained(self, topics: Topics, partition: int, rules: Rules) -> tuple[list[Outgoing], list[MadeChange]]:
        """Empty the outbox, and return it as records: first what was added, then the ``factors`` of each changed pair.

        The ``factors`` records are in the order of the pairs' last changes, so that versions in the topic never
        decrease.

        Args:
            topics: the declared topics.
            partition: the partition.
            rules: the ruleset of the changes.

        Returns:
            The records, and the changes as values, in the same order, if they are kept.
        """
        self.write(topics, partition, rules)
        records = [*self._written, *self._factors.values()]
        changes = self._changes
        self._changes = []
        self._written.clear()
        self._factors.clear()
        return records, changes

    def _forget_factors(self, row_key: bytes) -> None:
        earlier = self._factors.pop(row_key, None)
        if earlier is not None:
            self.size -= _ENVELOPE_BYTES + len(earlier.value or b"")
