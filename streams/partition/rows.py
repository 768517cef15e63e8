"""The rows of one partition for its fold: rows that batches in flight changed, cached rows, and stored rows."""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Final

from consolidator.keys import parse_event_key
from models.rows import Erasures, Row
from streams.core.fold import Pair, load_pair
from streams.core.rules import Rules
from streams.partition.result import Folded
from streams.partition.state.pair_cache import PairCache
from streams.partition.state.row_codec import RowReader, decode_row

__all__ = ["PartitionRows"]


class PartitionRows:
    """Reads the newest state of each row.

    Args:
        stored: the stored rows.
        rules: the rules with which rows are loaded.
        cached_pairs: how many unpinned pairs stay decoded in memory.
        cached_weight: the greatest total weight of those pairs' rows (:attr:`models.rows.Row.weight`).
        partition: the partition, for an error's text.

    Attributes:
        rules: the rules with which rows are loaded.
        cached: returns the decoded pair of a row key, as it was before the batch that was pinned last, if it is in
            memory.
    """

    def __init__(self, stored: RowReader, rules: Rules, cached_pairs: int, cached_weight: int, partition: int) -> None:
        self.rules = rules
        self._partition = partition
        self._stored = stored
        self._pairs = PairCache(cached_pairs, cached_weight)
        # Bound directly, without a wrapper, because it is called for every event.
        self.cached: Final = self._pairs.get
        self._pinned: list[Folded] = []

    def pin(self, folded: Folded) -> None:
        """Keep in memory the rows that this batch changes: from now on they are newer than the stored ones."""
        self._pinned.append(folded)

    def keep(self, folded: Folded) -> None:
        """Keep the pairs that this batch changed decoded, because the next batch continues from them."""
        self._pairs.put_all(folded.pairs)

    def unpin(self, folded: Folded) -> None:
        """Unpin the rows of this batch, because they are stored."""
        self._pinned.remove(folded)
        self._pairs.shrink([pinned.pairs for pinned in self._pinned])

    def adopt(self, rules: Rules) -> None:
        """Forget all decoded pairs and use these rules: every row was rewritten."""
        self._pairs.clear()
        self.rules = rules

    def drop(self, key: bytes) -> None:
        """Forget a row that was removed in the batch that was pinned last."""
        self._pairs.drop(key)

    def pair(self, key: bytes) -> Pair | None:
        """The newest state of a pair, from the last pinned batch, the cache or the stored rows; None: there is none."""
        changed = self._pinned[-1].pairs.get(key) if self._pinned else None
        return changed or self.cached(key) or self.loaded(key)

    def loaded(self, key: bytes) -> Pair | None:
        """Load a pair that is not decoded in memory from its stored row; None: there is no row."""
        raw = self._raw(key)
        if raw is None:
            return None
        row = decode_row(raw, key, self._partition)
        assert isinstance(row, Row)  # noqa: S101 - the key tells the kind
        return load_pair(row, self.rules)

    def erasures(self, key: bytes) -> Erasures | None:
        """The erased events of an application, if there are any."""
        for folded in reversed(self._pinned):
            if key in folded.erasures:
                return folded.erasures[key]
            if key in folded.removed:
                return None
        raw = self._stored.get(key)
        row = None if raw is None else decode_row(raw, key, self._partition)
        return row if isinstance(row, Erasures) else None

    def pairs_of(self, prefix: bytes) -> Sequence[tuple[bytes, Pair]]:
        """Every pair of an application, the newest state of each."""
        keys = {key for key, _ in self._stored.scan(prefix) if key != prefix}
        keys.update(self._pairs.keys(prefix))
        for folded in self._pinned:
            keys.update(key for key in (*folded.rewritten, *folded.pairs) if key.startswith(prefix))
        found = [(key, self.pair(key)) for key in sorted(keys)]
        return [(key, pair) for key, pair in found if pair is not None]

    def keys_where(self, wanted: Callable[[bytes], bool]) -> list[bytes]:
        """The keys of all rows of the wanted applications. Every row of the partition is looked at.

        Args:
            wanted: whether an application is wanted, by the prefix of its keys; called once for consecutive keys.
        """
        found = set()
        prefix, is_wanted = b"", False
        for key in self._keys():
            if not prefix or not key.startswith(prefix):
                prefix = key[: key.find(b"/") + 1]
                is_wanted = bool(prefix) and wanted(prefix)
            if is_wanted and not self._is_removed(key):
                found.add(key)
        return sorted(found)

    def stored_after(self, after: bytes, is_home: Callable[[str], bool]) -> Iterator[tuple[bytes, bytes]]:
        """The stored pairs after a key, in the order of their keys, with their rows.

        Args:
            after: the key; empty: all pairs.
            is_home: whether an application id belongs to this partition: a replay has all partitions in one table.
        """
        prefix, is_wanted = b"", False
        for key, raw in self._stored.scan(b""):
            if key <= after:
                continue
            if not prefix or not key.startswith(prefix):
                prefix = key[: key.find(b"/") + 1]
                # The second slash stands for an event's id, because parse_event_key refuses a key without one.
                identity = parse_event_key(prefix + b"/")
                is_wanted = identity is not None and is_home(identity[0])
            # The row under the bare prefix has the application's erased events; it is no pair.
            if is_wanted and key != prefix:
                yield key, raw

    def _keys(self) -> Iterator[bytes]:
        stored = (key for key, _ in self._stored.scan(b""))
        pinned = ((*folded.rewritten, *folded.pairs, *folded.erasures) for folded in self._pinned)
        return chain(stored, self._pairs.keys(b""), *pinned)

    def _raw(self, key: bytes) -> bytes | None:
        for folded in reversed(self._pinned):
            if key in folded.rewritten:
                return folded.rewritten[key]
            if key in folded.removed:
                return None
        return self._stored.get(key)

    def _is_removed(self, key: bytes) -> bool:
        for folded in reversed(self._pinned):
            if key in folded.pairs or key in folded.erasures or key in folded.rewritten:
                return False
            if key in folded.removed:
                return True
        return False
