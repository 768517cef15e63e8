"""``consolidator sink``."""

import os
from pathlib import Path

import click

from streams.cli.kafka import connection_of
from streams.cli.logged_settings import load_logged_settings
from streams.cli.options import (
    app_id_option,
    log_format_option,
    log_level_option,
    servers_option,
    state_dir_option,
    url_option,
)
from streams.cli.output.console import say
from streams.cli.sink_database import database_of, sql_extra


@click.group(
    epilog="""\b
Examples:
  consolidator sink run
  CONSOLIDATOR_SINK_URL=postgresql://sink@db/consolidator consolidator sink run

Tables, columns and queries: docs/sql.md
"""
)
def sink() -> None:
    """Keep a database of what the worker publishes: events, current factors, changes, dead letters.

    Needs the extra sql. SQLite under the state directory, or PostgreSQL by its URL.
    """


@sink.command(
    epilog="""\b
Examples:
  consolidator sink run
  consolidator sink run --url sqlite:////var/lib/consolidator/model.db
  CONSOLIDATOR_SINK_URL=postgresql://sink@db/consolidator consolidator sink run

Exit codes: 0 ended by a signal; 2 a contract is broken (settings, topics, database); 3 Kafka failed.

Words: docs/glossary.md
"""
)
@url_option
@app_id_option
@state_dir_option
@servers_option
@log_level_option
@log_format_option
def run(
    *,
    url: str | None,
    app_id: str | None,
    state_dir: Path | None,
    bootstrap_servers: str | None,
    log_level: str | None,
    log_format: str | None,
) -> None:
    """Write what the worker publishes into a database, exactly once, until SIGTERM or SIGINT.

    The topics must exist: consolidator topics apply. Start as many as there are partitions, on any machines; they share
    the partitions among themselves. The database is brought to this version's schema.

    A cleared factor is a deleted row. All rows of a partition stand at one offset, which is in sink_position.
    If the database is away, the sink waits for it; nothing else stops meanwhile.
    """
    settings = load_logged_settings(
        sink_url=url,
        app_id=app_id,
        state_dir=state_dir,
        bootstrap_servers=bootstrap_servers,
        log_level=log_level,
        log_format=log_format,
    )
    # The database holds what the topics hold: nobody else may read it.
    os.umask(0o077)
    with sql_extra():
        from streams.sink.runner import run_sink  # noqa: PLC0415 - the extra may be missing

        database = database_of(settings)
        run_sink(settings, connection_of(settings).librdkafka(), database)


@sink.command(name="schema")
def schema_command() -> None:
    """Print the views of the database, as SQL: the rules of standing that processor_executions states."""
    with sql_extra():
        from streams.sink.views import views  # noqa: PLC0415 - the extra may be missing

        for definition in views().values():
            say(f"{definition.strip()};\n")
