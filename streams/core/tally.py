"""The tally of a row: counts, contributions, failures and factors, updated incrementally.

``tally_of`` counts from scratch, ``moved`` follows one execution's change of standing. ``tests/properties`` tests that
both give equal values. A tally is derived, so it is never stored.
"""

from bisect import bisect_left
from typing import Any, Final, TypeVar

from mypy_extensions import mypyc_attr

from models.counts import Counts, outcome_of
from models.rows import Entry
from models.values import Value
from streams.core.rules import PreparedRule
from streams.core.standing import Claims, Executions, Kind, Standing, is_evicted, standing_of
from streams.core.strategies import Contribution, Contributions

__all__ = ["Failure", "Failures", "Tally", "claims_of", "empty_tally", "moved", "tally_of"]

# Looked up once, and not for each event; see streams.core.standing.
_OPEN: Final = Kind.OPEN
_COMPLETED: Final = Kind.COMPLETED
_FAILED: Final = Kind.FAILED

Failure = tuple[int, str, int, str | None]
"""The end's time in microseconds, the execution's id, the failed attempt, and the error code: in execution order."""

Failures = tuple[Failure, ...]


@mypyc_attr(acyclic=True)
class Tally(Value):
    """The tally of a row.

    Attributes:
        opened: executions that are open.
        completed: active executions that succeeded, contributing or not.
        contributions: of those that contribute, in execution order.
        failures: the active executions that failed, in execution order.
        state: the strategy's accumulators.
        factors: the consolidated factors, sorted by name, as canonical JSON text.
        counts: active, completed, failed and contributing executions.
        outcome: what follows from the counts.
    """

    __slots__ = ("completed", "contributions", "counts", "factors", "failures", "opened", "outcome", "state")

    def __init__(
        self,
        opened: int,
        completed: int,
        contributions: Contributions,
        failures: Failures,
        state: Any,
        factors: dict[str, str],
    ) -> None:
        failed = len(failures)
        self.opened: Final = opened
        self.completed: Final = completed
        self.contributions: Final = contributions
        self.failures: Final = failures
        self.state: Final = state
        self.factors: Final = factors
        self.counts: Final = Counts(completed + failed, completed, failed, len(contributions))
        self.outcome: Final = outcome_of(self.counts, opened)

    def differs(self, other: "Tally") -> bool:
        """Whether outcome, factors or counts differ, so that a change is published."""
        if self is other:
            return False
        # The counts are compared by these fields; the others follow from them.
        return (
            self.completed != other.completed
            or len(self.failures) != len(other.failures)
            or len(self.contributions) != len(other.contributions)
            or self.outcome is not other.outcome
            or self.factors != other.factors
        )


def empty_tally(rule: PreparedRule) -> Tally:
    """The tally of no execution."""
    return Tally(0, 0, (), (), rule.strategy.start(()), {})


def claims_of(executions: Executions) -> dict[str, tuple[str, ...]]:
    """Who supersedes whom, from every event that names another execution."""
    claims: dict[str, tuple[str, ...]] = {}
    for execution_id, entries in executions.items():
        for entry in entries:
            target = entry.supersedes
            if target is not None and execution_id not in claims.get(target, ()):
                claims[target] = (*claims.get(target, ()), execution_id)
    return claims


def tally_of(executions: Executions, claims: Claims, rule: PreparedRule) -> Tally:
    """Count a whole row from scratch."""
    opened = completed = 0
    contributions: list[Contribution] = []
    failures: list[Failure] = []
    for execution_id, entries in executions.items():
        evicted = execution_id in claims and is_evicted(
            execution_id, executions, claims, keep_previous=rule.keep_previous
        )
        standing = standing_of(entries, evicted=evicted)
        kind, end = standing.kind, standing.end
        if kind is _OPEN:
            opened += 1
        elif end is not None and kind is _COMPLETED:
            completed += 1
            if end.contributes:
                contributions.append((end.occurred_at, execution_id, end.factors))
        elif end is not None:
            failures.append(_failure(execution_id, end))
    contributions.sort(key=_execution_order)
    failures.sort(key=_execution_order)
    ordered = tuple(contributions)
    state = rule.strategy.start(ordered)
    return Tally(opened, completed, ordered, tuple(failures), state, rule.strategy.factors(state, ordered))


def _execution_order(item: Contribution | Failure) -> tuple[int, str]:
    return item[0], item[1]


def _failure(execution_id: str, end: Entry) -> Failure:
    return (end.occurred_at, execution_id, end.attempt or 1, end.code)


def moved(tally: Tally, execution_id: str, before: Standing, after: Standing, rule: PreparedRule) -> Tally:
    """The tally after one execution changed its standing.

    Args:
        tally: the tally before.
        execution_id: the execution whose standing changed.
        before: its standing before.
        after: its standing now.
        rule: the processor's rule.
    """
    if before.kind is after.kind and before.end is after.end:
        return tally
    failures = tally.failures
    contributions = tally.contributions
    state = tally.state
    strategy = rule.strategy
    if before.kind is _FAILED and before.end is not None:
        failures = _without(failures, before.end.occurred_at, execution_id)
    elif before.end is not None and before.end.contributes:
        index = bisect_left(contributions, (before.end.occurred_at, execution_id))
        removed = contributions[index]
        contributions = contributions[:index] + contributions[index + 1 :]
        state = strategy.remove(state, removed, contributions)
    if after.kind is _FAILED and after.end is not None:
        failures = _with(failures, _failure(execution_id, after.end))
    elif after.end is not None and after.end.contributes:
        added: Contribution = (after.end.occurred_at, execution_id, after.end.factors)
        contributions = _with(contributions, added)
        state = strategy.add(state, added, contributions)
    return Tally(
        tally.opened + (after.kind is _OPEN) - (before.kind is _OPEN),
        tally.completed + (after.kind is _COMPLETED) - (before.kind is _COMPLETED),
        contributions,
        failures,
        state,
        tally.factors if contributions is tally.contributions else strategy.factors(state, contributions),
    )


_Item = TypeVar("_Item", bound=tuple[Any, ...])


def _with(items: tuple[_Item, ...], item: _Item) -> tuple[_Item, ...]:
    """Insert in execution order; nearly always at the end."""
    if not items or items[-1][:2] < item[:2]:
        return (*items, item)
    index = bisect_left(items, item[:2])
    return (*items[:index], item, *items[index:])


def _without(items: tuple[_Item, ...], occurred_at: int, execution_id: str) -> tuple[_Item, ...]:
    index = bisect_left(items, (occurred_at, execution_id))
    return items[:index] + items[index + 1 :]
