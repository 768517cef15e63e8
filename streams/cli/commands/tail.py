"""``consolidator tail``."""

from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from itertools import chain, islice
from typing import Final

import click

from streams.cli.kafka import connection_of
from streams.cli.options import (
    application_option,
    format_option,
    from_end_option,
    last_option,
    limit_option,
    servers_option,
    until_end_option,
)
from streams.cli.output.console import note, say
from streams.cli.output.record_json import is_about, json_line
from streams.cli.output.record_lines import heading, readable_line
from streams.configuration.connection import topics_of
from streams.configuration.settings import load_settings
from topics.contract.declared import Topics
from topics.reading.last_records import last_records
from topics.reading.positions import Beginning, End, Span, Start
from topics.reading.reader import TopicReader
from topics.records.record import Record

_NAMES: Final[Mapping[str, Callable[[Topics], str]]] = {
    "factor-changes": lambda topics: topics.factor_changes.name,
    "factors": lambda topics: topics.factors.name,
    "executions": lambda topics: topics.executions.name,
    "dlq": lambda topics: topics.dlq.name,
    "rulesets": lambda topics: topics.rulesets.name,
    "erasures": lambda topics: topics.erasures.name,
}


@click.command(
    epilog="""\b
Examples:
  consolidator tail factor-changes
  consolidator tail factor-changes --from beginning --until-end --format json
  consolidator tail executions --from 2026-03-01T09:30:00+01:00 --application app-1
  consolidator tail dlq --from 0:0 --limit 5
  consolidator tail executions.dlq --last 20 --until-end

Exit codes: 0 ended by Ctrl-C or SIGTERM, or there is no more; 2 wrong usage or settings, or no such topic or offset; 3
Kafka failed.
"""
)
@click.argument("topic", metavar="TOPIC", shell_complete=lambda *_: [*_NAMES])
@from_end_option
@last_option
@application_option
@limit_option
@until_end_option
@servers_option
@format_option
def tail(
    *,
    topic: str,
    start: Start,
    last: int | None,
    application: str | None,
    limit: int | None,
    until_end: bool,
    bootstrap_servers: str | None,
    output_format: str,
) -> None:
    """Print records of a topic as they arrive, until Ctrl-C.

    TOPIC is factor-changes, factors, executions, dlq (or executions.dlq), rulesets or erasures, with or without the
    prefix.

    Only committed records are shown. No consumer group is touched, so looking disturbs nothing.

    JSON is one object a line: topic, partition, offset, timestamp, key, headers (pairs of name and value) and value. A
    value that is no JSON object is a string (base64: and the bytes where it is no text); a tombstone's is null.
    """
    if last is not None and not isinstance(start, End):
        raise click.UsageError("--from and --last both say where to begin: give one of them")
    settings = load_settings(bootstrap_servers=bootstrap_servers)
    topics = topics_of(settings)
    kind = _kind_of(topic, topics, settings.topic_prefix)
    if kind == "rulesets" and application is not None:
        raise click.UsageError("the records of rulesets are about all applications: leave --application out")
    config = connection_of(settings).librdkafka()

    def wanted(record: Record) -> bool:
        return application is None or is_about(kind, record, application)

    with TopicReader(
        config, _NAMES[kind](topics), start if last is None else Beginning(), follows=not until_end
    ) as reader:
        if last is None:
            records: Iterator[Record] = filter(wanted, reader.until_end() if until_end else reader.follow())
        else:
            ends = {partition: Span(span.end, span.end) for partition, span in reader.spans.items()}
            further: Iterator[Record] = iter(()) if until_end else reader.follow(ends)
            records = chain(last_records(reader, last, wanted), filter(wanted, further))
        _print(kind, islice(records, limit), output_format)


def _kind_of(name: str, topics: Topics, prefix: str) -> str:
    """Which of the topics is meant.

    Raises:
        click.BadParameter: none of them.
    """
    for kind, topic in _NAMES.items():
        if name in {kind, topic(topics), topic(topics).removeprefix(prefix)}:
            return kind
    near = get_close_matches(name, _NAMES, n=1)
    meant = f" Did you mean {near[0]}?" if near else ""
    raise click.UsageError(f"{name!r} is none of {', '.join(_NAMES)}.{meant}", click.get_current_context())


def _print(kind: str, records: Iterator[Record], output_format: str) -> None:
    if output_format == "json":
        for record in records:
            say(json_line(record))
        return
    # The heading goes to stderr, because stdout has data only.
    note(heading(kind))
    for record in records:
        say(readable_line(kind, record))
