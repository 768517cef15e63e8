"""Writes the dashboards of Grafana: ``python deploy/grafana/generate.py``. A test compares them with what this makes.

Each query chooses the installation by ``job=~"$job"``, but for verification and canary, which are in text files: their
job is that of the files' collector. No data source is named.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

# No package: it lies beside this file.
sys.path.insert(0, str(Path(__file__).parent))

from panels import Dashboard, Panel, Query, made

FOLDER: Final = Path(__file__).parent / "dashboards"

_J: Final = 'job=~"$job"'


def _quantiles(metric: str, by: str = "le", chosen: str = f"{{{_J}}}", of: str = "") -> tuple[Query, ...]:
    """The median and the 99th percentile of a histogram, over all workers."""
    buckets = f"sum by ({by}) (rate({metric}_bucket{chosen}[$__rate_interval]))"
    return tuple(Query(f"histogram_quantile({share}, {buckets})", of + legend) for share, legend in _SHARES)


_SHARES: Final = ((0.5, "median"), (0.99, "99 %"))

OVERVIEW: Final = Dashboard(
    "consolidator-overview",
    "Consolidator: overview",
    (
        Panel(
            "Partitions stuck",
            "short",
            (Query(f'sum(partition:consolidator_state:max{{{_J}, state="stuck"}})', "stuck"),),
            "Anything above 0 is an alert: runbook ConsolidatorPartitionStuck.",
            "stat",
            4,
        ),
        Panel(
            "Greatest lag",
            "s",
            (Query(f"max(partition:consolidator_lag_seconds:max{{{_J}}})", "lag"),),
            "The age of the oldest record that is not committed yet. 0: all is done.",
            "stat",
            4,
        ),
        Panel(
            "Late events in 6 hours",
            "percentunit",
            (Query(f"job:consolidator_event_age_late:ratio_rate6h{{{_J}}}", "{{job}}"),),
            "Committed more than 5 s after Kafka had them. The objective is at most 1 % of 30 days.",
            "stat",
            4,
        ),
        Panel(
            "Kafka is lost",
            "s",
            (Query(f"max by (instance) (consolidator_kafka_lost_seconds{{{_J}}})", "{{instance}}"),),
            "For how long a broker has not answered a process.",
            width=12,
        ),
        Panel(
            "Events by disposition",
            "ops",
            (
                Query(
                    f"sum by (disposition) (rate(consolidator_events_total{{{_J}}}[$__rate_interval]))",
                    "{{disposition}}",
                ),
            ),
            "Many copies: a producer publishes everything again.",
        ),
        Panel(
            "Age of events at their commit",
            "s",
            _quantiles("consolidator_event_age_seconds"),
            "From Kafka's clock (LogAppendTime) to the commit of the results.",
        ),
        Panel(
            "Lag",
            "s",
            (Query(f"partition:consolidator_lag_seconds:max{{{_J}}}", "partition {{partition}}"),),
            "A lag that shrinks is healthy. One that grows for half an hour is an alert.",
        ),
        Panel(
            "Fold of a batch",
            "s",
            _quantiles("consolidator_fold_seconds"),
            "The worker's own computing.",
        ),
        Panel(
            "Transaction",
            "s",
            _quantiles("consolidator_transaction_seconds"),
            "Kafka's part. Slower than the fold: look at the brokers.",
        ),
        Panel(
            "Round",
            "s",
            _quantiles("consolidator_round_seconds"),
            "From taking the batches to their acknowledgement.",
        ),
        Panel(
            "Records of a batch",
            "short",
            _quantiles("consolidator_batch_records"),
            "8,000 at most: a worker that is behind takes large ones.",
        ),
        Panel(
            "Dead letters in 15 minutes",
            "short",
            (Query(f"error_class:consolidator_dead_letters:increase15m{{{_J}}}", "{{error_class}}"),),
            "Runbook ConsolidatorDeadLetters.",
        ),
        Panel(
            "Log lines lost",
            "ops",
            (
                Query(
                    f"sum by (instance) (rate(consolidator_log_lines_dropped_total{{{_J}}}[$__rate_interval]))",
                    "{{instance}}",
                ),
            ),
            "The log does not hold the work up: lines that cannot be written are lost.",
        ),
        Panel(
            "Canary",
            "s",
            _quantiles("consolidator_canary_seconds", "le, app_id", "", "{{app_id}} "),
            "From the publication of an event to the moment at which its change can be read. Empty: no canary runs.",
            width=8,
        ),
        Panel(
            "Canary: rounds lost in 30 minutes",
            "short",
            (Query("sum by (app_id) (increase(consolidator_canary_lost_total[30m]))", "{{app_id}}"),),
            "Runbook ConsolidatorCanaryFailing.",
            width=8,
        ),
        Panel(
            "Canary: partitions whose last round was lost",
            "short",
            (Query("max by (app_id) (consolidator_canary_lost_partitions)", "{{app_id}}"),),
            "Above 0 for 15 minutes it is an alert: runbook ConsolidatorCanaryFailing.",
            width=8,
        ),
    ),
)

PARTITIONS: Final = Dashboard(
    "consolidator-partitions",
    "Consolidator: partitions and processes",
    (
        Panel(
            "State of each partition",
            "short",
            (Query(f"partition:consolidator_state:max{{{_J}}} == 1", "{{partition}} {{state}}"),),
            "Running and idle are healthy, fencing and recovering pass, stalled waits for something, stuck is ill.",
            "state-timeline",
            24,
        ),
        Panel(
            "Records that wait",
            "short",
            (Query(f"partition:consolidator_lag_offsets:max{{{_J}}}", "partition {{partition}}"),),
            "Offsets that are not committed yet; transaction markers count.",
        ),
        Panel(
            "Recovery: records that remain",
            "short",
            (
                Query(
                    f"max by (partition) (consolidator_recovery_remaining_records{{{_J}}})",
                    "partition {{partition}}",
                ),
            ),
            "It is alive while this falls.",
        ),
        Panel(
            "Last progress",
            "s",
            (
                Query(
                    f"max by (partition) (consolidator_partition_last_progress_seconds{{{_J}}})",
                    "partition {{partition}}",
                ),
            ),
            "How long ago. Large is healthy where nothing waits.",
        ),
        Panel(
            "Open transactions",
            "s",
            (Query(f"max by (topic) (consolidator_open_transaction_seconds{{{_J}}})", "{{topic}}"),),
            "The oldest one that hides records from readers.",
        ),
        Panel(
            "Adoption of a ruleset",
            "percentunit",
            (
                Query(
                    f"consolidator_adoption_done_records{{{_J}}} / consolidator_adoption_expected_records{{{_J}}}",
                    "partition {{partition}}",
                ),
            ),
            "How far a partition has gone over. Empty: none is under way.",
        ),
        Panel(
            "State on disk",
            "bytes",
            (Query(f"max by (partition) (consolidator_rocksdb_bytes{{{_J}}})", "partition {{partition}}"),),
            "RocksDB.",
        ),
        Panel(
            "Memory of the processes",
            "bytes",
            (
                Query(f"process_resident_memory_bytes{{{_J}}}", "{{instance}}"),
                Query(f"consolidator_rocksdb_memory_bytes{{{_J}}}", "{{instance}}, RocksDB"),
            ),
            "What the system counts, and RocksDB's caches in it.",
        ),
        Panel(
            "Processor time",
            "percentunit",
            (Query(f"rate(process_cpu_seconds_total{{{_J}}}[$__rate_interval])", "{{instance}}"),),
            "1 is a whole core.",
        ),
        Panel(
            "Event loop",
            "s",
            (Query(f"consolidator_event_loop_delay_seconds{{{_J}}}", "{{instance}}"),),
            "The age of the last sign that it runs; above 15 s it counts as dead.",
        ),
    ),
)

PROCESSORS: Final = Dashboard(
    "consolidator-processors",
    "Consolidator: processors",
    (
        Panel(
            "Executions that fail",
            "percentunit",
            (Query(f"processor:consolidator_executions_failed:ratio_rate15m{{{_J}}}", "{{processor}}"),),
            "Of those that ended in 15 minutes. Above a quarter: runbook ConsolidatorFailureRateHigh.",
        ),
        Panel(
            "Executions that ended",
            "ops",
            (Query(f"processor:consolidator_executions_ended:rate15m{{{_J}}}", "{{processor}}"),),
            "Completed and failed ones.",
        ),
        Panel(
            "Failures by code",
            "ops",
            (
                Query(
                    "topk(15, sum by (processor, code) "
                    f"(rate(consolidator_execution_failures_total{{{_J}}}[$__rate_interval])))",
                    "{{processor}} {{code}}",
                ),
            ),
            "The 15 most frequent ones. Each was handled: it contributes no factors, and breaks nothing.",
        ),
        Panel(
            "Consolidations that succeed",
            "percentunit",
            (Query(f"processor:consolidator_consolidations_succeeded:ratio_rate15m{{{_J}}}", "{{processor}}"),),
            "With or without factors. The rest are dead letters.",
        ),
        Panel(
            "Rejected in 15 minutes",
            "short",
            (Query(f"processor:consolidator_consolidations_rejected:increase15m{{{_J}}}", "{{processor}}"),),
            "Dead letters that name a processor: runbook ConsolidatorConsolidationRejected.",
        ),
        Panel(
            "Changes by outcome",
            "ops",
            (
                Query(
                    f"sum by (outcome) (rate(consolidator_changes_total{{{_J}}}[$__rate_interval]))",
                    "{{outcome}}",
                ),
            ),
            "Cleared: all executions failed, and the factors are gone; the consolidation has succeeded.",
        ),
        Panel(
            "Completeness",
            "percentunit",
            (Query(f"processor:consolidator_factors_present:ratio_increase1h{{{_J}}}", "{{processor}}"),),
            "Of the factors that the catalogue declares, those that have a value, in the last hour.",
        ),
        Panel(
            "Completeness, the day before",
            "percentunit",
            (Query(f"processor:consolidator_factors_present:ratio_increase1d_before{{{_J}}}", "{{processor}}"),),
            "What the last hour is compared with: the day that ended two hours ago.",
        ),
        Panel(
            "Quality issues",
            "ops",
            (
                Query(
                    "topk(15, sum by (processor, issue) "
                    f"(rate(consolidator_quality_issues_total{{{_J}}}[$__rate_interval])))",
                    "{{processor}} {{issue}}",
                ),
            ),
            "What was odd about events that are good enough to count.",
        ),
    ),
)

SINK: Final = Dashboard(
    "consolidator-sink",
    "Consolidator: database",
    (
        Panel(
            "Lag of the database",
            "s",
            (Query(f"max by (partition) (consolidator_sink_lag_seconds{{{_J}}})", "partition {{partition}}"),),
            "Above 5 minutes: runbook ConsolidatorSinkBehind.",
        ),
        Panel(
            "Records that wait",
            "short",
            (
                Query(
                    f"sum by (topic, partition) (consolidator_sink_lag_offsets{{{_J}}})",
                    "{{topic}} {{partition}}",
                ),
            ),
            "Offsets that are published and not in the tables.",
        ),
        Panel(
            "Database away",
            "s",
            (Query(f"max by (instance) (consolidator_sink_database_lost_seconds{{{_J}}})", "{{instance}}"),),
            "The sink waits for it, and goes on by itself.",
        ),
        Panel(
            "Writing a cut",
            "s",
            _quantiles("consolidator_sink_cut_seconds"),
            "One transaction of the database each.",
        ),
        Panel(
            "Cuts",
            "ops",
            (Query(f"sum(rate(consolidator_sink_cuts_total{{{_J}}}[$__rate_interval]))", "cuts"),),
            "How often readers see something new.",
        ),
        Panel(
            "Last cut",
            "s",
            (Query(f"max by (partition) (consolidator_sink_last_cut_seconds{{{_J}}})", "partition {{partition}}"),),
            "How long ago.",
        ),
        Panel(
            "Rows written",
            "ops",
            (Query(f"sum by (table) (rate(consolidator_sink_rows_total{{{_J}}}[$__rate_interval]))", "{{table}}"),),
            "By table.",
        ),
        Panel(
            "Rows in quarantine",
            "short",
            (Query(f"sum(increase(consolidator_sink_quarantined_total{{{_J}}}[1d]))", "a day"),),
            "The database refused them: table sink_quarantine has the causes.",
        ),
        Panel(
            "Differences found by the last verification",
            "short",
            (Query("max by (instance) (consolidator_verification_differences)", "{{instance}}"),),
            "Written by consolidator replay --verify --metrics-file. Anything above 0 is an alert.",
        ),
    ),
)

DASHBOARDS: Final = (OVERVIEW, PARTITIONS, PROCESSORS, SINK)


def files() -> Mapping[str, str]:
    """The content of each dashboard's file, by its name."""
    return {f"{one.uid}.json": json.dumps(made(one), indent=2, ensure_ascii=False) + "\n" for one in DASHBOARDS}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, content in files().items():
        (FOLDER / name).write_text(content, encoding="utf-8")
