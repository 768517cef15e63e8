"""Every metric: its name, its labels, what it says, and how the numbers of several processes become one.

``docs/health.md`` lists them, and a test compares the two, and both with a scrape.
"""

from enum import StrEnum
from typing import Final, NamedTuple

from streams.health.figures import AGE_BOUNDS_S, DURATION_BOUNDS_S, RECORD_BOUNDS

__all__ = ["METRICS", "PROCESS_METRICS", "Kind", "Merged", "Metric", "Role", "metrics_of"]


class Kind(StrEnum):
    """The kinds of metrics, in Prometheus' words."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Merged(StrEnum):
    """What becomes of the values that several processes have under the same labels."""

    SUM = "sum"
    MAX = "max"
    MIN = "min"


class Role(StrEnum):
    """Which programs have a metric."""

    BOTH = "both"
    WORKER = "worker"
    SINK = "sink"


class Metric(NamedTuple):
    """One metric.

    Attributes:
        name: with the ending ``_total`` if it is a counter.
        kind: its kind.
        labels: the names of its labels.
        says: what it says, in one sentence without a full stop.
        role: which programs have it.
        merged: what becomes of the values of several processes.
        bounds: of a histogram.
    """

    name: str
    kind: Kind
    labels: tuple[str, ...]
    says: str
    role: Role = Role.WORKER
    merged: Merged = Merged.SUM
    bounds: tuple[float, ...] = ()


_COUNTER, _GAUGE, _HISTOGRAM = Kind.COUNTER, Kind.GAUGE, Kind.HISTOGRAM
_BOTH, _SINK = Role.BOTH, Role.SINK
_SUM, _MAX, _MIN = Merged.SUM, Merged.MAX, Merged.MIN
_PARTITION = ("partition",)

_COMMON: Final = (
    Metric(
        "consolidator_build_info",
        _GAUGE,
        ("version", "python", "compiled", "role"),
        "Always 1; the labels say what runs",
        _BOTH,
        _MAX,
    ),
    Metric("consolidator_up_seconds", _GAUGE, (), "How long the program has been running", _BOTH, _MAX),
    Metric(
        "consolidator_kafka_lost_seconds",
        _GAUGE,
        (),
        "For how long at least one broker that is needed has not answered; 0: all answer",
        _BOTH,
        _MAX,
    ),
    Metric("consolidator_log_lines_dropped_total", _COUNTER, (), "Log lines that could not be written", _BOTH),
    Metric(
        "consolidator_log_blocked_seconds",
        _GAUGE,
        (),
        "For how long a write to the log has not ended; 0: none is under way",
        _BOTH,
        _MAX,
    ),
    Metric(
        "consolidator_event_loop_delay_seconds",
        _GAUGE,
        (),
        "The age of the last sign that the event loop, or the sink's own loop, runs; below 2 is normal",
        _BOTH,
        _MAX,
    ),
    Metric(
        "consolidator_disk_free_bytes",
        _GAUGE,
        (),
        "What is free on the disk of the state directory",
        _BOTH,
        _MIN,
    ),
)

_EVENTS: Final = (
    Metric(
        "consolidator_events_total",
        _COUNTER,
        ("disposition",),
        "Records of executions by what became of them: folded, copy, dead_letter, republished, erased, adopted",
    ),
    Metric(
        "consolidator_executions_total",
        _COUNTER,
        ("processor", "status"),
        "Folded events by processor and status, without copies",
    ),
    Metric(
        "consolidator_execution_failures_total",
        _COUNTER,
        ("processor", "code"),
        "Failed executions that were handled, by their error code: 50 codes of a processor, then other; none: no code",
    ),
    Metric(
        "consolidator_changes_total",
        _COUNTER,
        ("processor", "outcome"),
        "Changes that events made, by their outcome",
    ),
    Metric(
        "consolidator_consolidations_total",
        _COUNTER,
        ("processor", "result"),
        "Consolidations: with_factors and without_factors have succeeded, rejected is a dead letter",
    ),
    Metric(
        "consolidator_factors_expected_total",
        _COUNTER,
        ("processor",),
        "Declared factors of each change, but for those in progress",
    ),
    Metric(
        "consolidator_factors_present_total",
        _COUNTER,
        ("processor",),
        "Those of the expected factors that have a value",
    ),
    Metric(
        "consolidator_quality_issues_total",
        _COUNTER,
        ("processor", "issue"),
        "Quality issues of events, by processor and kind",
    ),
    Metric("consolidator_dead_letters_total", _COUNTER, ("error_class",), "Dead letters, by their reason"),
    Metric(
        "consolidator_event_age_seconds",
        _HISTOGRAM,
        (),
        "From the broker's time of a record (LogAppendTime) to the commit of its results",
        bounds=AGE_BOUNDS_S,
    ),
    Metric("consolidator_batch_records", _HISTOGRAM, (), "Records in a batch", bounds=RECORD_BOUNDS),
    Metric("consolidator_fold_seconds", _HISTOGRAM, (), "How long the fold of a batch took", bounds=DURATION_BOUNDS_S),
    Metric(
        "consolidator_transaction_seconds",
        _HISTOGRAM,
        (),
        "From the beginning of a Kafka transaction to its commit",
        bounds=DURATION_BOUNDS_S,
    ),
    Metric(
        "consolidator_round_seconds",
        _HISTOGRAM,
        (),
        "From the taking of a round of batches to its acknowledgement",
        bounds=DURATION_BOUNDS_S,
    ),
)

_PARTITIONS: Final = (
    Metric(
        "consolidator_partition_state",
        _GAUGE,
        ("partition", "state"),
        "1 for the state of a partition, 0 for the others",
        merged=_MAX,
    ),
    Metric("consolidator_partition_position", _GAUGE, _PARTITION, "The offset before which it is folded", merged=_MAX),
    Metric(
        "consolidator_partition_committed_offset",
        _GAUGE,
        _PARTITION,
        "The offset before which its results are committed",
        merged=_MAX,
    ),
    Metric("consolidator_partition_end_offset", _GAUGE, _PARTITION, "Its last stable offset", merged=_MAX),
    Metric(
        "consolidator_partition_lag_offsets",
        _GAUGE,
        _PARTITION,
        "Offsets that are not committed yet; those of transaction markers count",
        merged=_MAX,
    ),
    Metric(
        "consolidator_partition_lag_seconds",
        _GAUGE,
        _PARTITION,
        "The age of the oldest record that is not committed yet; 0: there is none",
        merged=_MAX,
    ),
    Metric(
        "consolidator_partition_last_progress_seconds",
        _GAUGE,
        _PARTITION,
        "How long ago its committed offset, or its recovery, moved",
        merged=_MAX,
    ),
    Metric(
        "consolidator_recovery_remaining_records",
        _GAUGE,
        _PARTITION,
        "Offsets of the changelog that are still to be read; 0: it is recovered",
        merged=_MAX,
    ),
    Metric("consolidator_recovery_records_total", _COUNTER, _PARTITION, "Offsets of the changelog that were read"),
    Metric(
        "consolidator_open_transaction_seconds",
        _GAUGE,
        ("topic",),
        "For how long the oldest open transaction has been seen that holds the topic's readers up; 0: none",
        merged=_MAX,
    ),
    Metric("consolidator_rocksdb_bytes", _GAUGE, _PARTITION, "Size of the partition's state on disk", merged=_MAX),
    Metric("consolidator_rocksdb_memory_bytes", _GAUGE, (), "Memory of the state's caches and write buffers"),
    Metric(
        "consolidator_adoption_done_records",
        _GAUGE,
        _PARTITION,
        "The offset, no number of records, before which it is folded with the ruleset being adopted; absent: none is",
        merged=_MAX,
    ),
    Metric(
        "consolidator_adoption_expected_records",
        _GAUGE,
        _PARTITION,
        "The offset before which it has to be folded for that",
        merged=_MAX,
    ),
)

_SINKS: Final = (
    Metric(
        "consolidator_sink_partition_state",
        _GAUGE,
        ("topic", "partition", "state"),
        "1 for the state of a partition, 0 for the others",
        _SINK,
        _MAX,
    ),
    Metric(
        "consolidator_sink_lag_offsets",
        _GAUGE,
        ("topic", "partition"),
        "Offsets that the worker had published and the database does not show yet",
        _SINK,
        _MAX,
    ),
    Metric(
        "consolidator_sink_lag_seconds",
        _GAUGE,
        _PARTITION,
        "For how long the oldest of them has been waiting; 0: there is none",
        _SINK,
        _MAX,
    ),
    Metric(
        "consolidator_sink_last_cut_seconds",
        _GAUGE,
        _PARTITION,
        "How long ago a cut of the partition was written, or the partition taken over",
        _SINK,
        _MAX,
    ),
    Metric("consolidator_sink_cuts_total", _COUNTER, (), "Cuts written, each in one transaction", _SINK),
    Metric(
        "consolidator_sink_cut_seconds",
        _HISTOGRAM,
        (),
        "How long writing a cut took",
        _SINK,
        bounds=DURATION_BOUNDS_S,
    ),
    Metric("consolidator_sink_rows_total", _COUNTER, ("table",), "Rows written, by table", _SINK),
    Metric("consolidator_sink_quarantined_total", _COUNTER, (), "Rows that the database refused", _SINK),
    Metric(
        "consolidator_sink_database_lost_seconds",
        _GAUGE,
        (),
        "For how long the database has not answered; 0: it answers",
        _SINK,
        _MAX,
    ),
)

METRICS: Final = {metric.name: metric for metric in (*_COMMON, *_EVENTS, *_PARTITIONS, *_SINKS)}
"""Every metric of ours by its name, in the order in which they are shown."""

PROCESS_METRICS: Final = {
    metric.name: metric
    for metric in (
        Metric("process_virtual_memory_bytes", _GAUGE, (), "Virtual memory size in bytes", _BOTH),
        Metric("process_resident_memory_bytes", _GAUGE, (), "Resident memory size in bytes", _BOTH),
        Metric(
            "process_start_time_seconds",
            _GAUGE,
            (),
            "Start time of the process since unix epoch in seconds",
            _BOTH,
            _MIN,
        ),
        Metric("process_cpu_seconds_total", _COUNTER, (), "Total user and system CPU time spent in seconds", _BOTH),
        Metric("process_open_fds", _GAUGE, (), "Number of open file descriptors", _BOTH),
        Metric("process_max_fds", _GAUGE, (), "Maximum number of open file descriptors", _BOTH, _MIN),
    )
}
"""What prometheus_client knows of a process, under its names and in its words; of several processes, all together."""


def metrics_of(role: str) -> list[Metric]:
    """The metrics of a program, the process's own included.

    Args:
        role: ``worker`` or ``sink``.
    """
    every = (*METRICS.values(), *PROCESS_METRICS.values())
    return [metric for metric in every if metric.role in {Role.BOTH, role}]
