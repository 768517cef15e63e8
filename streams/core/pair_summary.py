"""The summary of an (application, processor), in the form in which commands print it."""

from collections.abc import Mapping
from dataclasses import dataclass

from models.counts import Counts
from models.numbers import quote
from streams.core.fold import Pair
from streams.core.rules import Rules

__all__ = ["PairSummary", "summary_json", "summary_of"]


@dataclass(frozen=True, slots=True)
class PairSummary:
    """The summary of one pair.

    Attributes:
        application_id: the application.
        processor: the processor.
        processor_type: ``document``, ``application``, ``stipulation``; None: the catalogue does not know it.
        outcome: ``consolidated``, ``partial`` and so on.
        factors: the consolidated factors, sorted by name, as canonical JSON text.
        counts: of its active executions.
    """

    application_id: str
    processor: str
    processor_type: str | None
    outcome: str
    factors: Mapping[str, str]
    counts: Counts


def summary_of(pair: Pair, rules: Rules) -> PairSummary:
    """A folded pair's summary."""
    row, tally = pair.row, pair.tally
    kind = rules.of(row.processor).processor_type
    return PairSummary(row.application_id, row.processor, kind, tally.outcome.value, tally.factors, tally.counts)


def summary_json(summary: PairSummary, more: str = "") -> str:
    """The summary as one line of JSON, its keys always the same and in the same order.

    It is written from parts: factors are JSON text already, so no digit is changed.

    Args:
        summary: the summary.
        more: further members as JSON text, which come last.
    """
    kind = "null" if summary.processor_type is None else quote(summary.processor_type)
    factors = ",".join(f"{quote(name)}:{text}" for name, text in summary.factors.items())
    counts = summary.counts
    return (
        f'{{"application_id":{quote(summary.application_id)},"processor":{quote(summary.processor)},'
        f'"processor_type":{kind},"outcome":{quote(summary.outcome)},"factors":{{{factors}}},'
        f'"executions":{{"active":{counts.active},"completed":{counts.completed},"failed":{counts.failed},'
        f'"contributing":{counts.contributing}}}{"," if more else ""}{more}}}'
    )
