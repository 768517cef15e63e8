"""``consolidator size``."""

import click

from streams.cli.options import (
    applications_per_day_option,
    event_bytes_option,
    events_per_day_option,
    format_option,
    peak_factor_option,
    replicas_option,
    retention_months_option,
)
from streams.cli.output.console import print_json
from streams.cli.output.operations.size_page import print_size, size_json
from streams.operations.sizing import Plan, size_of


@click.command(
    epilog="""\b
Examples:
  consolidator size --events-per-day 1000000
  consolidator size --events-per-day 1000000 --applications-per-day 20000 --event-bytes 2000
  consolidator size --events-per-day 1000000 --format json | jq .brokers.per_broker_bytes

Exit codes: 0 done; 2 wrong usage. Needs neither Kafka nor settings.
"""
)
@events_per_day_option
@applications_per_day_option
@event_bytes_option
@retention_months_option
@replicas_option
@peak_factor_option
@format_option
def size(
    *,
    events_per_day: int,
    applications_per_day: int | None,
    event_bytes: int,
    retention_months: int,
    replicas: int,
    peak_factor: float,
    output_format: str,
) -> None:
    """Compute what an installation needs: brokers' disks by topic, state, memory, cores, partitions and standbys.

    At the end of the retention, with the most that its traffic can need: what depends on it was measured where records
    pack worst. Every assumption and every measured figure is printed with the result.

    JSON is one object: plan, brokers, workers, sinks, assumptions, figures. Sizes are bytes.
    """
    result = size_of(Plan(events_per_day, applications_per_day, event_bytes, retention_months, replicas, peak_factor))
    if output_format == "json":
        print_json(size_json(result))
    else:
        print_size(result)
