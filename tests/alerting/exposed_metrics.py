"""The metrics that workers, sinks, verification and canary export: what rules, panels and runbooks may name."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from models.errors import Defect
from models.outcomes import Outcome
from models.quality import Issue
from streams.health.names import METRICS, PROCESS_METRICS

__all__ = ["SCRAPED_LABELS", "Metric", "exposed_metrics", "series_names"]


class Metric(NamedTuple):
    """One metric.

    Attributes:
        kind: ``counter``, ``gauge`` or ``histogram``.
        labels: the names of its labels, each with its values; None: any value.
    """

    kind: str
    labels: Mapping[str, frozenset[str] | None]


SCRAPED_LABELS: Final = {"job", "instance"}
"""The labels that Prometheus adds to every series."""


_STATES: Final = frozenset({"fencing", "recovering", "waiting", "running", "adopting", "stalled", "stuck", "idle"})

_VALUES: Final[Mapping[tuple[str, str], frozenset[str]]] = {
    ("consolidator_build_info", "role"): frozenset({"worker", "sink", "canary"}),
    ("consolidator_events_total", "disposition"): frozenset(
        {"folded", "copy", "dead_letter", "republished", "erased", "adopted"}
    ),
    ("consolidator_executions_total", "status"): frozenset(
        {"requested", "started", "completed", "failed", "superseded", "cancelled"}
    ),
    ("consolidator_changes_total", "outcome"): frozenset(map(str, Outcome)),
    ("consolidator_consolidations_total", "result"): frozenset({"with_factors", "without_factors", "rejected"}),
    ("consolidator_quality_issues_total", "issue"): frozenset(map(str, Issue)),
    ("consolidator_partition_state", "state"): _STATES,
    ("consolidator_dead_letters_total", "error_class"): frozenset(map(str, Defect)),
}
"""The values of labels that have no others, by metric and label."""

_OF_COMMANDS: Final = {
    # The file of `consolidator replay --verify --metrics-file`.
    "consolidator_verification_differences": Metric("gauge", {}),
    "consolidator_verification_finished_timestamp_seconds": Metric("gauge", {}),
    # The canary; compared with what it exports by tests/unit/canary/.
    "consolidator_canary_seconds": Metric("histogram", {"app_id": None}),
    "consolidator_canary_lost_total": Metric("counter", {"app_id": None}),
    "consolidator_canary_lost_partitions": Metric("gauge", {"app_id": None}),
    "consolidator_canary_last_success_timestamp_seconds": Metric("gauge", {"app_id": None}),
    "consolidator_canary_last_round_timestamp_seconds": Metric("gauge", {"app_id": None}),
    "consolidator_canary_interval_seconds": Metric("gauge", {"app_id": None}),
}


def exposed_metrics() -> Mapping[str, Metric]:
    """Every metric that may be named, by its name.

    Those of workers and sinks are compared with scrapes by tests/integration/health/.
    """
    exported = (METRICS | PROCESS_METRICS).values()
    return {
        metric.name: Metric(str(metric.kind), {label: _VALUES.get((metric.name, label)) for label in metric.labels})
        for metric in exported
    } | _OF_COMMANDS


def series_names() -> Mapping[str, Metric]:
    """The metrics by the names of their series: a histogram has three."""
    names = {}
    for name, metric in exposed_metrics().items():
        if metric.kind == "histogram":
            names[f"{name}_bucket"] = metric._replace(labels=metric.labels | {"le": None})
            names[f"{name}_count"] = names[f"{name}_sum"] = metric
        else:
            names[name] = metric
    return names
