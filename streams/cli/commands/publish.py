"""``consolidator publish``."""

from collections.abc import Iterator
from typing import IO

import click

from models.events import LifecycleEvent
from streams.cli.input_files import rereadable
from streams.cli.output.console import format_option, print_json, progress
from streams.configuration.connection import connection_of, topics_of
from streams.configuration.settings import load_settings
from streams.replay.event_lines import BadLine, read_event_lines
from streams.runtime.exit_codes import REFUSED
from topics.cluster.authorization import require_permissions
from topics.cluster.provisioning import require
from topics.contract.permissions import Role, permissions
from topics.writing.publishing import publish_events


@click.command(
    epilog="Examples: consolidator publish events.jsonl; cat events.jsonl | consolidator publish -. "
    "Exit codes: 0 all published and acknowledged; 2 bad lines, nothing published; 3 Kafka failed."
)
@click.argument("file", metavar="FILE|-")
@click.option("--skip-invalid", is_flag=True, help="Publish the good lines although there are bad ones.")
@format_option
def publish(file: str, *, skip_invalid: bool, output_format: str) -> None:
    """Publish lifecycle events from JSON Lines, one event a line.

    The whole input is checked first. Each bad line is told with its number and reason, and nothing is published unless
    --skip-invalid is given. Publishing the same file twice changes nothing the second time.
    """
    settings = load_settings()
    with rereadable(file) as lines:
        good, bad = _check(lines, settings.max_event_bytes)
        if bad and not skip_invalid:
            click.echo(f"{bad} of {good + bad} events are bad, nothing was published", err=True)
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
        print_json({"published": published, "skipped": bad, "topic": topics.executions.name})
    else:
        click.echo(f"published {published} events to {topics.executions.name}" + (f", skipped {bad}" if bad else ""))


def _check(lines: IO[bytes], max_event_bytes: int) -> tuple[int, int]:
    """Tell every bad line on stderr; returns how many are good and bad."""
    good = bad = 0
    with progress() as display:
        task = display.add_task("checking", total=None)
        for line in read_event_lines(lines, max_event_bytes=max_event_bytes):
            if isinstance(line, BadLine):
                bad += 1
                click.echo(str(line), err=True)
            else:
                good += 1
            display.advance(task)
    return good, bad


def _good(lines: IO[bytes], max_event_bytes: int) -> Iterator[tuple[LifecycleEvent, bytes]]:
    for line in read_event_lines(lines, max_event_bytes=max_event_bytes):
        if not isinstance(line, BadLine):
            yield line.event, line.raw
