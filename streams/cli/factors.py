"""``consolidator factors``."""

from collections.abc import Iterator

import click
import msgspec

from streams.cli.change_lines import change_lines, failure_texts
from streams.cli.console import format_option, print_table
from streams.cli.escaping import escaped
from streams.cli.pair_table import pair_table
from streams.connection import connection_of, topics_of
from streams.current_factors import Current, Journalled, last_change, read_current
from streams.pair_summary import summary_json
from streams.published import CurrentFactors, published_summary
from streams.settings import load_settings

EXIT_UNKNOWN = 1

_ENCODER = msgspec.json.Encoder()


@click.command(
    epilog="""\b
Examples:
  consolidator factors app-1
  consolidator factors app-1 --processor bank_statement --why
  consolidator factors app-1 --format json | jq '{processor, factors}'

Exit codes: 0 shown; 1 nothing is known of the application or of its processor; 2 wrong usage or settings, or no such
topic; 3 Kafka failed.
"""
)
@click.argument("application")
@click.option("--processor", help="Only this processor.")
@click.option("--why", is_flag=True, help="Who contributed, who failed and with what code, and what changed last.")
@click.option("--bootstrap-servers", help="Kafka brokers; wins over KAFKA_BOOTSTRAP_SERVERS.")
@format_option
def factors(
    *, application: str, processor: str | None, why: bool, bootstrap_servers: str | None, output_format: str
) -> None:
    """Show an application's current factors, and why they are what they are.

    Read from the factors topic, and with --why from factor-changes, without a consumer group: looking disturbs nothing.

    JSON is one object a line for each processor: the members of "consolidator replay" (application_id, processor,
    processor_type, outcome, factors, executions), then ruleset, version (partition and offset of the event that it
    stands on) and occurred_at; with --why also why: contributors, failures, truncated and last_change (null where the
    change was erased).
    """
    settings = load_settings(bootstrap_servers=bootstrap_servers)
    topics = topics_of(settings)
    config = connection_of(settings).librdkafka()
    known = read_current(config, topics.factors.name, application)
    wanted = [one for one in known if processor in (None, one.value.processor)]
    if not wanted:
        click.echo(_nothing_known(application, processor, known), err=True)
        raise SystemExit(EXIT_UNKNOWN)
    changes = [last_change(config, topics.factor_changes.name, one) if why else None for one in wanted]
    if output_format == "json":
        for one, change in zip(wanted, changes, strict=True):
            click.echo(escaped(_json(one.value, change, why=why)))
        return
    print_table(pair_table(published_summary(one.value) for one in wanted))
    if why:
        for one, change in zip(wanted, changes, strict=True):
            for line in _why_lines(one.value, change):
                click.echo(line)


def _nothing_known(application: str, processor: str | None, known: list[Current]) -> str:
    if not known:
        return escaped(f"nothing is known of application {application}: no event of it was consolidated yet")
    names = ", ".join(one.value.processor for one in known)
    return escaped(f"nothing is known of processor {processor} for application {application}; known: {names}")


def _json(current: CurrentFactors, change: Journalled | None, *, why: bool) -> str:
    more = {"ruleset": current.ruleset, "version": current.version, "occurred_at": current.occurred_at}
    members = msgspec.to_builtins(more)
    if why:
        members["why"] = {
            "contributors": current.executions.contributors,
            "failures": current.executions.failures,
            "truncated": current.executions.truncated,
            "last_change": None if change is None else _last_change(change),
        }
    text = _ENCODER.encode(members).decode()
    return summary_json(published_summary(current), text[1:-1])


def _last_change(journalled: Journalled) -> dict[str, object]:
    change = journalled.value
    return {
        "id": change.id,
        "previous_outcome": change.previous_outcome,
        "outcome": change.outcome,
        "changed": change.changed,
        "cause": change.cause,
        "ruleset": change.ruleset,
        "quality": change.quality,
        "occurred_at": change.occurred_at,
        "topic": journalled.topic,
        "partition": journalled.partition,
        "offset": journalled.offset,
    }


def _why_lines(current: CurrentFactors, change: Journalled | None) -> Iterator[str]:
    executions = current.executions
    yield ""
    yield escaped(f"{current.processor}: why {current.outcome}")
    yield escaped(f"  contributing: {', '.join(executions.contributors) or 'none'}")
    yield f"  failed, active without factors: {', '.join(failure_texts(current)) or 'none'}"
    if executions.truncated:
        yield "  (the latest 50 of each)"
    if change is None:
        yield "  last change: not in the journal any more"
        return
    yield "  last change:"
    for line in change_lines(change):
        yield f"    {line}"
