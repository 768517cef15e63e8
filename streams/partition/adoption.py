"""A partition goes over to another ruleset, pair by pair in the order of their keys, in parts of bounded size.

Each part is a transaction of its own. The mark says how far the partition is (:class:`models.rows.HalfwayMark`), so the
result does not depend on where a part ends.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple, Protocol

from msgspec.structs import replace

from consolidator.keys import change_key
from models.rows import HalfwayMark, PartitionMark
from streams.core.change import Change, RulesetCause, adoption_id, encode_difference, ruleset_tail
from streams.core.rules import Rules
from streams.partition.batch import Outgoing, SourceRecord
from streams.partition.judge import Judge, decode_judgement, head_of_row, with_version
from streams.partition.outbox import MadeChange
from topics.contract.declared import Topics
from topics.records.cloudevents import change_headers, factors_headers

__all__ = ["PART_PAIRS", "Adopting", "GoingOver", "Part", "Refolded", "mark_after"]


PART_PAIRS: Final = 6_000
_PART_BYTES: Final = 16 * 1024 * 1024
"""The greatest number of bytes of one part, rows and published records together. It is large enough to make a
transaction's cost negligible, and small enough to be in memory three times, and to be aborted quickly."""


class Refolded(Protocol):
    """A partition's pairs, folded with another ruleset."""

    def pairs_after(self, key: bytes) -> Iterator[tuple[bytes, bytes, bytes | None]]:
        """Yield the pairs after a key, in the order of keys: each with its key, row and, if it is known, judgement.

        Row and judgement are as :meth:`~streams.partition.judge.Judge.ahead` gives them.
        """


class Adopting(NamedTuple):
    """A record that adopts another ruleset, and that ruleset."""

    record: SourceRecord
    rules: Rules


class Part(NamedTuple):
    """Some pairs that go over together.

    Attributes:
        rows: their rows of the other ruleset.
        outgoing: the records to publish about pairs that differ.
        changes: the same changes as values, if they are kept.
        until: the key of the last pair; empty: there is none.
        is_last: whether all pairs have gone over with it.
    """

    rows: dict[bytes, bytes]
    outgoing: list[Outgoing]
    changes: list[MadeChange]
    until: bytes
    is_last: bool


def mark_after(mark: PartitionMark, adopting: Adopting, part: Part) -> PartitionMark:
    """The partition's mark after a part: a halfway mark; after the last part, the mark at the adopting record.

    Args:
        mark: of the partition before the adoption.
        adopting: the adoption.
        part: the part.
    """
    record, rules = adopting
    if part.is_last:
        return replace(mark, applied=record.offset, ruleset=rules.tag)
    return HalfwayMark.of(mark, record.offset, part.until)


class GoingOver:
    """Compares each pair under both rulesets, and makes the records about differences.

    Args:
        judge: compares the pairs.
        cause: the adoption.
        topics: the declared topics.
        partition: the source partition.
        part_pairs: the greatest number of pairs in one part.
        keeps_changes: whether changes are kept as values, too.
    """

    def __init__(
        self,
        judge: Judge,
        cause: RulesetCause,
        topics: Topics,
        partition: int,
        part_pairs: int = PART_PAIRS,
        *,
        keeps_changes: bool = False,
    ) -> None:
        self._judge = judge
        self._cause = cause
        self._tail = ruleset_tail(cause, judge.after.json)
        self._changes_topic = topics.factor_changes.name
        self._factors_topic = topics.factors.name
        self._partition = partition
        self._part_pairs = part_pairs
        self._keeps_changes = keeps_changes
        self._rows: dict[bytes, bytes] = {}
        self._kept: list[MadeChange] = []
        self._changes: list[Outgoing] = []
        self._factors: list[Outgoing] = []
        self._size = 0

    def parts(
        self, old: Iterator[tuple[bytes, bytes]], new: Iterator[tuple[bytes, bytes, bytes | None]]
    ) -> Iterator[Part]:
        """The parts; the last one may have no pairs.

        Args:
            old: the pairs that have not gone over, in the order of their keys.
            new: the same pairs, folded with the other ruleset, see :meth:`Refolded.pairs_after`.

        Raises:
            ContractError: the new pairs lack a pair, or an event of one.
        """
        key, raw = next(old, _END)
        until = b""
        for until, new_raw, judged in new:
            if key and key < until:
                raise self._judge.incomplete(key)
            if key == until:
                self._take(until, raw, new_raw, judged)
                key, raw = next(old, _END)
            else:
                self._take(until, None, new_raw, judged)
            if len(self._rows) >= self._part_pairs or self._size >= _PART_BYTES:
                yield self._part(until, is_last=False)
        if key:
            raise self._judge.incomplete(key)
        yield self._part(until, is_last=True)

    def _take(self, key: bytes, old_raw: bytes | None, new_raw: bytes, judged: bytes | None) -> None:
        judgement = None if judged is None else decode_judgement(judged)
        if judgement is not None and judgement.holds_for(old_raw, new_raw):
            if judgement.parts is None:
                # Nearly every pair takes this branch: nothing differs, and the row has its version already.
                self._rows[key] = new_raw
                self._size += len(new_raw)
                return
        else:
            judgement = self._judge.judge(key, old_raw, new_raw)
        head = head_of_row(new_raw)
        parts = judgement.parts
        if parts is None:
            self._rows[key] = row = with_version(new_raw, head, judgement.version)
            self._size += len(row)
            return
        self._rows[key] = row = with_version(new_raw, head, self._cause.position.offset)
        identity = adoption_id(self._cause, head.application_id, head.processor)
        change, factors = encode_difference(identity, parts, self._tail)
        ce_id, subject = identity.encode(), head.application_id.encode()
        change_record = Outgoing(
            self._changes_topic,
            self._partition,
            change_key(head.application_id, identity),
            change,
            change_headers(ce_id, subject),
        )
        self._changes.append(change_record)
        if self._keeps_changes:
            value = self._change(key, old_raw, new_raw)
            self._kept.append(MadeChange(key, value, identity, self._judge.after, change_record))
        headers = factors_headers(ce_id, subject)
        self._factors.append(Outgoing(self._factors_topic, self._partition, key, factors, headers))
        self._size += len(row) + len(change) + len(factors)

    def _change(self, key: bytes, old_raw: bytes | None, new_raw: bytes) -> Change:
        """The change of a pair that differs, as a value."""
        old, new, _ = self._judge.compare(key, old_raw, new_raw)
        row = new.row
        kind = self._judge.after.of(row.processor).processor_type
        before = None if old is None else old.tally
        return Change(row.application_id, row.processor, kind, before, new.tally, self._cause)

    def _part(self, until: bytes, *, is_last: bool) -> Part:
        """A part of the pairs that were taken since the last part. Changes come first, as in every transaction."""
        part = Part(self._rows, self._changes + self._factors, self._kept, until, is_last)
        self._rows, self._changes, self._factors, self._kept, self._size = {}, [], [], [], 0
        return part


_END: Final = (b"", b"")
"""Stands for the end of the pairs: no pair has an empty key."""
