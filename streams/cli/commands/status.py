"""``consolidator status``."""

import time
from collections.abc import Iterator
from pathlib import Path

import click

from models.errors import ContractError, InfrastructureError
from streams.cli.looking import health_addresses, reached, stored
from streams.cli.options import (
    app_id_option,
    every_option,
    format_option,
    health_option,
    servers_option,
    state_dir_option,
    url_option,
    watch_option,
)
from streams.cli.output.console import new_screen, print_json, say
from streams.cli.output.operations.status_screen import screen_of
from streams.configuration.connection import topics_of
from streams.configuration.settings import Settings, load_settings
from streams.diagnosis.checks.partitions import partition_members, problems
from streams.diagnosis.gathering import look, with_second_look
from streams.diagnosis.reading.answer import Unanswered
from streams.diagnosis.status import Status
from streams.runtime.exit_codes import FOUND

__all__ = ["status"]


@click.command(
    epilog="""\b
Examples:
  consolidator status
  consolidator status --watch --every 2
  consolidator status --format json | jq .problems
  consolidator status --health 10.0.0.5:9404 --health 10.0.0.6:9404

Exit codes: 0 well, or --watch was ended; 1 something is wrong; 2 wrong usage or settings, or no such topics; 3 Kafka,
or something else, could not be asked.

Words: docs/glossary.md
"""
)
@watch_option
@every_option
@health_option
@url_option
@app_id_option
@state_dir_option
@servers_option
@format_option
def status(
    *,
    watch: bool,
    every: float,
    health: tuple[str, ...],
    url: str | None,
    app_id: str | None,
    state_dir: Path | None,
    bootstrap_servers: str | None,
    output_format: str,
) -> None:
    """Show on one screen whether it is well: what is wrong, the workers, partitions, lag, ruleset, dead letters, sinks.

    It asks Kafka, and no worker: it works without any. Of many partitions it shows those that wait. A state in words:
    idle, running, stuck (its first record waits, and it does not move), unowned (nobody has it), pinned (a transaction
    that stays open hides what is behind it); a worker that is asked (--health) says more.

    The lag in offsets is 0 where no record is among them. Nothing is changed, and no group is joined.

    JSON is one object: problems, partitions (state, owner, committed, end, lag_offsets, lag_seconds), group, rulesets,
    dead_letters, last_change, open_transactions, sinks, database, health, and not_known with reasons.
    """
    settings = load_settings(sink_url=url, app_id=app_id, state_dir=state_dir, bootstrap_servers=bootstrap_servers)
    addresses = health_addresses(settings, health)
    if not watch:
        _show_once(settings, addresses, output_format)
        return
    for found in _looks(settings, addresses):
        new_screen()
        _print(found, output_format)
        time.sleep(every)


def _show_once(settings: Settings, health: tuple[str, ...], output_format: str) -> None:
    found, away = _looked(settings, health, None)
    if away is None or found.database is not None or found.health or output_format == "json":
        _print(found, output_format)
    if away is not None:
        raise InfrastructureError(away)
    unanswered = dict(found.unanswered())
    if unanswered:
        raise InfrastructureError("; ".join(f"{name} could not be asked: {why}" for name, why in unanswered.items()))
    if problems(found):
        raise SystemExit(FOUND)


def _looks(settings: Settings, health: tuple[str, ...]) -> Iterator[Status]:
    """One look after the other. Kafka has to be there at the first one, and may go away and come back after it."""
    earlier = None
    while True:
        found, away = _looked(settings, health, earlier)
        if earlier is None and away is not None:
            raise InfrastructureError(away)
        earlier = found
        yield found


def _looked(settings: Settings, health: tuple[str, ...], earlier: Status | None) -> tuple[Status, str | None]:
    """A look; and why Kafka cannot be reached, None: it can."""
    topics, connection = topics_of(settings), reached(settings)
    found = look(settings, topics, connection, database=stored(settings), health=health, earlier=earlier)
    if isinstance(connection, Unanswered):
        return found, connection.reason
    if isinstance(found.progress, Unanswered) and found.progress.is_absent:
        raise ContractError(
            f"{found.progress.reason}: run `consolidator topics apply`, or have permitted what "
            "`consolidator topics acls --role operator` lists"
        )
    return with_second_look(found, topics, connection.librdkafka()), None


def _print(found: Status, output_format: str) -> None:
    if output_format == "json":
        print_json(found.members() | {"partitions": partition_members(found), "problems": problems(found)})
        return
    say(*screen_of(found))
