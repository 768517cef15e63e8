"""The independent oracle's view of executions: from the set of a pair's events to outcome, factors and counts.

The readings of the design that this follows are listed in ``tests/oracle/expected.py``.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.oracle.rules import Contribution, Plain, Rule, canonical_json

MAX_LISTED = 50
ENDS = frozenset({"completed", "failed"})
CLOSES = frozenset({"superseded", "cancelled"})


@dataclass(frozen=True)
class PairState:
    """The expected state of a pair. ``executions`` has the counts, contributors, failures and truncated."""

    processor_type: str | None
    outcome: str
    factors: dict[str, Plain]
    executions: dict[str, Any]

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """Active, completed, failed, contributing."""
        e = self.executions
        return e["active"], e["completed"], e["failed"], e["contributing"]


@dataclass(frozen=True, slots=True)
class Event:
    event_id: str
    digest: str
    execution_id: str
    status: str
    attempt: int | None
    sequence: int
    occurred_at: datetime
    supersedes: str | None
    accepted: Contribution
    code: str | None

    @property
    def end_order(self) -> tuple[int, int, datetime, str, str]:
        return self.attempt or 0, self.sequence, self.occurred_at, self.event_id, self.digest


def content_digest(event: Mapping[str, Any]) -> str:
    """SHA-256 of the known fields as canonical JSON: defaults filled in, nulls and unknown fields left out."""
    content = {
        "application_id": event["application_id"],
        "execution_id": event["execution_id"],
        "processor": event["processor"],
        "status": event["status"],
        "attempt": _attempt(event),
        "sequence": event.get("sequence"),
        "occurred_at": utc_text(_instant(event["occurred_at"])),
        "output": event.get("output"),
        "error": event.get("error"),
        "supersedes": event.get("supersedes"),
        "event_id": event.get("event_id"),
        "schema_version": event.get("schema_version", 1),
    }
    text = canonical_json({name: value for name, value in content.items() if value is not None})
    return hashlib.sha256(text.encode()).hexdigest()


def _attempt(event: Mapping[str, Any]) -> int | None:
    attempt: int | None = event.get("attempt")
    if attempt is None and event["status"] not in CLOSES:
        return 1
    return attempt


def _instant(text: str) -> datetime:
    # RFC 3339 allows a small t and z, too; a leap second is the second after 23:59:59.
    leap = timedelta(seconds=text[17:19] == "60")
    text = text.upper().replace(":60", ":59", 1) if leap else text.upper()
    return datetime.fromisoformat(text).astimezone(UTC) + leap


def utc_text(moment: datetime) -> str:
    """The oracle's one way to write a time: UTC, always six digits of a second, ``Z``."""
    # Not strftime: its year has no leading zeros on every platform.
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def parse(event: Mapping[str, Any], rule: Rule) -> Event:
    digest = content_digest(event)
    status = event["status"]
    return Event(
        event_id=event.get("event_id") or digest,
        digest=digest,
        execution_id=event["execution_id"],
        status=status,
        attempt=_attempt(event),
        sequence=-1 if event.get("sequence") is None else event["sequence"],
        occurred_at=_instant(event["occurred_at"]),
        supersedes=event.get("supersedes"),
        accepted=rule.accept(event.get("output")) if status == "completed" else {},
        code=(event.get("error") or {}).get("code") if status == "failed" else None,
    )


def _end(events: Sequence[Event]) -> Event | None:
    return max((e for e in events if e.status in ENDS), key=lambda e: e.end_order, default=None)


def _is_closed(events: Sequence[Event], by: frozenset[str] = CLOSES) -> bool:
    closing = [e.attempt for e in events if e.status in by]
    if not closing:
        return False
    if None in closing:
        return True
    end = _end(events)
    attempts = [end.attempt] if end else [e.attempt for e in events if e.status not in CLOSES]
    return max(a for a in closing if a) >= max((a for a in attempts if a), default=0)


def _evicts(events: Sequence[Event], policy: str) -> bool:
    end = _end(events)
    if end is None or _is_closed(events, by=frozenset({"cancelled"})):
        return False
    return policy == "replace" or end.status == "completed"


def _evicted(executions: Mapping[str, Sequence[Event]], policy: str) -> set[str]:
    return {
        event.supersedes
        for execution_id, events in executions.items()
        for event in events
        if event.supersedes is not None and event.supersedes != execution_id and _evicts(events, policy)
    }


def standings(events: Iterable[Event], rule: Rule) -> dict[str, str]:
    """Where each execution stands: completed or failed are active; open, closed and evicted are not."""
    return {execution_id: standing for execution_id, standing, _ in _standings(_by_execution(events), rule)}


def _by_execution(events: Iterable[Event]) -> dict[str, list[Event]]:
    executions: dict[str, list[Event]] = {}
    for event in events:
        executions.setdefault(event.execution_id, []).append(event)
    return executions


def _standings(executions: Mapping[str, Sequence[Event]], rule: Rule) -> Iterator[tuple[str, str, Event | None]]:
    """Each execution, where it stands, and its end."""
    evicted = _evicted(executions, rule.on_failed_rerun)
    for execution_id, its_events in executions.items():
        end = _end(its_events)
        if _is_closed(its_events):
            yield execution_id, "closed", end
        elif end is None:
            yield execution_id, "open", None
        else:
            yield execution_id, "evicted" if execution_id in evicted else end.status, end


def consolidate_from_scratch(events: Iterable[Event], rule: Rule) -> PairState:
    active: list[Event] = []  # each active execution is represented by its end
    some_open = False
    for _, standing, end in _standings(_by_execution(events), rule):
        if standing == "open":
            some_open = True
        elif standing in ENDS and end is not None:
            active.append(end)
    active.sort(key=lambda end: (end.occurred_at, end.execution_id))

    completed = [end for end in active if end.status == "completed"]
    failed = [end for end in active if end.status == "failed"]
    contributing = [end for end in completed if end.accepted]
    return PairState(
        processor_type=rule.type,
        outcome=_outcome(len(active), len(failed), some_open=some_open),
        factors=rule.factors([end.accepted for end in contributing]),
        executions={
            "active": len(active),
            "completed": len(completed),
            "failed": len(failed),
            "contributing": len(contributing),
            "contributors": [end.execution_id for end in contributing][-MAX_LISTED:],
            "failures": [_failure(end) for end in failed][-MAX_LISTED:],
            "truncated": len(contributing) > MAX_LISTED or len(failed) > MAX_LISTED,
        },
    )


def _outcome(active: int, failed: int, *, some_open: bool) -> str:
    if active == 0:
        return "in_progress" if some_open else "withdrawn"
    if failed == 0:
        return "consolidated"
    return "cleared" if failed == active else "partial"


def _failure(end: Event) -> dict[str, Any]:
    failure = {"execution_id": end.execution_id, "attempt": end.attempt}
    return failure if end.code is None else failure | {"code": end.code}
