"""Splits a batch into parts, each one transaction, if it adopts another ruleset, or if its output is large."""

import sys
from collections.abc import Iterator

from streams.partition.adoption import PART_PAIRS
from streams.partition.batch import Batch
from streams.partition.partition_fold import PartitionFold
from streams.partition.result import Folded

__all__ = ["fold_in_parts"]


def fold_in_parts(
    fold: PartitionFold, batch: Batch, *, part_pairs: int = PART_PAIRS, room: int = sys.maxsize
) -> Iterator[tuple[Batch, Folded]]:
    """Fold a batch, in which another ruleset may be adopted; yield the results, one for each transaction.

    The caller has to store the rows of each part, and to call ``fold.written`` for it, before it takes the next part.

    Args:
        fold: of the partition.
        batch: the batch.
        part_pairs: the greatest number of pairs that go over together.
        room: the greatest number of bytes of output in a part; see
            :meth:`~streams.partition.partition_fold.PartitionFold.fold`.

    Yields:
        A part of the batch, and its result. The record of an adoption is yielded once for each part of the adoption;
        only the last one ends after the record.
    """
    while (adopting := fold.adoption_in(batch)) is not None:
        record = adopting.record
        if batch.start < record.offset:
            yield from _in_room(fold, batch.until(record.offset), room)
        with fold.switches.refolded(record.offset, adopting.rules) as refolded:
            for folded in fold.go_over(adopting, refolded, part_pairs=part_pairs):
                yield batch.at(record, is_applied=not folded.is_halfway), folded
        batch = batch.behind(record.offset)
        if batch.start == batch.end:
            return
    yield from _in_room(fold, batch, room)


def _in_room(fold: PartitionFold, batch: Batch, room: int) -> Iterator[tuple[Batch, Folded]]:
    rest: Batch | None = batch
    while rest is not None:
        folded = fold.fold(rest, room)
        taken, rest = rest.cut(folded.end)
        yield taken, folded
