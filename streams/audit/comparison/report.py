"""Two results for the same pairs, side by side: the differences, the rules that explain them, and a verdict.

Every member of a result that differs is either *expected by* the rules that are named, or *unexpected*: no rule that
was changed on purpose explains it. Other modules name the rules: for another catalogue
:mod:`streams.audit.comparison.catalogue_changes`, for the old platform :mod:`streams.audit.comparison.legacy_strategy`.
See ``docs/decisions/0009``.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from consolidator.keys import application_prefix
from models.counts import Counts
from models.numbers import quote
from streams.core.fold import Pair
from streams.core.rules import Rules

__all__ = [
    "Difference",
    "Expectation",
    "Member",
    "Report",
    "Result",
    "Thresholds",
    "compared_members",
    "pair_key",
    "result_of",
]


class Expectation(NamedTuple):
    """A rule that was changed on purpose.

    Attributes:
        rule: its name, such as ``bank_statement.factors.f_months.reducer``.
        description: the change in words.
    """

    rule: str
    description: str


@dataclass(frozen=True, slots=True)
class Result:
    """The result for a pair on one side of the comparison.

    Attributes:
        processor_type: ``document`` and so on; None: MERGE.
        outcome: by its name.
        counts: of the active executions.
        factors: by name, as canonical JSON text.
    """

    processor_type: str | None
    outcome: str
    counts: Counts
    factors: Mapping[str, str]


class Member(NamedTuple):
    """One member of a result that differs.

    Attributes:
        name: ``processor_type``, ``outcome``, ``active``, ``completed``, ``failed``, ``contributing`` or ``factor``.
        factor: the factor's name, if the member is a factor.
        before: the value before, as JSON text; None: absent.
        after: the value after, as JSON text; None: absent.
    """

    name: str
    factor: str | None
    before: str | None
    after: str | None

    def __str__(self) -> str:
        """The member and both values, as text for people."""
        what = self.name.replace("_", " ") if self.factor is None else self.factor
        return f"{what}: {self.before or 'absent'} → {self.after or 'absent'}"


@dataclass(frozen=True, slots=True)
class Difference:
    """A pair whose results differ.

    Attributes:
        application_id: the application.
        processor: the processor.
        version: the place of the event that caused the last change: its offset in Kafka, or its line in a file.
        members: what differs, each with the rules that expect it; none: unexpected.
        explanation: the reason in words, for this pair; "": the rules are reason enough.
        stale: factors that the old side may still show, although it would no longer compute them.
    """

    application_id: str
    processor: str
    version: int
    members: Sequence[tuple[Member, tuple[Expectation, ...]]]
    explanation: str = ""
    stale: Mapping[str, str] = field(default_factory=dict)

    @property
    def expected(self) -> bool:
        """Whether some rule expects each of the members."""
        return all(rules for _, rules in self.members)

    @property
    def rules(self) -> list[Expectation]:
        """Every rule that expects a member, once."""
        return list(dict.fromkeys(rule for _, rules in self.members for rule in rules))

    def json(self, place: str) -> str:
        """The difference as one line of JSON. Every digit of a factor is kept.

        Args:
            place: the position of the event that caused the last change, as members in JSON.
        """
        members = [
            {
                "member": member.name,
                **({} if member.factor is None else {"factor": member.factor}),
                **({} if member.before is None else {"before": msgspec.Raw(member.before.encode())}),
                **({} if member.after is None else {"after": msgspec.Raw(member.after.encode())}),
                "expected_by": [rule.rule for rule in rules],
            }
            for member, rules in self.members
        ]
        return msgspec.json.encode(
            {
                "kind": "difference",
                "application_id": self.application_id,
                "processor": self.processor,
                "expected": self.expected,
                "version": msgspec.Raw(place.encode()),
                "differences": members,
                "stale_factors": {name: msgspec.Raw(text.encode()) for name, text in self.stale.items()},
                "explanation": self.explanation,
            }
        ).decode()


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The limits up to which the verdict is "go".

    Attributes:
        unexpected: the greatest number of pairs with a difference that no rule expects.
        different: the greatest share of pairs that differ at all, in percent of all pairs.
        dropped: processors that the new catalogue may lack.
        remedy: the advice to print if the share is exceeded and nobody has set it.
    """

    unexpected: int = 0
    different: Decimal = Decimal(100)
    dropped: frozenset[str] = frozenset()
    remedy: str = ""


