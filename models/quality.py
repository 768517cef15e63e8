"""Quality issues: what was odd about an event that is good enough to keep."""

from enum import StrEnum
from typing import NamedTuple

__all__ = ["Issue", "QualityIssue"]


class Issue(StrEnum):
    """The kinds of quality issues; the values are part of the contract of ``factor-changes``."""

    FACTOR_NULL = "factor_null"
    FACTOR_WRONG_TYPE = "factor_wrong_type"
    FACTOR_OUT_OF_BOUNDS = "factor_out_of_bounds"
    REQUIRED_FACTOR_MISSING = "required_factor_missing"
    NO_DECLARED_FIELD = "no_declared_field"
    FACTORS_MISPLACED = "factors_misplaced"
    OUTPUT_IGNORED = "output_ignored"
    SUPERSEDES_ITSELF = "supersedes_itself"
    SUPERSESSION_CYCLE = "supersession_cycle"


class QualityIssue(NamedTuple):
    """One issue. It names the factor or the member that it is about, never a value."""

    issue: Issue
    factor: str | None = None
