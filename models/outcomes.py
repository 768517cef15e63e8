"""The outcome of a consolidation. It follows from counts alone (the mission's scenarios)."""

from enum import StrEnum

__all__ = ["Outcome"]


class Outcome(StrEnum):
    """The outcome of one (application, processor)."""

    NOT_ATTEMPTED = "not_attempted"
    """No event yet; only ever a previous outcome."""
    IN_PROGRESS = "in_progress"
    """No execution is active, some are open."""
    WITHDRAWN = "withdrawn"
    """No execution is active and none is open."""
    CONSOLIDATED = "consolidated"
    """Some are active, none failed."""
    PARTIAL = "partial"
    """Some active executions failed, some completed."""
    CLEARED = "cleared"
    """Every active execution failed: no factors, and the consolidation has succeeded."""
