"""The factor-change event and the current-factors record, as values and as bytes.

The bytes are a function of the events alone: no clock, no random ids. A replay gives the same bytes and the same ids.
They are written from parts, because this runs for every event; :mod:`consolidator.records` is the type of the same
JSON, and a contract test holds the two together.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from mypy_extensions import mypyc_attr

from models.counts import Counts
from models.events import Position, rfc3339
from models.numbers import quote
from models.outcomes import Outcome
from models.quality import QualityIssue
from models.values import Value
from streams.core.strategies import Contributions
from streams.core.tally import Failures, Tally

__all__ = [
    "MAX_LISTED",
    "Cause",
    "Change",
    "Common",
    "RulesetCause",
    "adoption_id",
    "change_id",
    "common_parts",
    "difference_parts",
    "encode_change",
    "encode_difference",
    "encode_factors",
    "ruleset_tail",
]

MAX_LISTED: Final = 50
"""How many contributors, and how many failures, a record lists: the latest ones, so that the record stays small."""

ERASED: Final = "erased"
"""The status of a cause that is a tombstone."""

RULESET: Final = "ruleset"
"""The status of a cause that is the adoption of another ruleset."""


@mypyc_attr(acyclic=True)
class Cause(Value):
    """The source event after which something differed.

    Attributes:
        execution_id: the execution it is about.
        status: the event's status, or ``erased`` for a tombstone.
        attempt: None: all attempts.
        event_id: the event's identity.
        digest: the first bytes of the content's SHA-256.
        occurred_at: microseconds since the epoch.
        position: the position of the record; for an erasure, that of the tombstone.
    """

    __slots__ = ("attempt", "digest", "event_id", "execution_id", "occurred_at", "position", "status")

    def __init__(
        self,
        execution_id: str,
        status: str,
        attempt: int | None,
        event_id: str,
        digest: bytes,
        occurred_at: int,
        position: Position,
    ) -> None:
        self.execution_id: Final = execution_id
        self.status: Final = status
        self.attempt: Final = attempt
        self.event_id: Final = event_id
        self.digest: Final = digest
        self.occurred_at: Final = occurred_at
        self.position: Final = position


@mypyc_attr(acyclic=True)
class RulesetCause(Value):
    """The adoption of another ruleset, after which something differed.

    Attributes:
        before: the digest of the old ruleset.
        after: the digest of the new ruleset.
        occurred_at: when the adoption was recorded: microseconds since the epoch, by the broker's clock.
        position: where that record stands.
    """

    __slots__ = ("after", "before", "occurred_at", "position")

    def __init__(
        self,
        before: str,
        after: str,
        occurred_at: int,
        position: Position,
    ) -> None:
        self.before: Final = before
        self.after: Final = after
        self.occurred_at: Final = occurred_at
        self.position: Final = position


@mypyc_attr(acyclic=True)
class Change(Value):
    """What one source event changed in one (application, processor).

    Attributes:
        application_id: the application.
        processor: the processor.
        processor_type: ``document``, ``application``, ``stipulation``; None: MERGE.
        before: the tally before; None: the pair was never seen.
        after: the tally after.
        cause: the source event, or the adoption of a ruleset.
        issues: what was odd about the source event.
    """

    __slots__ = ("after", "application_id", "before", "cause", "issues", "processor", "processor_type")

    def __init__(
        self,
        application_id: str,
        processor: str,
        processor_type: str | None,
        before: Tally | None,
        after: Tally,
        cause: Cause | RulesetCause,
        issues: tuple[QualityIssue, ...] = (),
    ) -> None:
        self.application_id: Final = application_id
        self.processor: Final = processor
        self.processor_type: Final = processor_type
        self.before: Final = before
        self.after: Final = after
        self.cause: Final = cause
        self.issues: Final = issues

    @property
    def id(self) -> str:
        """The change's identity, equal in every replay."""
        if isinstance(self.cause, RulesetCause):
            return adoption_id(self.cause, self.application_id, self.processor)
        return change_id(self.cause, self.processor)

    @property
    def previous_outcome(self) -> Outcome:
        """The outcome before the event."""
        return Outcome.NOT_ATTEMPTED if self.before is None else self.before.outcome


def change_id(cause: Cause, processor: str) -> str:
    """Derive a change's id from the causing event's id and content, and the processor: 32 hexadecimal digits."""
    mark = ERASED if cause.status == ERASED else ""
    text = f"{cause.event_id}\0{cause.digest.hex()}\0{processor}\0{mark}"
    return sha256(text.encode()).hexdigest()[:32]


def adoption_id(cause: RulesetCause, application_id: str, processor: str) -> str:
    """Derive a change's id from the pair, both rulesets, and where the adoption stands.

    A partition may adopt an earlier ruleset again, so the id depends on the place, too.
    """
    position = cause.position
    text = f"{cause.before}\0{cause.after}\0{application_id}\0{processor}\0{position.partition}:{position.offset}"
    return sha256(text.encode()).hexdigest()[:32]


@mypyc_attr(acyclic=True)
class Common(Value):
    """The common parts of a change and its pair's ``factors`` record, as JSON text, so that both always agree."""

    __slots__ = ("body", "head", "tail")

    def __init__(self, head: str, body: str, tail: str) -> None:
        self.head: Final = head
        self.body: Final = body
        self.tail: Final = tail


