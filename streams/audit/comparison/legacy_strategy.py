"""The old platform's strategy, for the migration: it leaves failed executions out of consolidation.

The mission's "Current query", ``WHERE pe.status = 'completed'``: if an application has completed executions, its
factors come from them, and the failed ones are not reported. If it has none, there are "0 active executions", no
consolidation runs, and the factors stay as they were. For details that the mission does not specify see
``docs/decisions/0009``.
"""

from collections.abc import Mapping

from models.counts import Counts
from models.events import Status
from models.outcomes import Outcome
from streams.audit.comparison.report import Difference, Expectation, Member, Result, compared_members, result_of
from streams.core.fold import Pair
from streams.core.rules import Rules
from streams.core.tally import Tally, tally_of

__all__ = ["ALL_FAILED", "FAILED_COUNT", "FAILED_RERUN", "LegacyStrategy"]

NO_ACTIVE_EXECUTIONS = "0 active executions"
"""The old platform's outcome where nothing had completed."""

FAILED_COUNT = Expectation(
    "failed_executions_are_active",
    "a failed execution is active and contributes no factors: it is counted and named, and the factors stay",
)
ALL_FAILED = Expectation(
    "all_failed_clears",
    "every active execution failed: the factors are cleared and the consolidation has succeeded; the old platform saw "
    "0 active executions, and its factors were cleared or left as they had been",
)
FAILED_RERUN = Expectation(
    "failed_rerun_replaces",
    "a rerun that failed replaces the execution that it names, unless the catalogue says keep_previous; the old "
    "platform left the failed rerun out, and kept what it was to replace",
)

_Expected = tuple[Expectation, ...]

_MOST_NAMED = 3


class LegacyStrategy:
    """Explains what differs between the old platform's results and the fold's.

    Args:
        rules: the catalogue, the same for both.
    """

    def __init__(self, rules: Rules) -> None:
        self._rules = rules

    def difference(self, pair: Pair, stale: Mapping[str, str]) -> Difference | None:
        """The difference between both strategies for a pair; None: there is none.

        Args:
            pair: the pair, folded.
            stale: the factors that the pair had last, as canonical JSON text, if it has none now.
        """
        after = result_of(pair, self._rules)
        before = self._legacy(pair)
        replacing = _has_failed_rerun(pair)
        members = [
            (member, _expecting(member, before, after, replacing=replacing))
            for member in compared_members(before, after)
        ]
        if not members:
            return None
        row = pair.row
        may_be_stale = dict(stale) if before.outcome == NO_ACTIVE_EXECUTIONS else {}
        rules = {rule for _, expected in members for rule in expected}
        same_factors = bool(after.counts.completed) and not any(member.factor for member, _ in members)
        explanation = _explanation(pair.tally, rules, may_be_stale, same_factors=same_factors)
        return Difference(row.application_id, row.processor, row.version, members, explanation, may_be_stale)

    def _legacy(self, pair: Pair) -> Result:
        """The old platform's result, from the pair's completed executions."""
        rule = self._rules.of(pair.row.processor)
        tally = tally_of(pair.row.executions, pair.claims, rule.keeping_previous()) if pair.claims else pair.tally
        counts = Counts(tally.completed, tally.completed, 0, tally.counts.contributing)
        if tally.completed:
            outcome: str = Outcome.CONSOLIDATED
        elif tally.counts.failed:
            outcome = NO_ACTIVE_EXECUTIONS
        else:
            outcome = tally.outcome
        return Result(rule.processor_type, outcome, counts, tally.factors)


def _has_failed_rerun(pair: Pair) -> bool:
    """Whether an execution that failed at least once names another one that it replaces."""
    claimants = {claimant for names in pair.claims.values() for claimant in names}
    return any(entry.status is Status.FAILED for name in claimants for entry in pair.row.executions.get(name, ()))


def _expecting(member: Member, before: Result, after: Result, *, replacing: bool) -> _Expected:
    expected = []
    if after.counts.failed and member.name in {"outcome", "active", "failed"}:
        expected.append(ALL_FAILED if before.outcome == NO_ACTIVE_EXECUTIONS else FAILED_COUNT)
    if replacing and member.name in {"outcome", "active", "completed", "contributing", "factor"}:
        expected.append(FAILED_RERUN)
    return tuple(expected)


def _explanation(tally: Tally, rules: set[Expectation], stale: Mapping[str, str], *, same_factors: bool) -> str:
    """The difference in words."""
    counts = tally.counts
    failures = [name if code is None else f"{name}: {code}" for _, name, _, code in tally.failures]
    named = ", ".join(failures[:_MOST_NAMED]) + (", …" if len(failures) > _MOST_NAMED else "")
    told = []
    if ALL_FAILED in rules:
        told.append(
            f"All {counts.active} active executions failed ({named}): there are no factors, and the consolidation has "
            "succeeded. The old platform saw 0 active executions."
        )
    elif FAILED_COUNT in rules:
        told.append(
            f"{counts.failed} of {counts.active} active executions failed ({named}): they count, and contribute no "
            "factors. The old platform left them out."
        )
    if FAILED_RERUN in rules:
        told.append("A rerun that failed replaced what came before it. The old platform kept that.")
    if stale:
        left = ", ".join(f"{name} = {text}" for name, text in stale.items())
        told.append(f"It may still show the last factors that there were: {left}.")
    elif same_factors:
        told.append("The factors are the same.")
    return " ".join(told)
