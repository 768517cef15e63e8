"""How much a fault scenario does: a short form for every test run, a long one for the proof.

    CONSOLIDATOR_FAULTS=long CONSOLIDATOR_FAULT_REPORT=faults.jsonl pytest tests/faults

A separate variable overrides each number, in both forms. CONSOLIDATOR_FAULT_SEED repeats a run's workload and schedule;
by default every run has another, which it prints.
"""

import os
import random

__all__ = ["SEED", "scale"]

LONG = os.environ.get("CONSOLIDATOR_FAULTS", "short") == "long"

SEED = int(os.environ.get("CONSOLIDATOR_FAULT_SEED") or random.SystemRandom().randrange(1_000_000))


def scale(variable: str, *, short: int, long: int) -> int:
    """A number of this run, from its variable or by the run's form."""
    return int(os.environ.get(f"CONSOLIDATOR_FAULT_{variable}") or (long if LONG else short))
