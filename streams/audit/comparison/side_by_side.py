"""The pairs of a comparison: the same events, from Kafka's log or a file, are folded once for each side."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from heapq import merge
from itertools import groupby
from operator import itemgetter
from typing import Protocol

import msgspec

from consolidator.keys import partition_of
from models.catalogue import Catalogue
from models.events import LifecycleEvent, Position
from streams.audit.comparison.catalogue_changes import CatalogueChanges
from streams.audit.comparison.legacy_strategy import LegacyStrategy
from streams.audit.comparison.report import Difference, pair_key
from streams.core.fold import Pair, Step
from streams.core.rules import Rules
from streams.partition.outbox import MadeChange
from streams.replay.basis import PartitionStanding
from streams.replay.in_memory import ReplayFold
from streams.replay.log_replay import LogReplay, Selection, ShownChange
from streams.replay.tables import Scratch
from streams.runtime.closing import Closing
from topics.contract.declared import Topics
from topics.reading.positions import AtOffset

__all__ = ["Differences", "FileComparison", "LogComparison", "OpenReplay"]

Differences = Iterator[Difference | None]
"""One for each pair, in the order of the pairs' keys; None: nothing differs."""


class OpenReplay(Protocol):
    """Opens a replay of the log; the arguments that all replays share are bound already."""

    def __call__(self, rules: Rules, selection: Selection) -> LogReplay:
        """Open a replay of a selection, with one ruleset from its beginning to its end."""


class LogComparison(Closing):
    """A comparison over Kafka's log; a context manager that removes its temporary files.

    Args:
        open_replay: opens a replay of the log.
        topics: the declared topics.
        selection: the selected range; it has no start, because results are compared, and not changes.

    Attributes:
        name: the source topic's.

    Raises:
        ContractError: the topic, a partition or an offset is not there.
        InfrastructureError: Kafka or the disk failed.
    """

    def __init__(self, open_replay: OpenReplay, topics: Topics, selection: Selection) -> None:
        super().__init__()
        self.name = topics.executions.name
        self._open = open_replay
        self._partitions = topics.partitions
        self._selection = selection
        self._standings: list[PartitionStanding] = []

    def catalogues(self, before: Catalogue, after: Catalogue) -> Differences:
        """The differences between two catalogues.

        Args:
            before: the catalogue in force.
            after: the new one.
        """
        first = self._folded(Rules(before), self._selection)
        # The log may have grown meanwhile: the second fold ends where the first one did.
        ends = [AtOffset(partition, span.end) for partition, span in first.ranges.items()]
        second = self._folded(Rules(after), replace(self._selection, ends=ends))
        yield from _between_catalogues(first.pairs(), second.pairs(), CatalogueChanges(before, after))

    def legacy(self, catalogue: Catalogue) -> Differences:
        """The differences between the old platform's strategy and the one in force."""
        rules = Rules(catalogue)
        lost = self._stack.enter_context(Scratch()).table("lost")
        replay = self._folded(rules, self._selection, lambda change: lost.write(_lost_factors(change.made)))

        def last_factors(pair: Pair) -> Mapping[str, str]:
            return msgspec.json.decode(lost.get(pair_key(pair)) or b"{}", type=dict[str, str])

        yield from _from_legacy(replay.pairs(), last_factors, LegacyStrategy(rules))

    def standings(self) -> list[PartitionStanding]:
        """After the differences: the offsets of each partition, and the digest under the catalogue in force."""
        return self._standings

    def place(self, difference: Difference) -> str:
        """The position of the event that caused a pair's last change, as JSON."""
        partition = partition_of(difference.application_id, self._partitions)
        return f'{{"partition":{partition},"offset":{difference.version}}}'

    def _folded(
        self, rules: Rules, selection: Selection, on_change: Callable[[ShownChange], None] = lambda _: None
    ) -> LogReplay:
        replay = self._stack.enter_context(self._open(rules, selection))
        for change in replay.run():
            on_change(change)
        self._standings = self._standings or replay.standings()
        return replay


def _lost_factors(made: MadeChange) -> Iterator[tuple[bytes, bytes]]:
    """The key and the factors before a change that left no factors."""
    before = made.change.before
    if before is not None and before.factors and not made.change.after.factors:
        yield made.row_key, msgspec.json.encode(before.factors)


@dataclass(frozen=True, slots=True)
class FileComparison:
    """A comparison over the events of a file.

    Attributes:
        name: the file's.
        fold_file: folds every line of it; called once for each side.
    """

    name: str
    fold_file: Callable[[ReplayFold], None]

    def catalogues(self, before: Catalogue, after: Catalogue) -> Differences:
        """See :meth:`LogComparison.catalogues`."""
        sides = [ReplayFold(Rules(catalogue)) for catalogue in (before, after)]
        for side in sides:
            self.fold_file(side)
        yield from _between_catalogues(_in_order(sides[0]), _in_order(sides[1]), CatalogueChanges(before, after))

    def legacy(self, catalogue: Catalogue) -> Differences:
        """See :meth:`LogComparison.legacy`."""
        rules = Rules(catalogue)
        fold = _RememberingFold(rules)
        self.fold_file(fold)
        yield from _from_legacy(_in_order(fold), fold.last_factors, LegacyStrategy(rules))

    def standings(self) -> list[PartitionStanding]:
        """Nothing: a file has no partitions."""
        return []

    def place(self, difference: Difference) -> str:
        """See :meth:`LogComparison.place`."""
        return f'{{"line":{difference.version}}}'


class _RememberingFold(ReplayFold):
    """Remembers which factors a pair had before it had none."""

    def __init__(self, rules: Rules) -> None:
        super().__init__(rules)
        self._lost: dict[bytes, Mapping[str, str]] = {}

    def apply(self, event: LifecycleEvent, position: Position) -> Step:
        """See :class:`ReplayFold`."""
        step = super().apply(event, position)
        change = step.change
        if change is not None and change.before is not None and change.before.factors and not change.after.factors:
            self._lost[pair_key(step.pair)] = change.before.factors
        return step

    def last_factors(self, pair: Pair) -> Mapping[str, str]:
        """The last factors of a pair that has none now."""
        return self._lost.get(pair_key(pair), {})


def _in_order(fold: ReplayFold) -> list[Pair]:
    return sorted(fold.pairs(), key=pair_key)


def _between_catalogues(before: Iterable[Pair], after: Iterable[Pair], changes: CatalogueChanges) -> Differences:
    """Merge the pairs of two sides by key; each side is in the order of its keys."""
    sides = [_keyed(side, pairs) for side, pairs in enumerate((before, after))]
    for _, same in groupby(merge(*sides, key=itemgetter(0, 1)), key=itemgetter(0)):
        found = {side: pair for _, side, pair in same}
        yield changes.difference(found.get(0), found.get(1))


def _keyed(side: int, pairs: Iterable[Pair]) -> Iterator[tuple[bytes, int, Pair]]:
    return ((pair_key(pair), side, pair) for pair in pairs)


def _from_legacy(
    pairs: Iterable[Pair], last_factors: Callable[[Pair], Mapping[str, str]], strategy: LegacyStrategy
) -> Differences:
    for pair in pairs:
        yield strategy.difference(pair, {} if pair.tally.factors else last_factors(pair))
