"""As-of answers as values for programs: the members of ``consolidator factors``, and the offsets of the answer."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from consolidator.records import FactorChange, FactorDifference
from models.events import rfc3339
from streams.audit.history.as_of import AsOf
from streams.audit.made_changes import differences_of
from streams.core.pair_summary import PairSummary, summary_of
from streams.rulesets.rule_book import RuleBook
from topics.reading.positions import offsets_text
from topics.records.erasures import Forgotten

__all__ = [
    "Difference",
    "change_members",
    "differences",
    "forgotten_members",
    "standing_members",
    "standing_text",
]


def change_members(change: FactorChange) -> dict[str, object]:
    """A change and the event that caused it, without the pair's state after it."""
    return {
        "id": change.id,
        "previous_outcome": change.previous_outcome,
        "outcome": change.outcome,
        "changed": change.changed,
        "cause": change.cause,
        "ruleset": change.ruleset,
        "quality": change.quality,
        "occurred_at": change.occurred_at,
    }


def standing_members(answer: AsOf) -> dict[str, object]:
    """The offsets that an answer is based on."""
    log = answer.log
    return {
        "sense": "known" if answer.true_at is None else "true",
        "true_at": None if answer.true_at is None else rfc3339(answer.true_at),
        "topic": log.log.topic,
        "partition": log.partition,
        "from": log.first,
        "to": log.end,
        "complete_from": log.first,
    } | ({} if log.forgotten is None else {"erased": forgotten_members(log.log.topic, log.forgotten)})


def forgotten_members(topic: str, forgotten: Forgotten) -> dict[str, object]:
    """Where an application was erased."""
    return {
        "topic": topic,
        "partition": forgotten.partition,
        "offset": forgotten.offset,
        "lifted": forgotten.lifted,
    }


def standing_text(answer: AsOf) -> str:
    """The offsets that an answer is based on, as text for people."""
    log = answer.log
    sense = "as known" if answer.true_at is None else f"as true at {rfc3339(answer.true_at)}, known"
    gone = f"; events before offset {log.first} are gone: complete from there only" if log.first else ""
    gone += "" if log.forgotten is None else f"; {log.forgotten}"
    return f"{sense} from {log.log.topic} partition {log.partition}, {offsets_text(log.first, log.end)}{gone}"


@dataclass(frozen=True, slots=True)
class Difference:
    """The difference of one processor between two answers.

    Attributes:
        processor: its name.
        before: its result in the first answer; None: it was not there.
        after: its result in the second answer; None: it was not there.
        changed: the factors that differ.
    """

    processor: str
    before: PairSummary | None
    after: PairSummary | None
    changed: tuple[FactorDifference, ...]


def differences(before: AsOf, after: AsOf, book: RuleBook) -> Iterator[Difference]:
    """Every processor whose outcome, factors or counts differ, sorted by name."""
    for name in sorted({*before.processors, *after.processors}):
        one, two = before.processors.get(name), after.processors.get(name)
        old = None if one is None else summary_of(one.pair, book.of_row(one.pair.row))
        new = None if two is None else summary_of(two.pair, book.of_row(two.pair.row))
        if old != new:
            yield Difference(name, old, new, tuple(differences_of(_factors(old), _factors(new))))


def _factors(summary: PairSummary | None) -> Mapping[str, str]:
    return {} if summary is None else summary.factors
