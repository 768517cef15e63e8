"""An independent oracle: what the consolidator must publish and keep for a given log of lifecycle events.

Written from the design's domain section alone, for clarity and not for speed: after every event the whole pair (one
application, one processor) is recomputed from the set of its events. It shares no code with the product, which is its
only use: where the two disagree, one of them has misread the design.

Input: a catalogue as ``tomllib.loads(text, parse_float=Decimal)`` gives it, and records in log order whose events
were parsed by ``json.loads(text, parse_float=Decimal)``. The events are trusted to be valid: what belongs into the
dead-letter topic for its form is for other tests. Only the execution limit, which depends on the pair's history, is
decided here.

How the design is read where it leaves a choice:

- *Identity in the set*: (event_id, content). Copies with the same identity are one event. Content means the known
  fields with their defaults; unknown fields do not count. Without an event_id the id is the SHA-256 of that content.
  Two contents under one event_id are two events, and the digest is the last tie-break between ends.
- *Absent and null* are the same for ``attempt``, ``sequence``, ``supersedes``, ``output`` and ``error``. A sequence
  of 0 is 0, not -1. An absent attempt is 1, but for ``superseded`` and ``cancelled`` it stands for all attempts.
- *Kind of a field*: number if ``mean``, ``sum``, ``min`` or ``max`` reads it or any bound is declared for it; boolean
  if ``count_true``, ``all_true`` or ``any_true`` reads it; otherwise any scalar. All factors that read a field bound
  it together; bounds are inclusive.
- *Accepted*: not null, of the field's kind, within its bounds. Fields that no factor reads are accepted and make
  their execution contributing. ``True`` is never a number, nor equal to 1.
- *application* type: the reducers work on the latest contributing execution alone; a field that it lacks gives no
  factor, even where an earlier success had it. Still every contributing execution counts, and is listed, as
  contributing.
- *MERGE* (unknown processor, type null): for each factor name the latest contributing execution that has it; eviction
  by ``replace``.
- ``count`` without a field counts the contributing executions that the rule looks at.
- *Numbers* are ``Fraction`` inside. Rounded once, on output, half-even: to the declared scale, and means to 2 unless
  declared. Anything else is exact. On output: ``int``, or ``Decimal`` without trailing zeros; minus zero is 0.
- *Evictor*: any execution with an end that a ``cancelled`` event does not close (attempt omitted or at least its
  end's). Its being superseded or evicted changes nothing. Under ``keep_previous`` its end must be ``completed``.
- *Closed without an end*: an attempt at least as great as every attempt seen in ``requested`` and ``started`` events.
- *Changes*: one when outcome, factors or counts differ. Another failure code or list of contributors alone gives
  none.
- *Lists* are in execution order; of more than 50 the last 50 are kept, and ``truncated`` says that either list was
  cut.
- *Tombstone*: takes the event out of the set; if that changes anything the cause is the erased event with the status
  ``erased`` and the tombstone's position. From then on copies are ignored, also if the tombstone came before the
  first copy. A pair never disappears.
- *Execution limit*: an event of an execution that the pair's set does not hold, when it holds 2,000, is a dead
  letter. Executions whose events were all erased do not count.

Every event costs a pass over its pair's events: 200,000 events over 20,000 applications take some 20 s, but a pair of
thousands of events makes it slow. ``changes=False`` computes every pair once, at the end.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.oracle.executions import Event, PairState, consolidate_from_scratch, parse, standings, utc_text
from tests.oracle.rules import MERGE, Plain, Rule, canonical_json

MAX_EXECUTIONS = 2_000


class PairKey(NamedTuple):
    """What is consolidated: the executions of one processor for one application."""

    application_id: str
    processor: str


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A null value under an event's key."""

    application_id: str
    event_id: str


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """One record of the executions topic: a parsed lifecycle event or a tombstone, and where it stands."""

    partition: int
    offset: int
    payload: Mapping[str, Any] | Tombstone


@dataclass
class Expectation:
    """The expected results of a log."""

    pairs: dict[PairKey, PairState] = field(default_factory=dict)
    changes: list[dict[str, Any]] = field(default_factory=list)
    dead_letters: list[SourceRecord] = field(default_factory=list)

    def replay_rows(self) -> list[dict[str, Any]]:
        """The objects that ``consolidator replay`` prints, in its order."""
        return [
            {
                "application_id": key.application_id,
                "processor": key.processor,
                "processor_type": state.processor_type,
                "outcome": state.outcome,
                "factors": state.factors,
                "executions": dict(zip(("active", "completed", "failed", "contributing"), state.counts, strict=True)),
            }
            for key, state in sorted(self.pairs.items())
        ]


def expected(
    catalogue: Mapping[str, Any], records: Iterable[SourceRecord], *, topic: str = "executions", changes: bool = True
) -> Expectation:
    """Derive states, change events and dead letters from a log.

    Args:
        catalogue: ``{"processors": {name: {"type", "on_failed_rerun"?, "factors": {...}}}}``.
        records: in log order; several partitions may be interleaved.
        topic: the name that stands in every cause.
        changes: False skips the change events and computes every pair once, at the end.

    Raises:
        TypeError: a float slipped in where only int and Decimal are exact.
        ValueError: two factors want different kinds of the same field.
    """
    derivation = Derivation(catalogue, topic=topic, changes=changes)
    for record in records:
        derivation.take(record)
    return derivation.result()


