"""Snapshots for the tests of health."""

from streams.health.report import Check, Partition, Snapshot, State

__all__ = ["large", "partition", "snapshot"]


def partition(number=0, state=State.RUNNING, **facts):
    """A partition of ``executions``."""
    return Partition("executions", number, state.value, **facts)


def snapshot(*partitions, checks=(), values=None, histograms=None, worker="host/worker-0", role="worker"):
    """A snapshot."""
    found = Snapshot(role, "1.2", "app", worker)
    found.checks = list(checks) or [Check("kafka", ok=True, says="brokers answer", needed=True)]
    found.partitions = list(partitions)
    found.values = values or {}
    found.histograms = histograms or {}
    return found


def large(partitions=64):
    """A snapshot as of a worker with many partitions."""
    names = [str(number) for number in range(partitions)]
    values = {
        metric: [((name,), 7.0) for name in names]
        for metric in (
            "consolidator_partition_position",
            "consolidator_partition_committed_offset",
            "consolidator_partition_end_offset",
            "consolidator_partition_lag_offsets",
            "consolidator_partition_lag_seconds",
            "consolidator_partition_last_progress_seconds",
            "consolidator_recovery_remaining_records",
            "consolidator_recovery_records_total",
            "consolidator_rocksdb_bytes",
        )
    }
    values["consolidator_partition_state"] = [((name, state.value), 0.0) for name in names for state in State]
    return snapshot(*(partition(number, State.RECOVERING) for number in range(partitions)), values=values)
