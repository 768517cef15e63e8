"""``consolidator publish``."""

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

import click

from models.catalogue import Catalogue
from models.events import LifecycleEvent
from streams.cli.input_files import rereadable
from streams.cli.output.console import format_option, print_json, progress
from streams.cli.output.escaping import escaped
from streams.configuration.connection import connection_of, topics_of
from streams.configuration.settings import load_settings
from streams.replay.event_lines import BadLine, EventLine, read_event_lines
from streams.rulesets.catalogue_file import load_catalogue
from streams.rulesets.typing_errors import typing_errors
from streams.runtime.exit_codes import REFUSED
from topics.cluster.authorization import require_permissions
from topics.cluster.provisioning import require
from topics.contract.permissions import Role, permissions
from topics.records.json_strict import parse_object
from topics.writing.publishing import publish_events

_MOST_WARNED: Final = 100
"""Lines whose warnings are written out; a whole file with one mistake would scroll everything else away."""


@click.command(
    epilog="Examples: consolidator publish events.jsonl; cat events.jsonl | consolidator publish -. "
    "Exit codes: 0 all published and acknowledged; 2 bad lines, or with --strict mistyped ones, nothing "
    "published; 3 Kafka failed."
)
@click.argument("file", metavar="FILE|-")
@click.option("--skip-invalid", is_flag=True, help="Publish the good lines although there are bad ones.")
@click.option("--strict", is_flag=True, help="Publish nothing where a line looks mistyped.")
@click.option("--catalogue", type=click.Path(path_type=Path), help="Processor catalogue file. [CONSOLIDATOR_CATALOGUE]")
@format_option
def publish(file: str, *, skip_invalid: bool, strict: bool, catalogue: Path | None, output_format: str) -> None:
    """Publish lifecycle events from JSON Lines, one event a line.

    The whole input is checked first. Each bad line is told with its number and reason, and nothing is published unless
    --skip-invalid is given. Publishing the same file twice changes nothing the second time.

    A good line may lose something without a word: a member that nobody reads, a field or a processor that the catalogue
    does not have, white space around an id. Each gets a warning with its number, and --strict publishes nothing then.

    JSON is one object: published, skipped and topic; and mistyped, how many lines got a warning, where any did.
    """
    settings = load_settings(catalogue=catalogue)
    with rereadable(file) as lines:
        good, bad, mistyped = _check(lines, settings.max_event_bytes, load_catalogue(settings.catalogue))
        if mistyped and settings.catalogue is None:
            click.echo("note: names were looked up in the built-in sample; --catalogue names yours", err=True)
        if bad and not skip_invalid:
            click.echo(f"{bad} of {good + bad} events are bad, nothing was published", err=True)
            raise SystemExit(REFUSED)
        if mistyped and strict:
            click.echo(f"{mistyped} of {good + bad} events look mistyped, nothing was published", err=True)
            raise SystemExit(REFUSED)
        connection = connection_of(settings)
        topics = topics_of(settings)
        require_permissions(permissions(Role.PUBLISHER, topics, settings.app_id), connection.librdkafka())
        require(topics, connection.librdkafka(), only=topics.executions)
        lines.seek(0)
        with progress() as display:
            task = display.add_task("publishing", total=good)
            published = publish_events(
                _good(lines, settings.max_event_bytes),
                topics.executions.name,
                topics.partitions,
                connection.librdkafka(),
                on_acknowledged=lambda count: display.update(task, completed=count),
            )
    if output_format == "json":
        warned = {"mistyped": mistyped} if mistyped else {}
        print_json({"published": published, "skipped": bad, "topic": topics.executions.name} | warned)
    else:
        click.echo(f"published {published} events to {topics.executions.name}" + (f", skipped {bad}" if bad else ""))


def _check(lines: IO[bytes], max_event_bytes: int, catalogue: Catalogue) -> tuple[int, int, int]:
    """Tell every bad line on stderr, and every mistyped one; returns how many are good, bad, and good but mistyped."""
    good = bad = mistyped = 0
    with progress() as display:
        task = display.add_task("checking", total=None)
        for line in read_event_lines(lines, max_event_bytes=max_event_bytes):
            if isinstance(line, BadLine):
                bad += 1
                click.echo(str(line), err=True)
            else:
                good += 1
                mistyped += _warn(line, catalogue, silent=mistyped >= _MOST_WARNED)
            display.advance(task)
    if mistyped > _MOST_WARNED:
        click.echo(f"warning: {mistyped - _MOST_WARNED} more lines look mistyped", err=True)
    return good, bad, mistyped


def _warn(line: EventLine, catalogue: Catalogue, *, silent: bool) -> bool:
    """Whether a good line looks mistyped; says in what."""
    found = list(typing_errors(parse_object(line.raw), line.event, catalogue))
    if not silent:
        for what in found:
            click.echo(escaped(f"warning: line {line.number}: {what}"), err=True)
    return bool(found)


def _good(lines: IO[bytes], max_event_bytes: int) -> Iterator[tuple[LifecycleEvent, bytes]]:
    for line in read_event_lines(lines, max_event_bytes=max_event_bytes):
        if not isinstance(line, BadLine):
            yield line.event, line.raw
