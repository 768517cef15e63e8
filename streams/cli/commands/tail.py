"""``consolidator tail``."""

from collections.abc import Iterator
from itertools import islice

import click

from streams.cli.options import StartType
from streams.cli.output.console import format_option
from streams.cli.output.record_json import is_about, json_line
from streams.cli.output.record_lines import heading, readable_line
from streams.configuration.connection import connection_of, topics_of
from streams.configuration.settings import load_settings
from topics.contract.declared import Topics
from topics.reading.positions import Start
from topics.reading.reader import TopicReader
from topics.records.record import Record

_KINDS = ("factor-changes", "factors", "executions", "dlq")


@click.command(
    epilog="""\b
Examples:
  consolidator tail factor-changes
  consolidator tail factor-changes --from beginning --until-end --format json
  consolidator tail executions --from 2026-03-01T09:30:00+01:00 --application app-1
  consolidator tail dlq --from 0:0 --limit 5
"""
)
@click.argument("topic", type=click.Choice(_KINDS))
@click.option(
    "--from",
    "start",
    type=StartType(),
    default="end",
    show_default=True,
    help="Where to start. TIME is RFC 3339 with its offset from UTC and is compared with the time at which the broker "
    "took a record; PARTITION:OFFSET reads that partition only.",
)
@click.option("--application", help="Only records about this application.")
@click.option("--limit", type=click.IntRange(min=1), help="Stop after this many records.")
@click.option("--until-end", is_flag=True, help="Stop at the end of the topic as it is now, instead of following it.")
@click.option("--bootstrap-servers", help="Kafka brokers; wins over KAFKA_BOOTSTRAP_SERVERS.")
@format_option
def tail(
    *,
    topic: str,
    start: Start,
    application: str | None,
    limit: int | None,
    until_end: bool,
    bootstrap_servers: str | None,
    output_format: str,
) -> None:
    """Print records of a topic as they arrive, until Ctrl-C.

    Only committed records are shown. No consumer group is touched, so looking disturbs nothing.

    JSON is one object a line: topic, partition, offset, timestamp, key, headers (pairs of name and value) and value. A
    value that is no JSON object is a string (base64: and the bytes where it is no text); a tombstone's is null.
    """
    settings = load_settings(bootstrap_servers=bootstrap_servers)
    config = connection_of(settings).librdkafka()
    with TopicReader(config, _name_of(topic, topics_of(settings)), start, follows=not until_end) as reader:
        records = reader.until_end() if until_end else reader.follow()
        wanted = _only(topic, records, application)
        try:
            _print(topic, islice(wanted, limit), output_format)
        except KeyboardInterrupt:
            # Ctrl-C is how following ends: success, not a fault.
            return


def _name_of(kind: str, topics: Topics) -> str:
    topic = {
        "executions": topics.executions,
        "factor-changes": topics.factor_changes,
        "factors": topics.factors,
        "dlq": topics.dlq,
    }[kind]
    return topic.name


def _only(kind: str, records: Iterator[Record], application: str | None) -> Iterator[Record]:
    for record in records:
        if application is None or is_about(kind, record, application):
            yield record


def _print(kind: str, records: Iterator[Record], output_format: str) -> None:
    if output_format == "json":
        for record in records:
            click.echo(json_line(record))
        return
    # On stderr: stdout is data only.
    click.echo(heading(kind), err=True)
    for record in records:
        click.echo(readable_line(kind, record))
