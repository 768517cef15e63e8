"""What one batch publishes, in order, and how it becomes records.

Changes are written out some thousand at a time, not one by one in between: a CPU's caches hold the code that decodes,
that folds, or that writes, but not all of it at once (``docs/decisions/0013``).
"""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from consolidator.keys import change_key
from streams.core.change import Change, common_parts, encode_change, encode_factors
from streams.partition.batch import Outgoing
from streams.partition.sizes import memory_size
from topics.contract.declared import Topics
from topics.records.cloudevents import change_headers, factors_headers

__all__ = ["Outbox"]


_ENVELOPE_BYTES: Final = 512
"""About the bytes of a published record's key and headers. Counting each would take a tenth of the fold's time."""


class _PairChange(NamedTuple):
    """A change of a pair, and the ruleset that it was made with, as JSON text."""

    row_key: bytes
    change: Change
    ruleset_json: str


@dataclass(slots=True)
class Outbox:
    """What one batch publishes, in order.

    Attributes:
        unwritten: at most the bytes of the records that are not written yet. The caller, which folds, adds to it.
        size: about the bytes that the written records take in memory.
    """

    unwritten: int = 0
    size: int = 0
    _pending: list[Outgoing | _PairChange] = field(default_factory=list)
    _latest: dict[bytes, _PairChange] = field(default_factory=dict)
    _written: list[Outgoing] = field(default_factory=list)
    _factors: dict[bytes, Outgoing] = field(default_factory=dict)

    def add(self, record: Outgoing) -> None:
        """Add a record that is complete already: a dead letter, a re-publication or a tombstone."""
        self._pending.append(record)
        size = memory_size(record.key, record.value, record.headers or ())
        self.size += size
        self.unwritten += size

    def tell(self, row_key: bytes, change: Change, ruleset_json: str) -> None:
        """Add the change of a pair; the pair's last change in the batch gives its ``factors`` record."""
        pair_change = _PairChange(row_key, change, ruleset_json)
        self._pending.append(pair_change)
        self._latest[row_key] = pair_change

    def withdraw_factors(self, row_key: bytes) -> None:
        """Drop the ``factors`` record of a pair that was removed, whichever of its changes came before."""
        self._latest.pop(row_key, None)
        self._forget_factors(row_key)

    def write(self, topics: Topics, partition: int) -> None:
        """Make records of everything that was added since the last call."""
        changes_topic, factors_topic = topics.factor_changes.name, topics.factors.name
        written, factors, latest = self._written, self._factors, self._latest
        size = 0
        for pending in self._pending:
            if isinstance(pending, Outgoing):
                written.append(pending)
                continue
            row_key, change, ruleset_json = pending
            identity = change.id
            common = common_parts(change, ruleset_json)
            ce_id, subject = identity.encode(), change.application_id.encode()
            key = change_key(change.application_id, identity)
            value = encode_change(change, identity, common)
            headers = change_headers(ce_id, subject)
            written.append(Outgoing(changes_topic, partition, key, value, headers))
            size += _ENVELOPE_BYTES + len(value)
            if latest.get(row_key) is pending:
                if row_key in factors:
                    self._forget_factors(row_key)
                headers = factors_headers(ce_id, subject)
                value = encode_factors(common)
                factors[row_key] = Outgoing(factors_topic, partition, row_key, value, headers)
                size += _ENVELOPE_BYTES + len(value)
        self.size += size
        self._pending.clear()
        self._latest.clear()
        self.unwritten = 0

    def drained(self, topics: Topics, partition: int) -> list[Outgoing]:
        """Everything as records, and empty the outbox: what was added, then the ``factors`` of each changed pair.

        The ``factors`` records are in the order of the pairs' last changes, so that versions never go back.
        """
        self.write(topics, partition)
        records = [*self._written, *self._factors.values()]
        self._written.clear()
        self._factors.clear()
        return records

    def _forget_factors(self, row_key: bytes) -> None:
        earlier = self._factors.pop(row_key, None)
        if earlier is not None:
            self.size -= _ENVELOPE_BYTES + len(earlier.value or b"")
