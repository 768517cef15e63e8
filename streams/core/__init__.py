"""The consolidation core: pure functions from events to factors. No I/O, clock, randomness, logging or globals.

What the mission names is public here; the worker and ``replay`` use the incremental fold, :mod:`streams.core.fold`.
"""

from streams.core.mission_api import (
    MERGE,
    ExecutionRecord,
    ExecutionRepository,
    InMemoryExecutionRepository,
    consolidate,
)

__all__ = ["MERGE", "ExecutionRecord", "ExecutionRepository", "InMemoryExecutionRepository", "consolidate"]
