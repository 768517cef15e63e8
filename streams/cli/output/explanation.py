"""The explanation of factors for people: each with its rule, values and calculation; control characters are escaped."""

from collections.abc import Iterator

from streams.audit.history.explanation import ExplainedFactor, Explanation, Rejection
from streams.runtime.escaping import escaped

__all__ = ["explanation_lines", "unexplained_lines"]


def explanation_lines(processor: str, outcome: str, explanation: Explanation) -> Iterator[str]:
    """Each line escaped."""
    ruleset = explanation.ruleset
    yield ""
    yield escaped(f"{processor}: why {outcome}")
    yield escaped(f"  ruleset {ruleset.name} version {ruleset.version}, digest {ruleset.digest}")
    for factor in explanation.factors:
        yield from _factor_lines(factor)
    contributing = [
        f"{one.execution_id} at {one.occurred_at}" + ("" if one.values else " (no value that a factor reads)")
        for one in explanation.contributions
    ]
    yield from _list("contributing", contributing)
    yield from _list(
        "failed, active without factors",
        [
            f"{one.execution_id} (attempt {one.attempt}: {one.code or 'no code'}) at {one.occurred_at}"
            for one in explanation.failures
        ],
    )
    if explanation.rejected:
        yield from _list("rejected or not used", [_rejection(one) for one in explanation.rejected])
    if explanation.left_out:
        yield from _list(
            "not counted", [f"{one.execution_id}: {one.reason} ({one.occurred_at})" for one in explanation.left_out]
        )
    if explanation.refused:
        yield from _list(
            "dead letters of the application",
            [f"partition {one.partition} offset {one.offset}: {one.reason}" for one in explanation.refused],
        )
    if explanation.truncated:
        yield "  (the latest 50 of each)"


def unexplained_lines(problem: str) -> Iterator[str]:
    """Why there is no calculation."""
    yield escaped(f"  no calculation: {problem}")


def _factor_lines(factor: ExplainedFactor) -> Iterator[str]:
    unit = "" if factor.unit is None else f" {factor.unit}"
    value = "absent: there is no value" if factor.value is None else f"{bytes(factor.value).decode()}{unit}"
    yield escaped(f"  {factor.factor} = {value}" if factor.value is not None else f"  {factor.factor}: {value}")
    yield escaped(f"    rule: {factor.rule}")
    if factor.values > len(factor.inputs):
        yield f"    the latest {len(factor.inputs)} of {factor.values} values:"
    for one in factor.inputs:
        yield escaped(f"    {one.execution_id} at {one.occurred_at}: {bytes(one.value).decode()}")
    if factor.calculation is not None:
        yield escaped(f"    {factor.calculation}{unit}")


def _rejection(one: Rejection) -> str:
    value = "" if one.value is None else f" = {bytes(one.value).decode()}"
    field = "" if one.field is None else f"{one.field}{value} "
    return f"{field}of {one.execution_id} at {one.occurred_at}: {one.issue}, {one.reason}"


def _list(heading: str, items: list[str]) -> Iterator[str]:
    if len(items) <= 1:
        yield escaped(f"  {heading}: {items[0] if items else 'none'}")
        return
    yield f"  {heading}:"
    for item in items:
        yield escaped(f"    {item}")
