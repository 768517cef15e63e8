"""The measured figures that ``consolidator size`` computes with; each names the page that has it."""

from dataclasses import dataclass
from typing import Final

__all__ = ["FIGURES", "Figure"]


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured figure.

    Attributes:
        name: what was measured.
        value: the figure.
        unit: its unit.
        source: the page, and the place on it.
    """

    name: str
    value: float
    unit: str
    source: str


_RECORDS: Final = "docs/performance/record_bytes.json"
_GROWTH: Final = "docs/performance/growth.json"
_BATCH_SIZE: Final = "docs/performance/measurements.md, batch size"
_SMALL_ROUNDS: Final = "docs/performance/measurements.md, small rounds"
_SINK: Final = "docs/performance/sink_kafka.json"

FIGURES: Final = {
    "change_bytes": Figure("a record of factor-changes, not packed", 1_089.1, "bytes", f"{_RECORDS}, change_bytes"),
    "factors_bytes": Figure("a record of factors, not packed", 717.4, "bytes", f"{_RECORDS}, factors_bytes"),
    "changes": Figure("changes, for each event", 0.4674, "changes", f"{_RECORDS}, changes / events"),
    "pairs": Figure("pairs, for each application", 3.928, "pairs", f"{_RECORDS}, pairs / applications"),
    "row_bytes": Figure(
        "rows of the changelog as they are at the end, for each event",
        116.3,
        "bytes",
        f"{_RECORDS}, last_rows_bytes_per_event",
    ),
    "changelog_bytes": Figure(
        "written to the changelog, for each event", 611.0, "bytes", f"{_RECORDS}, changelog_bytes_per_event"
    ),
    "state_bytes": Figure(
        "RocksDB, for each event", 96.2, "bytes", f"{_GROWTH}, applications 10,000, disk_mib / events"
    ),
    "events_per_s": Figure(
        "a worker process with 1,000,000 applications", 23_742, "events/s", f"{_GROWTH}, applications 1,000,000"
    ),
    "cpu_s": Figure("CPU of a worker, for a million events", 42.8, "s", f"{_GROWTH}, applications 1,000,000"),
    "broker_cpu_s": Figure("CPU of the brokers, for a million events", 10.8, "s", f"{_GROWTH}, applications 10,000"),
    "round_cpu_ms": Figure("CPU of a worker, for a small round", 2.7, "ms", _SMALL_ROUNDS),
    "broker_round_cpu_ms": Figure("CPU of the brokers, for a small round", 7.6, "ms", _SMALL_ROUNDS),
    "rebuild_records": Figure("rebuilding the state", 169_681, "records/s", f"{_GROWTH}, applications 10,000"),
    "memory_16": Figure("memory of a process with 16 partitions", 534, "MiB", _BATCH_SIZE),
    "memory_64": Figure("memory of a process with 64 partitions", 823, "MiB", _BATCH_SIZE),
    "sink_changes": Figure("a sink, SQLite, behind a broker", 8_095, "changes/s", f"{_SINK}, sqlite"),
}
"""Every figure of the calculation; ``tests/contracts/test_size_figures.py`` compares them with their pages."""
