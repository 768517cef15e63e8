"""The fold: a pair's state and one event give the next state and, where something differs, a change.

The worker, ``replay`` and the tests call the same functions. They are pure: state is an immutable value, and what they
return depends on their arguments alone.
"""

from typing import Final

from mypy_extensions import mypyc_attr

from models.errors import BadEventError, Defect
from models.events import LifecycleEvent, Position
from models.quality import Issue, QualityIssue
from models.rows import DIGEST_BYTES, MAX_EXECUTIONS, MAX_WEIGHT, Entry, Row
from models.values import Value
from models.weights import entry_weight
from streams.core.acceptance import accept
from streams.core.change import ERASED, Cause, Change
from streams.core.rules import PreparedRule, Rules
from streams.core.standing import Claims, Executions, Standing, is_evicted, standing_of
from streams.core.tally import Tally, claims_of, empty_tally, moved, tally_of

__all__ = ["Pair", "Step", "apply_event", "erase_event", "events_of", "holds_event", "load_pair"]


@mypyc_attr(acyclic=True)
class Pair(Value):
    """One (application, processor) in memory: its stored row and what follows from it.

    Attributes:
        row: what is stored.
        claims: who supersedes whom.
        tally: the counts and factors of the row.
    """

    __slots__ = ("claims", "row", "tally")

    def __init__(
        self,
        row: Row,
        claims: dict[str, tuple[str, ...]],
        tally: Tally,
    ) -> None:
        self.row: Final = row
        self.claims: Final = claims
        self.tally: Final = tally


@mypyc_attr(acyclic=True)
class Step(Value):
    """The result of one event.

    Attributes:
        pair: the state after; the very same object where the event changed nothing.
        change: what to publish; None where outcome, factors and counts are as before.
        issues: what was odd about the event.
    """

    __slots__ = ("change", "issues", "pair")

    def __init__(
        self,
        pair: Pair,
        change: Change | None,
        issues: tuple[QualityIssue, ...] = (),
    ) -> None:
        self.pair: Final = pair
        self.change: Final = change
        self.issues: Final = issues


_NO_CLAIMS: dict[str, tuple[str, ...]] = {}


def load_pair(row: Row, rules: Rules) -> Pair:
    """Make a pair from a stored row, with the values that are derived from it."""
    claims = claims_of(row.executions)
    return Pair(row, claims, tally_of(row.executions, claims, rules.of(row.processor)))


def holds_event(pair: Pair, event_id: str) -> bool:
    """Whether any copy of an event is in the pair's set."""
    return any(entry.event_id == event_id for entries in pair.row.executions.values() for entry in entries)


def events_of(pair: Pair) -> set[tuple[str, str, bytes]]:
    """The pair's set: of each event the execution, the identity and the content's digest."""
    return {
        (execution_id, entry.event_id, entry.digest)
        for execution_id, entries in pair.row.executions.items()
        for entry in entries
    }


def apply_event(pair: Pair | None, event: LifecycleEvent, position: Position, rules: Rules) -> Step:
    """Put one event into the set.

    1. A copy of an event that is there already changes nothing.
    2. Judge its factors, and find the executions that it supersedes.
    3. Compute the standing again of every execution for which it may differ: the event's own, and those that it names
       or named.
    4. Publish, if outcome, factors or counts differ.

    Args:
        pair: the state before; None: never seen.
        event: the event, of this pair.
        position: where its record stands.
        rules: the catalogue.

    Raises:
        BadEventError: ``execution_limit``: the row is full.
    """
    rule = rules.of(event.processor)
    executions = {} if pair is None else pair.row.executions
    digest = event.digest[:DIGEST_BYTES]
    # 1.
    entries = executions.get(event.execution_id, ())
    for known in entries:
        if known.event_id == event.event_id and known.digest == digest:
            assert pair is not None  # noqa: S101 - it has entries
            return Step(pair, None)
    if not entries and len(executions) >= MAX_EXECUTIONS:
        raise _too_many()
    # 2.
    accepted = accept(event, rule.fields)
    issues = accepted.issues
    supersedes = event.supersedes
    if supersedes == event.execution_id:
        supersedes = None
        issues = (*issues, QualityIssue(Issue.SUPERSEDES_ITSELF))
    entry = Entry(
        event.event_id,
        digest,
        event.status,
        event.occurred_at,
        event.attempt,
        event.sequence,
        supersedes,
        event.code,
        accepted.contributes,
        accepted.factors,
    )
    weight = entry_weight(entry, event.execution_id) + (0 if pair is None else pair.row.weight)
    if weight > MAX_WEIGHT:
        raise _too_heavy()
    before_claims = claims = _NO_CLAIMS if pair is None else pair.claims
    if supersedes is not None and event.execution_id not in claims.get(supersedes, ()):
        claims = {**claims, supersedes: (*claims.get(supersedes, ()), event.execution_id)}
        if _closes_cycle(event.execution_id, claims):
            issues = (*issues, QualityIssue(Issue.SUPERSESSION_CYCLE))
    # 3.
    after = {**executions, event.execution_id: (*entries, entry)}
    before_tally = empty_tally(rule) if pair is None else pair.tally
    tally = _follow(before_tally, event.execution_id, (executions, before_claims), (after, claims), rule)
    # 4.
    differs = pair is None or tally.differs(before_tally)
    row = Row(
        event.application_id,
        event.processor,
        rules.tag,
        position.offset,
        position.offset if differs or pair is None else pair.row.version,
        weight,
        after,
    )
    next_pair = Pair(row, claims, tally)
    if not differs:
        return Step(next_pair, None, issues)
    cause = Cause(
        event.execution_id, event.status.text, event.attempt, event.event_id, digest, event.occurred_at, position
    )
    before = None if pair is None else pair.tally
    change = Change(event.application_id, event.processor, rule.processor_type, before, tally, cause, issues)
    return Step(next_pair, change, issues)


