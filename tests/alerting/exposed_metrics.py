"""The metrics that workers, sinks, verification and canary export: what rules, panels and runbooks may name."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from models.errors import Defect
from models.outcomes import Outcome
from models.quality import Issue

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


def _any(*names: str) -> dict[str, frozenset[str] | None]:
    return dict.fromkeys(names)


def _counter(**labels: frozenset[str] | None) -> Metric:
    return Metric("counter", labels)


def _gauge(**labels: frozenset[str] | None) -> Metric:
    return Metric("gauge", labels)


_HISTOGRAM: Final = Metric("histogram", {})

_STATES: Final = frozenset({"fencing", "recovering", "waiting", "running", "adopting", "stalled", "stuck", "idle"})
_STATUSES: Final = frozenset({"requested", "started", "completed", "failed", "superseded", "cancelled"})
_DISPOSITIONS: Final = frozenset({"folded", "copy", "dead_letter", "republished", "erased", "adopted"})
_RESULTS: Final = frozenset({"with_factors", "without_factors", "rejected"})

_METRICS: Final[Mapping[str, Metric]] = {
    # Workers and sinks.
    "consolidator_build_info": _gauge(
        **_any("version", "python", "compiled"), role=frozenset({"worker", "sink", "canary"})
    ),
    "consolidator_up_seconds": _gauge(),
    "consolidator_kafka_lost_seconds": _gauge(),
    "consolidator_log_lines_dropped_total": _counter(),
    "consolidator_event_loop_delay_seconds": _gauge(),
    "process_virtual_memory_bytes": _gauge(),
    "process_resident_memory_bytes": _gauge(),
    "process_start_time_seconds": _gauge(),
    "process_cpu_seconds_total": _counter(),
    "process_open_fds": _gauge(),
    "process_max_fds": _gauge(),
    # Workers.
    "consolidator_events_total": _counter(disposition=_DISPOSITIONS),
    "consolidator_executions_total": _counter(**_any("processor"), status=_STATUSES),
    "consolidator_execution_failures_total": _counter(**_any("processor", "code")),
    "consolidator_changes_total": _counter(**_any("processor"), outcome=frozenset(map(str, Outcome))),
    "consolidator_consolidations_total": _counter(**_any("processor"), result=_RESULTS),
    "consolidator_factors_expected_total": _counter(**_any("processor")),
    "consolidator_factors_present_total": _counter(**_any("processor")),
    "consolidator_quality_issues_total": _counter(**_any("processor"), issue=frozenset(map(str, Issue))),
    "consolidator_event_age_seconds": _HISTOGRAM,
    "consolidator_batch_records": _HISTOGRAM,
    "consolidator_fold_seconds": _HISTOGRAM,
    "consolidator_transaction_seconds": _HISTOGRAM,
    "consolidator_round_seconds": _HISTOGRAM,
    "consolidator_partition_state": _gauge(**_any("partition"), state=_STATES),
    "consolidator_partition_position": _gauge(**_any("partition")),
    "consolidator_partition_committed_offset": _gauge(**_any("partition")),
    "consolidator_partition_end_offset": _gauge(**_any("partition")),
    "consolidator_partition_lag_records": _gauge(**_any("partition")),
    "consolidator_partition_lag_seconds": _gauge(**_any("partition")),
    "consolidator_partition_last_progress_seconds": _gauge(**_any("partition")),
    "consolidator_recovery_remaining_records": _gauge(**_any("partition")),
    "consolidator_recovery_records_total": _counter(**_any("partition")),
    "consolidator_dead_letters_total": _counter(error_class=frozenset(map(str, Defect))),
    "consolidator_open_transaction_seconds": _gauge(**_any("topic")),
    "consolidator_rocksdb_bytes": _gauge(**_any("partition")),
    "consolidator_rocksdb_memory_bytes": _gauge(),
    "consolidator_adoption_done_records": _gauge(**_any("partition")),
    "consolidator_adoption_expected_records": _gauge(**_any("partition")),
    # Sinks.
    "consolidator_sink_partition_state": _gauge(**_any("topic", "partition", "state")),
    "consolidator_sink_lag_records": _gauge(**_any("topic", "partition")),
    "consolidator_sink_lag_seconds": _gauge(**_any("partition")),
    "consolidator_sink_last_cut_seconds": _gauge(**_any("partition")),
    "consolidator_sink_cuts_total": _counter(),
    "consolidator_sink_cut_seconds": _HISTOGRAM,
    "consolidator_sink_rows_total": _counter(**_any("table")),
    "consolidator_sink_quarantined_total": _counter(),
    "consolidator_sink_database_lost_seconds": _gauge(),
    # The file of `consolidator replay --verify --metrics-file`.
    "consolidator_verification_differences": _gauge(),
    "consolidator_verification_finished_timestamp_seconds": _gauge(),
    # The canary; compared with what it exports by tests/unit/canary/.
    "consolidator_canary_seconds": _HISTOGRAM,
    "consolidator_canary_lost_total": _counter(),
    "consolidator_canary_last_success_timestamp_seconds": _gauge(),
}


def exposed_metrics() -> Mapping[str, Metric]:
    """Every metric that may be named, by its name.

    It is the agreed list. A scrape of a live worker may take its place: this is the only function that has to change.
    """
    return _METRICS


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
