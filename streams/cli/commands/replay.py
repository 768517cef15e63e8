"""``consolidator replay``."""

from pathlib import Path

import click

from streams.cli.commands.replay_file import replay_file
from streams.cli.commands.replay_log import replay_log
from streams.cli.commands.replay_verify import replay_verify
from streams.cli.options import (
    application_option,
    catalogue_option,
    from_bounds_option,
    input_option,
    metrics_file_option,
    output_option,
    parquet_format_option,
    processor_option,
    servers_option,
    show_option,
    summary_option,
    to_bounds_option,
    verify_option,
)
from streams.cli.output.console import is_read_by_people
from streams.configuration.settings import load_settings
from streams.replay.log_replay import Selection
from topics.reading.positions import Start
from topics.reading.ranges import require_bounds, require_order


@click.command(
    epilog="""\b
Examples:
  consolidator replay --input events.jsonl
  consolidator replay --application app-1
  consolidator replay --from 0:1500 --to 0:2000 --show changes --format json
  consolidator replay --to 2026-03-01T00:00:00Z --format parquet --output february.parquet
  consolidator replay --verify
  consolidator replay --verify --format json > report.jsonl
  consolidator replay --verify --metrics-file /var/lib/node_exporter/consolidator.prom

Exit codes: 0 done, and with --verify nothing differs; 1 there were bad lines (--input) or differences (--verify), each
is listed; 2 wrong usage, settings or catalogue, or no such topic, partition or offset; 3 Kafka or the disk failed.

Words: docs/glossary.md
"""
)
@input_option
@verify_option
@from_bounds_option
@to_bounds_option
@application_option
@processor_option
@show_option
@catalogue_option
@parquet_format_option
@output_option
@summary_option
@metrics_file_option
@servers_option
def replay(
    *,
    file: str | None,
    verify: bool,
    starts: tuple[Start, ...],
    ends: tuple[Start, ...],
    application: str | None,
    processor: str | None,
    show: str,
    catalogue: Path | None,
    output_format: str | None,
    output: Path | None,
    summary: Path | None,
    metrics_file: Path | None,
    bootstrap_servers: str | None,
) -> None:
    """Fold lifecycle events again, from Kafka or from a file, and prove what was published.

    The same consolidation as the worker's, beside a live one or without any: no consumer group is touched. One line for
    each application and processor, those in progress or withdrawn too; from Kafka in the order of their keys. What it
    stands on (offsets, and a digest of the changes of each partition) goes to stderr, and to --summary.

    JSON is one object a line. Factors: application_id, processor, processor_type (null: not in the catalogue), outcome,
    factors, and executions with their counts active, completed, failed and contributing; from Kafka also version, the
    partition and offset of the last change's cause. Changes: the values of factor-changes, byte for byte as the worker
    publishes them. With --verify: each difference (kind, topic, partition, offset, key, application_id, processor,
    cause, reason), and last a summary.
    """
    settings = load_settings(catalogue=catalogue, bootstrap_servers=bootstrap_servers)
    if (output_format == "parquet") != (output is not None):
        raise click.UsageError("--format parquet and --output belong together: give both, or neither")
    if file is not None:
        if verify or starts or ends or application or processor or summary or metrics_file or show == "changes":
            raise click.UsageError("--input reads a file: the other options are about Kafka's log")
        if output_format == "parquet":
            raise click.UsageError("--input prints table or json")
        replay_file(file, settings, output_format or "table")
        return
    _require_range(starts, ends)
    selection = Selection(starts, ends, application, processor)
    chosen = output_format or ("table" if is_read_by_people() else "json")
    if verify:
        if chosen == "parquet" or show == "changes":
            raise click.UsageError("--verify prints differences only, as table or json")
        replay_verify(settings, selection, output_format=chosen, summary=summary, metrics_file=metrics_file)
        return
    if metrics_file is not None:
        raise click.UsageError("--metrics-file is about --verify: give both")
    replay_log(settings, selection, changes=show == "changes", output_format=chosen, output=output, summary=summary)


def _require_range(starts: tuple[Start, ...], ends: tuple[Start, ...]) -> None:
    """Raise unless the bounds go together.

    Raises:
        click.UsageError: they do not; the message names the option.
    """
    for option, bounds in (("--from", starts), ("--to", ends)):
        try:
            require_bounds(bounds)
        except ValueError as error:
            raise click.UsageError(f"{option}: {error}") from None
    try:
        require_order(starts, ends)
    except ValueError as error:
        raise click.UsageError(f"--to: {error} (--from)") from None
