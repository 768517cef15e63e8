"""What the tests of deployment files have in common."""

from typing import Final

from streams.supervisor.health import HEALTH_FIELD, health_variable

__all__ = ["HEALTH_VARIABLE"]

HEALTH_VARIABLE: Final = {health_variable() or f"CONSOLIDATOR_{HEALTH_FIELD.upper()}"}
"""The setting of the health address."""
