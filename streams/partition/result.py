"""The result of folding one batch: records to produce and rows to write. All of it takes effect, or none."""

from dataclasses import dataclass, field
from typing import Final

from models.rows import ErasedApplication, Erasures, HalfwayMark, PartitionMark
from streams.core.fold import Pair
from streams.partition.batch import Outgoing
from streams.partition.outbox import MadeChange, Outbox
from streams.partition.state.row_codec import MARK_KEY, encode_row

__all__ = ["ROW_COPIES", "Folded", "StoredRow"]

ROW_COPIES: Final = 4
"""How many times its size a changed row takes in memory until it is written: decoded (several times its bytes),
encoded, in the producer's queue, and in RocksDB's batch."""

StoredRow = tuple[bytes, bytes | None]
"""A row's key and bytes; None: the row is gone."""


@dataclass(slots=True)
class Folded:
    """The result of folding one batch.

    Attributes:
        mark: how far the partition is applied; in a part of an adoption, how far the adoption is.
        events: records that were folded.
        outbox: changes, re-publications and dead letters, in order.
        outgoing: the outbox and the ``factors`` of each changed pair as records, once everything is folded.
        changes: the changes as values, each with its record in ``outgoing`` and in that order; empty: the fold does not
            keep them. With them, this process need not decode its own records again.
        rewritten: rows under another ruleset, by row key; the pairs in ``pairs`` changed after that.
        pairs: pairs that changed, by row key.
        erasures: erasure rows that changed, by row key.
        erased: applications that were erased, by row key.
        removed: the keys of rows that are gone: of an erased application, or of an erasure that was lifted.
        erased_prefixes: the key prefixes of the applications whose rows are gone.
        end: one past the last offset of the result: the batch's end, or before it if there was no room for more.
        erasures_bytes: an upper bound of the bytes of the erasure rows that changed.
    """

    mark: PartitionMark
    events: int = 0
    outbox: Outbox = field(default_factory=Outbox)
    outgoing: list[Outgoing] = field(default_factory=list)
    changes: list[MadeChange] = field(default_factory=list)
    rewritten: dict[bytes, bytes] = field(default_factory=dict)
    pairs: dict[bytes, Pair] = field(default_factory=dict)
    erasures: dict[bytes, Erasures] = field(default_factory=dict)
    erased: dict[bytes, ErasedApplication] = field(default_factory=dict)
    removed: set[bytes] = field(default_factory=set)
    erased_prefixes: set[bytes] = field(default_factory=set)
    end: int = 0
    erasures_bytes: int = 0

    @property
    def size(self) -> int:
        """About the bytes that the result takes in memory. Computing it looks at every changed row."""
        weight = self.erasures_bytes + sum([pair.row.weight for pair in self.pairs.values()])
        return self.outbox.size + ROW_COPIES * weight

    @property
    def is_halfway(self) -> bool:
        """Whether this is a part of an adoption, and not the last one."""
        return isinstance(self.mark, HalfwayMark)

    def rows(self) -> list[StoredRow]:
        """Every changed row; the mark comes last."""
        rows: list[StoredRow] = [(key, None) for key in self.removed]
        rows += [(key, raw) for key, raw in self.rewritten.items() if key not in self.pairs]
        rows += [(key, encode_row(pair.row)) for key, pair in self.pairs.items()]
        rows += [(key, encode_row(erasures)) for key, erasures in self.erasures.items()]
        rows += [(key, encode_row(erased)) for key, erased in self.erased.items()]
        rows.append((MARK_KEY, encode_row(self.mark)))
        return rows
