"""How the contributions of a pair become its factors: one strategy for each processor type, and MERGE.

Contributions come in execution order. A strategy's state is immutable and follows them one by one.
"""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple, Protocol

from models.catalogue import FactorRule, ProcessorRule, ProcessorType, Reducer
from models.numbers import units_of
from streams.core.reducers import POSITIONAL, REDUCTIONS, rounded

__all__ = ["MERGE", "Contribution", "Contributions", "Strategy", "strategy_of"]

Contribution = tuple[int, str, dict[str, str]]
"""The end's time in microseconds, the execution's id, and its accepted factors: sorts in execution order."""

Contributions = tuple[Contribution, ...]


class Strategy(Protocol):
    """Turns contributions into factors, incrementally."""

    def start(self, contributions: Contributions) -> Any:
        """The state of all contributions, computed from nothing."""

    def add(self, state: Any, added: Contribution, contributions: Contributions) -> Any:
        """The state after ``added`` was added; ``contributions`` contains it already."""

    def remove(self, state: Any, removed: Contribution, contributions: Contributions) -> Any:
        """The state after ``removed`` was removed; ``contributions`` no longer contains it."""

    def factors(self, state: Any, contributions: Contributions) -> dict[str, str]:
        """The consolidated factors, sorted by name, as canonical JSON text."""


class _Merge:
    """The mission's own ``consolidate()``: ``factors.update(...)`` in execution order, the later one wins."""

    def start(self, contributions: Contributions) -> dict[str, str]:
        merged: dict[str, str] = {}
        for _, _, factors in contributions:
            merged.update(factors)
        return merged

    def add(self, state: dict[str, str], added: Contribution, contributions: Contributions) -> dict[str, str]:
        if contributions[-1] is added:
            return {**state, **added[2]}
        return self.start(contributions)

    def remove(self, _state: dict[str, str], _removed: Contribution, contributions: Contributions) -> dict[str, str]:
        return self.start(contributions)

    def factors(self, state: dict[str, str], _contributions: Contributions) -> dict[str, str]:
        return dict(sorted(state.items()))


class _Factor(NamedTuple):
    """A factor's declaration, flat for the hot path."""

    name: str
    field: str
    reducer: Reducer
    scale: int | None


def _declared(factors: Iterable[tuple[str, FactorRule]]) -> tuple[_Factor, ...]:
    return tuple(_Factor(name, rule.field, rule.reducer, rule.scale) for name, rule in sorted(factors))


def _picked(factor: _Factor, contributions: Contributions) -> str | None:
    """The value of a positional reducer: the first or the last value, as the reducer says."""
    for _, _, factors in reversed(contributions) if factor.reducer is Reducer.LATEST else contributions:
        text = factors.get(factor.field)
        if text is not None:
            # A factor with a scale accepts numbers only, so the value can be rounded.
            return text if factor.scale is None else rounded(units_of(text), factor.scale)
    return None


class _Aggregate:
    """Documents and stipulations: every factor is reduced over all contributions."""

    def __init__(self, rule: ProcessorRule) -> None:
        declared = _declared(rule.factors.items())
        self._positional = tuple(factor for factor in declared if factor.reducer in POSITIONAL)
        self._reduced = tuple(
            (factor, REDUCTIONS[factor.reducer]) for factor in declared if factor.reducer not in POSITIONAL
        )

    def start(self, contributions: Contributions) -> tuple[Any, ...]:
        state = tuple(reduction.start for _, reduction in self._reduced)
        for contribution in contributions:
            state = self.add(state, contribution, contributions)
        return state

    def add(self, state: tuple[Any, ...], added: Contribution, _contributions: Contributions) -> tuple[Any, ...]:
        values = added[2]
        return tuple(
            [
                accumulator if (text := values.get(factor.field)) is None else reduction.add(accumulator, text)
                for accumulator, (factor, reduction) in zip(state, self._reduced, strict=True)
            ]
        )

    def remove(self, state: tuple[Any, ...], removed: Contribution, _contributions: Contributions) -> tuple[Any, ...]:
        values = removed[2]
        return tuple(
            [
                accumulator if (text := values.get(factor.field)) is None else reduction.remove(accumulator, text)
                for accumulator, (factor, reduction) in zip(state, self._reduced, strict=True)
            ]
        )

    def factors(self, state: tuple[Any, ...], contributions: Contributions) -> dict[str, str]:
        found = {}
        for accumulator, (factor, reduction) in zip(state, self._reduced, strict=True):
            text = reduction.render(accumulator, factor.scale)
            if text is not None:
                found[factor.name] = text
        if not self._positional:
            return found
        for factor in self._positional:
            text = _picked(factor, contributions)
            if text is not None:
                found[factor.name] = text
        return dict(sorted(found.items()))


class _LatestAlone:
    """Applications: every factor comes from the latest contribution alone."""

    def __init__(self, rule: ProcessorRule) -> None:
        self._aggregate = _Aggregate(rule)

    def start(self, _contributions: Contributions) -> None:
        return None

    def add(self, state: None, _added: Contribution, _contributions: Contributions) -> None:
        return state

    def remove(self, state: None, _removed: Contribution, _contributions: Contributions) -> None:
        return state

    def factors(self, _state: None, contributions: Contributions) -> dict[str, str]:
        if not contributions:
            return {}
        latest = contributions[-1:]
        return self._aggregate.factors(self._aggregate.start(latest), latest)


MERGE: Final[Strategy] = _Merge()
"""The strategy for a processor that the catalogue does not name."""


def strategy_of(rule: ProcessorRule | None) -> Strategy:
    """The strategy for a processor's rule; None: MERGE."""
    if rule is None:
        return MERGE
    return _LatestAlone(rule) if rule.type is ProcessorType.APPLICATION else _Aggregate(rule)