class Derivation:
    """What must hold after each record of a log, taken one by one; arguments and errors as of :func:`expected`."""

    def __init__(self, catalogue: Mapping[str, Any], *, topic: str, changes: bool = True) -> None:
        self._ledger = _Ledger({name: Rule.declared(spec) for name, spec in catalogue.get("processors", {}).items()})
        self._result = Expectation()
        self._topic = topic
        self._changes = changes

    def take(self, record: SourceRecord) -> None:
        """Take the next record."""
        touched = self._ledger.take(record)
        if touched is None:
            self._result.dead_letters.append(record)
            return
        for key, cause in touched if self._changes else ():
            before = self._result.pairs.get(key)
            after = self._ledger.state(key)
            self._result.pairs[key] = after
            if _differs(before, after):
                self._result.changes.append(_change(key, before, after, cause=cause, record=record, topic=self._topic))

    def result(self) -> Expectation:
        """What must hold after the records that were taken."""
        if not self._changes:
            self._result.pairs = {key: self._ledger.state(key) for key in self._ledger.pairs}
        return self._result

    def events(self) -> Iterator[tuple[PairKey, Event]]:
        """The set of events of every pair."""
        for key, events in self._ledger.pairs.items():
            for event in events.values():
                yield key, event

    def standings(self) -> Iterator[tuple[PairKey, str, str]]:
        """Every execution and where it stands: completed, failed, open, closed or evicted."""
        for key in self._ledger.pairs:
            for execution_id, standing in self._ledger.standings(key).items():
                yield key, execution_id, standing


@dataclass(frozen=True, slots=True)
class _Cause:
    event: Event
    status: str


class _Ledger:
    """The sets of events by pair, and the erased events."""

    def __init__(self, rules: Mapping[str, Rule]) -> None:
        self.pairs: dict[PairKey, dict[tuple[str, str], Event]] = {}
        self._rules = rules
        self._holders: dict[tuple[str, str], dict[PairKey, None]] = {}
        self._erased: set[tuple[str, str]] = set()

    def take(self, record: SourceRecord) -> list[tuple[PairKey, _Cause]] | None:
        """The pairs that the record touches and why; None for a dead letter."""
        if isinstance(record.payload, Tombstone):
            return self._erase(record.payload)
        return self._add(record.payload)

    def state(self, key: PairKey) -> PairState:
        return consolidate_from_scratch(self.pairs[key].values(), self._rule(key))

    def standings(self, key: PairKey) -> dict[str, str]:
        return standings(self.pairs[key].values(), self._rule(key))

    def _rule(self, key: PairKey) -> Rule:
        return self._rules.get(key.processor, MERGE)

    def _add(self, payload: Mapping[str, Any]) -> list[tuple[PairKey, _Cause]] | None:
        key = PairKey(payload["application_id"], payload["processor"])
        event = parse(payload, self._rule(key))
        if (key.application_id, event.event_id) in self._erased:
            return []
        events = self.pairs.get(key, {})
        if (event.event_id, event.digest) in events:
            return []
        if len(events) >= MAX_EXECUTIONS:
            known = {e.execution_id for e in events.values()}
            if len(known) >= MAX_EXECUTIONS and event.execution_id not in known:
                return None
        self.pairs.setdefault(key, events)[event.event_id, event.digest] = event
        self._holders.setdefault((key.application_id, event.event_id), {})[key] = None
        return [(key, _Cause(event, event.status))]

    def _erase(self, tombstone: Tombstone) -> list[tuple[PairKey, _Cause]]:
        erased_key = (tombstone.application_id, tombstone.event_id)
        self._erased.add(erased_key)
        touched = []
        for key in sorted(self._holders.pop(erased_key, {})):
            events = self.pairs[key]
            erased = [event for event in events.values() if event.event_id == tombstone.event_id]
            for event in erased:
                del events[event.event_id, event.digest]
            touched.append((key, _Cause(max(erased, key=lambda e: (e.occurred_at, e.digest)), "erased")))
        return touched


def _differs(before: PairState | None, after: PairState) -> bool:
    if before is None:
        return True
    return (before.outcome, before.counts, canonical_json(before.factors)) != (
        after.outcome,
        after.counts,
        canonical_json(after.factors),
    )


def _change(
    key: PairKey, before: PairState | None, after: PairState, *, cause: _Cause, record: SourceRecord, topic: str
) -> dict[str, Any]:
    return {
        "application_id": key.application_id,
        "processor": key.processor,
        "processor_type": after.processor_type,
        "outcome": after.outcome,
        "previous_outcome": before.outcome if before else "not_attempted",
        "changed": _changed_factors(before.factors if before else {}, after.factors),
        "factors": after.factors,
        "executions": after.executions,
        "cause": {
            "execution_id": cause.event.execution_id,
            "status": cause.status,
            **({} if cause.event.attempt is None else {"attempt": cause.event.attempt}),
            "event_id": cause.event.event_id,
            "topic": topic,
            "partition": record.partition,
            "offset": record.offset,
        },
        "version": {"partition": record.partition, "offset": record.offset},
        "occurred_at": utc_text(cause.event.occurred_at),
    }


def _changed_factors(before: Mapping[str, Plain], after: Mapping[str, Plain]) -> list[dict[str, Any]]:
    changed: list[dict[str, Any]] = []
    for name in sorted(before.keys() | after.keys()):
        if name not in before:
            changed.append({"factor": name, "op": "set", "after": after[name]})
        elif name not in after:
            changed.append({"factor": name, "op": "cleared", "before": before[name]})
        elif canonical_json(before[name]) != canonical_json(after[name]):
            changed.append({"factor": name, "op": "updated", "before": before[name], "after": after[name]})
    return changed
