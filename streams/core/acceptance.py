"""Which factors of an output count: nulls are dropped, wrong types and values out of bounds rejected.

Each is a quality issue and the event stays. What is accepted becomes canonical JSON text.

Two more issues report that factors may have been lost by a wrong name: the catalogue reads none of an output's fields,
or a member that looks like the factors is in a place where it is not read. An unknown member or processor alone is no
issue.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from mypy_extensions import mypyc_attr

from models.catalogue import FieldRule
from models.events import LifecycleEvent, Status
from models.numbers import Scalar, scalar_text
from models.quality import Issue, QualityIssue
from models.values import Value

__all__ = ["Accepted", "accept"]


@mypyc_attr(acyclic=True)
class Accepted(Value):
    """The result of judging an event's output.

    Attributes:
        factors: accepted values that some factor reads, by field, as canonical JSON text.
        contributes: at least one value of any name was accepted.
        issues: what was odd.
    """

    __slots__ = ("contributes", "factors", "issues")

    def __init__(
        self,
        factors: dict[str, str],
        contributes: bool,  # noqa: FBT001 - a field
        issues: tuple[QualityIssue, ...],
    ) -> None:
        self.factors: Final = factors
        self.contributes: Final = contributes
        self.issues: Final = issues


# Looked up once, and not for each event; see streams.core.standing.
_COMPLETED: Final = Status.COMPLETED

_NOTHING: Final = Accepted({}, contributes=False, issues=())
_IGNORED: Final = Accepted({}, contributes=False, issues=(QualityIssue(Issue.OUTPUT_IGNORED),))


def accept(event: LifecycleEvent, fields: Mapping[str, FieldRule] | None) -> Accepted:
    """Judge the factors of an event.

    Args:
        event: any lifecycle event; only a completed one has factors.
        fields: the acceptance of each field that a factor reads; None: MERGE, every scalar of any name is read.
    """
    if event.status is not _COMPLETED:
        return _IGNORED if event.output_ignored else _NOTHING
    accepted: dict[str, str] = {}
    issues: list[QualityIssue] = []
    contributes = False
    if event.near_misses:
        issues += [QualityIssue(Issue.FACTORS_MISPLACED, name) for name in event.near_misses]
    for name, value in event.factors.items():
        if value is None:
            issues.append(QualityIssue(Issue.FACTOR_NULL, name))
        elif fields is None:
            accepted[name] = scalar_text(value)
        elif (rule := fields.get(name)) is None:
            contributes = True
        elif (issue := _objection(value, rule)) is not None:
            issues.append(QualityIssue(issue, name))
        else:
            accepted[name] = scalar_text(value)
    if fields is not None:
        if not accepted and event.factors and fields.keys().isdisjoint(event.factors):
            issues.append(QualityIssue(Issue.NO_DECLARED_FIELD))
        issues += [
            QualityIssue(Issue.REQUIRED_FACTOR_MISSING, name)
            for name, rule in fields.items()
            if rule.required and event.factors.get(name) is None
        ]
    return Accepted(accepted, contributes or bool(accepted), tuple(issues))


def _objection(value: Scalar, rule: FieldRule) -> Issue | None:
    if rule.kind == "any":
        return None
    if isinstance(value, bool):
        return None if rule.kind == "boolean" else Issue.FACTOR_WRONG_TYPE
    if rule.kind == "boolean" or not isinstance(value, int | Decimal):
        return Issue.FACTOR_WRONG_TYPE
    if rule.minimum is not None and value < rule.minimum:
        return Issue.FACTOR_OUT_OF_BOUNDS
    if rule.maximum is not None and value > rule.maximum:
        return Issue.FACTOR_OUT_OF_BOUNDS
    return None