@dataclass
class Report:
    """The result of a comparison.

    Attributes:
        pairs: how many were compared.
        different: how many differ.
        unexpected: how many of those have a difference that no rule expects.
        rules: by rule, how many pairs it made differ, and the first of them.
        surprises: the first pairs with an unexpected difference.
        bad_lines: lines of a file that could not be read as events; their effect is unknown.
        dropped: processors that the new catalogue lacks, sorted: their factors would be merged.
        most_examples: how many of each are kept.
    """

    most_examples: int
    pairs: int = 0
    different: int = 0
    unexpected: int = 0
    rules: dict[Expectation, int] = field(default_factory=dict)
    examples: dict[Expectation, list[Difference]] = field(default_factory=dict)
    surprises: list[Difference] = field(default_factory=list)
    bad_lines: int = 0
    dropped: Sequence[str] = ()

    def add(self, difference: Difference | None) -> None:
        """Count a pair; None: it does not differ."""
        self.pairs += 1
        if difference is None:
            return
        self.different += 1
        for rule in difference.rules:
            self.rules[rule] = self.rules.get(rule, 0) + 1
            kept = self.examples.setdefault(rule, [])
            if len(kept) < self.most_examples:
                kept.append(difference)
        if not difference.expected:
            self.unexpected += 1
            if len(self.surprises) < self.most_examples:
                self.surprises.append(difference)

    def objections(self, thresholds: Thresholds) -> list[str]:
        """The reasons against the new rules; empty: go."""
        found = []
        if self.unexpected > thresholds.unexpected:
            found.append(f"{self.unexpected:,} pairs differ unexpectedly, at most {thresholds.unexpected:,} may")
        if self.different * 100 > thresholds.different * self.pairs:
            share = 100 * self.different / self.pairs
            found.append(f"{share:.2f} % of the pairs differ, at most {thresholds.different} % may{thresholds.remedy}")
        found += [
            f"processor {name} is dropped and its factors would be merged, unless --drop {name} says so"
            for name in self.dropped
            if name not in thresholds.dropped
        ]
        if self.bad_lines:
            found.append(f"{self.bad_lines:,} lines are no events, and were left out on both sides")
        return found

    def members(self) -> dict[str, Any]:
        """The members of its JSON form."""
        return {
            "pairs": self.pairs,
            "equal": self.pairs - self.different,
            "different": self.different,
            "expected": self.different - self.unexpected,
            "unexpected": self.unexpected,
            "rules": [
                {
                    "rule": rule.rule,
                    "description": rule.description,
                    "pairs": count,
                    "examples": [_named(one) for one in self.examples[rule]],
                }
                for rule, count in self.rules.items()
            ],
            "unexpected_examples": [_named(one) for one in self.surprises],
            "bad_lines": self.bad_lines,
            "dropped_processors": list(self.dropped),
        }


def result_of(pair: Pair, rules: Rules) -> Result:
    """The result of the fold for a pair."""
    tally = pair.tally
    return Result(rules.of(pair.row.processor).processor_type, tally.outcome.value, tally.counts, tally.factors)


def compared_members(before: Result, after: Result) -> Iterator[Member]:
    """Every member that differs: type, outcome and counts first, then factors by name."""
    for name, old, new in (
        ("processor_type", _text(before.processor_type), _text(after.processor_type)),
        ("outcome", _text(before.outcome), _text(after.outcome)),
        *((name, str(getattr(before.counts, name)), str(getattr(after.counts, name))) for name in _COUNTS),
    ):
        if old != new:
            yield Member(name, None, old, new)
    for name in sorted({*before.factors, *after.factors}):
        was, now = before.factors.get(name), after.factors.get(name)
        if was != now:
            yield Member("factor", name, was, now)


def pair_key(pair: Pair) -> bytes:
    """The key of a pair's row: both sides of a comparison are in its order."""
    return application_prefix(pair.row.application_id) + pair.row.processor.encode()


_COUNTS = ("active", "completed", "failed", "contributing")


def _text(value: str | None) -> str:
    return "null" if value is None else quote(value)


def _named(difference: Difference) -> dict[str, str]:
    return {"application_id": difference.application_id, "processor": difference.processor}