def _too_many() -> BadEventError:
    return BadEventError(
        Defect.EXECUTION_LIMIT,
        f"the application has {MAX_EXECUTIONS} executions of this processor already, the most that a row can hold",
    )


def _too_heavy() -> BadEventError:
    return BadEventError(
        Defect.EXECUTION_LIMIT, f"the application's events of this processor would weigh more than {MAX_WEIGHT} bytes"
    )


def erase_event(pair: Pair, event_id: str, position: Position, rules: Rules) -> Step:
    """Remove every copy of one event from the set permanently (a tombstone).

    Args:
        pair: the state before, which holds the event, see :func:`holds_event`.
        event_id: the erased event's identity.
        position: where the tombstone stands.
        rules: the catalogue.
    """
    rule = rules.of(pair.row.processor)
    after: dict[str, tuple[Entry, ...]] = {}
    erased: list[tuple[str, Entry]] = []
    for execution_id, entries in pair.row.executions.items():
        kept = tuple(entry for entry in entries if entry.event_id != event_id)
        erased += [(execution_id, entry) for entry in entries if entry.event_id == event_id]
        if kept:
            after[execution_id] = kept
    claims = claims_of(after)
    tally = tally_of(after, claims, rule)
    differs = tally.differs(pair.tally)
    row = Row(
        pair.row.application_id,
        pair.row.processor,
        rules.tag,
        position.offset,
        position.offset if differs else pair.row.version,
        pair.row.weight - sum(entry_weight(entry, execution_id) for execution_id, entry in erased),
        after,
    )
    next_pair = Pair(row, claims, tally)
    if not differs:
        return Step(next_pair, None)
    # If there are several contents under one event_id, the latest counts, in whatever order they came.
    execution_id, entry = max(erased, key=lambda item: (item[1].occurred_at, item[1].digest))
    cause = Cause(execution_id, ERASED, entry.attempt, event_id, entry.digest, entry.occurred_at, position)
    return Step(next_pair, Change(row.application_id, row.processor, rule.processor_type, pair.tally, tally, cause))


_Set = tuple[Executions, Claims]


def _follow(tally: Tally, execution_id: str, before: _Set, after: _Set, rule: PreparedRule) -> Tally:
    """Compute the standing of the execution and of those that it names; no other standing can have changed."""
    entries = after[0][execution_id]
    if not after[1]:
        # No execution supersedes another one, as in nearly all cases.
        was = standing_of(before[0].get(execution_id, ()), evicted=False)
        return moved(tally, execution_id, was, standing_of(entries, evicted=False), rule)
    tally = _follow_one(tally, execution_id, before, after, rule)
    named = {entry.supersedes for entry in entries} - {None, execution_id}
    for target in named:
        assert target is not None  # noqa: S101 - taken out above
        tally = _follow_one(tally, target, before, after, rule)
    return tally


def _follow_one(tally: Tally, execution_id: str, before: _Set, after: _Set, rule: PreparedRule) -> Tally:
    was = _standing(execution_id, before, rule)
    now = _standing(execution_id, after, rule)
    return moved(tally, execution_id, was, now, rule)


def _standing(execution_id: str, events: _Set, rule: PreparedRule) -> Standing:
    executions, claims = events
    evicted = execution_id in claims and is_evicted(execution_id, executions, claims, keep_previous=rule.keep_previous)
    return standing_of(executions.get(execution_id, ()), evicted=evicted)


def _closes_cycle(execution_id: str, claims: Claims) -> bool:
    """Whether following "is superseded by" from an execution leads back to it."""
    seen: set[str] = set()
    ahead = list(claims.get(execution_id, ()))
    while ahead:
        claimant = ahead.pop()
        if claimant == execution_id:
            return True
        if claimant not in seen:
            seen.add(claimant)
            ahead.extend(claims.get(claimant, ()))
    return False