def common_parts(change: Change, ruleset_json: str) -> Common:
    """Write the common parts of both records of a change.

    Args:
        change: the change.
        ruleset_json: the ruleset as JSON text.
    """
    tally = change.after
    cause = change.cause
    position = cause.position
    kind = "null" if change.processor_type is None else f'"{change.processor_type}"'
    factors = ",".join([f"{quote(name)}:{text}" for name, text in tally.factors.items()])
    return Common(
        f'"application_id":{quote(change.application_id)},"processor":{quote(change.processor)},'
        f'"processor_type":{kind},"outcome":{quote(tally.outcome)}',
        f'"factors":{{{factors}}},"executions":{_executions(tally.counts, tally.contributions, tally.failures)}',
        f'"ruleset":{ruleset_json},"version":{{"partition":{position.partition},"offset":{position.offset}}},'
        f'"occurred_at":"{rfc3339(cause.occurred_at)}"',
    )


def encode_change(change: Change, identity: str, common: Common) -> bytes:
    """The value of a ``factor-changes`` record.

    Args:
        change: the change.
        identity: its id, see :func:`change_id`.
        common: its common parts.
    """
    before = {} if change.before is None else change.before.factors
    return (
        f'{{"schema_version":1,"id":"{identity}",{common.head},'
        f'"previous_outcome":{quote(change.previous_outcome)},'
        f'"changed":[{_differences(before, change.after.factors)}],{common.body},'
        f'"cause":{{{_cause(change.cause)}}},'
        f'{common.tail},"quality":[{_issues(change.issues)}]}}'
    ).encode()


def difference_parts(
    application_id: str, processor: str, processor_type: str | None, before: Tally | None, after: Tally
) -> tuple[str, str, str]:
    """The difference of a pair under another ruleset, as JSON text. The adoption's offset is not known yet.

    :func:`encode_difference` makes the records from it.

    Args:
        application_id: the application.
        processor: the processor.
        processor_type: under the new ruleset.
        before: the tally under the old ruleset; None: the pair was never seen.
        after: the tally under the new ruleset.
    """
    change = Change(application_id, processor, processor_type, before, after, _NOT_YET)
    common = common_parts(change, "")
    factors = {} if before is None else before.factors
    moved = f'"previous_outcome":{quote(change.previous_outcome)},"changed":[{_differences(factors, after.factors)}]'
    return common.head, moved, common.body


def ruleset_tail(cause: RulesetCause, ruleset_json: str) -> tuple[str, str]:
    """The part that all changes of one adoption have in common: the cause, and the end of the records."""
    position = cause.position
    end = (
        f'"ruleset":{ruleset_json},"version":{{"partition":{position.partition},"offset":{position.offset}}},'
        f'"occurred_at":"{rfc3339(cause.occurred_at)}"'
    )
    return f'"cause":{{{_cause(cause)}}}', end


def encode_difference(identity: str, parts: tuple[str, str, str], tail: tuple[str, str]) -> tuple[bytes, bytes]:
    """The values of the ``factor-changes`` and ``factors`` records of a pair that differs under another ruleset.

    They are the same bytes that :func:`encode_change` and :func:`encode_factors` give.

    Args:
        identity: the change's id, see :func:`adoption_id`.
        parts: of :func:`difference_parts`.
        tail: of :func:`ruleset_tail`.
    """
    head, moved, body = parts
    cause, end = tail
    return (
        f'{{"schema_version":1,"id":"{identity}",{head},{moved},{body},{cause},{end},"quality":[]}}'.encode(),
        f'{{"schema_version":1,{head},{body},{end}}}'.encode(),
    )


def encode_factors(common: Common) -> bytes:
    """The value of a ``factors`` record: the pair as it is after the change."""
    return f'{{"schema_version":1,{common.head},{common.body},{common.tail}}}'.encode()


def _cause(cause: Cause | RulesetCause) -> str:
    position = cause.position
    place = f'"topic":{quote(position.topic)},"partition":{position.partition},"offset":{position.offset}'
    if isinstance(cause, RulesetCause):
        return f'"status":"{RULESET}","ruleset":{{"before":"{cause.before}","after":"{cause.after}"}},{place}'
    attempt = "" if cause.attempt is None else f'"attempt":{cause.attempt},'
    return (
        f'"execution_id":{quote(cause.execution_id)},"status":"{cause.status}",{attempt}'
        f'"event_id":{quote(cause.event_id)},{place}'
    )


def _executions(counts: Counts, contributions: Contributions, failures: Failures) -> str:
    contributors = ",".join([quote(execution_id) for _, execution_id, _ in contributions[-MAX_LISTED:]])
    failed = ",".join(
        [
            f'{{"execution_id":{quote(execution_id)},"attempt":{attempt}'
            + ("}" if code is None else f',"code":{quote(code)}}}')
            for _, execution_id, attempt, code in failures[-MAX_LISTED:]
        ]
    )
    truncated = "true" if len(contributions) > MAX_LISTED or len(failures) > MAX_LISTED else "false"
    return (
        f'{{"active":{counts.active},"completed":{counts.completed},"failed":{counts.failed},'
        f'"contributing":{counts.contributing},"contributors":[{contributors}],"failures":[{failed}],'
        f'"truncated":{truncated}}}'
    )


def _differences(before: dict[str, str], after: dict[str, str]) -> str:
    if before is after:
        return ""
    parts = []
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        if old is None:
            parts.append(f'{{"factor":{quote(name)},"op":"set","after":{new}}}')
        elif new is None:
            parts.append(f'{{"factor":{quote(name)},"op":"cleared","before":{old}}}')
        else:
            parts.append(f'{{"factor":{quote(name)},"op":"updated","before":{old},"after":{new}}}')
    return ",".join(parts)


def _issues(issues: Sequence[QualityIssue]) -> str:
    if not issues:
        return ""
    return ",".join(
        f'{{"issue":"{issue}"}}' if factor is None else f'{{"issue":"{issue}","factor":{quote(factor)}}}'
        for issue, factor in issues
    )


_NOT_YET: Final = RulesetCause("", "", 0, Position("", 0, 0))
"""The cause of a change that is written before the adoption's offset is known."""
