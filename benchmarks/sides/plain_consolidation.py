"""The sample catalogue's rules as a user of a stream library writes them for five processors, and no others.

The Python peers run on it, each in its own environment, so it imports the standard library only. It recomputes a
row's factors from its executions and knows nothing of retractions, reruns, copies, bounds, causes or dead letters. The
comparison also takes its result as the reference: it shares no code with the worker.
"""

from collections.abc import Callable, Iterable
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

__all__ = ["Row", "apply_event", "change_of", "consolidated", "counted", "empty_row", "reference"]

Row = dict[str, Any]
"""``executions`` by id, and what was last told: the ``factors``, and the ``counts`` of executions."""

Values = list[Any]

_CENT = Decimal("0.01")
_ENDS = ("completed", "failed")


def empty_row() -> Row:
    """A row that has seen nothing."""
    return {"executions": {}, "factors": {}, "counts": {"completed": 0, "failed": 0}}


def apply_event(row: Row, event: dict[str, Any]) -> None:
    """Put an event into its row: an execution's latest end wins, and a retry in progress undoes no end."""
    execution_id = event["execution_id"]
    held = row["executions"].get(execution_id)
    status = event["status"]
    if status not in _ENDS:
        if held is None or held["status"] not in _ENDS:
            row["executions"][execution_id] = {"status": status, "attempt": event["attempt"]}
        return
    if held is not None and held["status"] in _ENDS and _rank(held) > _rank(event):
        return
    row["executions"][execution_id] = {
        "status": status,
        "attempt": event["attempt"],
        "occurred_at": event["occurred_at"],
        "event_id": event["event_id"],
        "factors": ((event.get("output") or {}).get("factors") or {}) if status == "completed" else {},
    }


def consolidated(processor: str, row: Row) -> dict[str, Any]:
    """The factors of a row: those of its completed executions; a failed one contributes nothing."""
    completed = [(one["occurred_at"], id_, one["factors"]) for id_, one in row["executions"].items() if _counts(one)]
    completed.sort(key=lambda one: one[:2])
    if processor == "credit_check":
        completed = completed[-1:]
    factors = {}
    for name, field, reduce in _FACTORS[processor]:
        values = [output[field] for _, _, output in completed if field in output]
        if values:
            factors[name] = reduce(values)
    return factors


def counted(row: Row) -> dict[str, int]:
    """How many of a row's executions completed and how many failed: together they are the active ones."""
    statuses = [one["status"] for one in row["executions"].values()]
    return {"completed": statuses.count("completed"), "failed": statuses.count("failed")}


def change_of(row: Row, event: dict[str, Any]) -> dict[str, Any] | None:
    """Apply an event; the change to publish if it altered the factors or the counts, else None.

    The counts are in it because a failed execution is active: subscribers are to hear of it.
    """
    apply_event(row, event)
    factors, counts = consolidated(event["processor"], row), counted(row)
    if factors == row["factors"] and counts == row["counts"]:
        return None
    row["factors"], row["counts"] = factors, counts
    return {
        "application_id": event["application_id"],
        "processor": event["processor"],
        "factors": factors,
        "executions": counts,
        "cause": {"event_id": event["event_id"], "execution_id": event["execution_id"], "status": event["status"]},
    }


def reference(events: Iterable[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    """The final factors by application and processor, of all events."""
    rows: dict[tuple[str, str], Row] = {}
    for event in events:
        apply_event(rows.setdefault((event["application_id"], event["processor"]), empty_row()), event)
    return {pair: consolidated(pair[1], row) for pair, row in rows.items()}


def _rank(end: dict[str, Any]) -> tuple[int, str, str]:
    # Texts of one format and time zone: they order as the moments do.
    return end["attempt"], end["occurred_at"], end["event_id"]


def _counts(execution: dict[str, Any]) -> bool:
    return execution["status"] == "completed" and bool(execution["factors"])


def _mean(values: Values) -> float:
    # Through the shortest text, so that the cents of a float are the cents that were sent.
    total = sum((Decimal(str(value)) for value in values), Decimal(0))
    return float((total / len(values)).quantize(_CENT, ROUND_HALF_EVEN))


def _first(values: Values) -> Any:
    return values[0]


def _last(values: Values) -> Any:
    return values[-1]


def _distinct(values: Values) -> int:
    return len(set(values))


_FACTORS: dict[str, tuple[tuple[str, str, Callable[[Values], Any]], ...]] = {
    "bank_statement": (
        ("f_revenue_monthly_avg", "f_revenue_monthly", _mean),
        ("f_months_analyzed", "f_revenue_monthly", len),
    ),
    "credit_check": (("f_credit_score", "f_credit_score", _last),),
    "drivers_license": (
        ("f_verified_licenses_count", "f_license_verified", sum),
        ("f_total_licenses_processed", "f_license_verified", len),
    ),
    "proof_of_income": (
        ("f_income_monthly_avg", "f_income_monthly", _mean),
        ("f_income_monthly_lowest", "f_income_monthly", min),
        ("f_income_monthly_highest", "f_income_monthly", max),
        ("f_income_documents_count", "f_income_monthly", len),
        ("f_employers_count", "f_employer_name", _distinct),
        ("f_employer_first_seen", "f_employer_name", _first),
    ),
    "voided_check": (
        ("f_account_all_checks_match", "f_account_match", all),
        ("f_account_any_check_matches", "f_account_match", any),
        ("f_accounts_count", "f_account_token", _distinct),
    ),
}
