"""The result of a comparison, for people."""

from collections.abc import Iterator, Sequence

from streams.audit.comparison.report import Difference, Report

__all__ = ["comparison_lines"]


def comparison_lines(report: Report, objections: Sequence[str]) -> Iterator[str]:
    """The rules with their counts and examples, then the totals, and the verdict last.

    Args:
        report: the report.
        objections: the reasons against the new rules.
    """
    for rule, count in report.rules.items():
        yield f"expected by {rule.rule}: {_pairs(count)}"
        yield f"  {rule.description}"
        yield from _examples(report.examples[rule])
    if report.unexpected:
        yield f"unexpected, by no rule that differs: {_pairs(report.unexpected)}"
        yield from _examples(report.surprises)
    yield (
        f"{_pairs(report.pairs)}: {report.pairs - report.different:,} equal, {report.different:,} different, of which "
        f"{report.different - report.unexpected:,} as expected and {report.unexpected:,} unexpectedly"
    )
    yield f"no-go: {'; '.join(objections)}" if objections else "go"


def _examples(differences: Sequence[Difference]) -> Iterator[str]:
    for one in differences:
        told = "; ".join(str(member) for member, _ in one.members)
        yield f"  - {one.application_id} {one.processor}: {told}"
        if one.explanation:
            yield f"    {one.explanation}"


def _pairs(count: int) -> str:
    return "1 pair" if count == 1 else f"{count:,} pairs"
