"""Words for hand-worked cases: one application ``app``, one processor ``p``, executions and their events by name."""

from typing import Any

from tests.inputs.workloads import Item, numbered
from tests.oracle.executions import PairState
from tests.oracle.expected import Expectation, expected


def event(execution: str, status: str, second: int, **extra: Any) -> dict[str, Any]:
    """An event of application ``app``; its event_id is made from its arguments."""
    found = {
        "application_id": "app",
        "execution_id": execution,
        "processor": "p",
        "status": status,
        "occurred_at": f"2025-03-03T09:{second // 60:02d}:{second % 60:02d}Z",
    } | extra
    return {"event_id": f"{execution}-{status}-{second}-{extra.get('attempt')}-{extra.get('sequence')}"} | found


def ok(execution: str, second: int, factors: Any = None, **extra: Any) -> dict[str, Any]:
    return event(execution, "completed", second, output={"factors": {"x": 1} if factors is None else factors}, **extra)


def failed(execution: str, second: int, **extra: Any) -> dict[str, Any]:
    return event(execution, "failed", second, **({"error": {"code": "TIMEOUT", "message": "late"}} | extra))


def one_factor(reducer: str, *, policy: str = "replace", **extra: Any) -> dict[str, Any]:
    """A catalogue of the processor ``p`` whose one factor ``f`` reads the field ``x``."""
    factor = {"reducer": reducer, "field": "x"} | extra
    return {"processors": {"p": {"type": "document", "on_failed_rerun": policy, "factors": {"f": factor}}}}


def fold(catalogue: dict[str, Any], *items: Item) -> Expectation:
    return expected(catalogue, numbered(items))


def state(catalogue: dict[str, Any], *items: Item) -> PairState:
    (found,) = fold(catalogue, *items).pairs.values()
    return found
