"""``consolidator sink``."""

import os
from pathlib import Path

import click

from streams.cli.kafka import connection_of
from streams.cli.logged_settings import load_logged_settings
from streams.cli.options import (
    app_id_option,
    back_option,
    format_option,
    log_format_option,
    log_level_option,
    restart_option,
    servers_option,
    state_dir_option,
    switch_option,
    url_option,
)
from streams.cli.output.console import say
from streams.cli.sink_database import database_of, sql_extra
from streams.configuration.settings import Settings, load_settings
from streams.runtime.logs import configure_logging
from streams.runtime.standard_error import queue_standard_error


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
    # Set before anything is printed: nobody may read the log, and the sink goes on.
    queue_standard_error()
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


@sink.command(
    epilog="""\b
Examples:
  consolidator sink status
  consolidator sink status --format json

Exit codes: 0 fine; 1 something is wrong: rows in quarantine, or a partition that no sink is at; 2 wrong usage,
settings, topics or database; 3 the database does not answer, or Kafka, and what the database says is printed.

Words: docs/glossary.md
"""
)
@url_option
@app_id_option
@state_dir_option
@servers_option
@format_option
def status(
    *,
    url: str | None,
    app_id: str | None,
    state_dir: Path | None,
    bootstrap_servers: str | None,
    output_format: str,
) -> None:
    """Show how far the database is, who writes it, and what is wrong with it.

    For each partition: its cut, how many offsets the workers and the log are ahead, for how long the oldest record has
    been waiting, when a sink was last there, and rows in quarantine. Transaction markers are no lag.
    """
    settings = _settings(url, app_id, state_dir, bootstrap_servers)
    with sql_extra():
        from streams.cli.commands.upkeep.status import show_status  # noqa: PLC0415 - the extra may be missing

        show_status(settings, database_of(settings), output_format=output_format)


@sink.command(
    epilog="""\b
Examples:
  consolidator sink verify
  consolidator sink verify --format json

Exit codes: 0 equal; 1 something differs; 2 wrong usage, settings, topics or database; 3 Kafka, the disk or the database
failed.

Words: docs/glossary.md
"""
)
@url_option
@app_id_option
@state_dir_option
@servers_option
@format_option
def verify(
    *,
    url: str | None,
    app_id: str | None,
    state_dir: Path | None,
    bootstrap_servers: str | None,
    output_format: str,
) -> None:
    """Compare the database with the log: every row, at the cut of each partition.

    The same rows are built from Kafka, in a database under TMPDIR, and both are compared. What differs is named by
    table, partition and key, without its values. Nothing is written into the database, and the running sink goes on.
    """
    settings = _settings(url, app_id, state_dir, bootstrap_servers)
    configure_logging("error", settings.log_format)
    with sql_extra():
        from streams.cli.commands.upkeep.verify import verify_database  # noqa: PLC0415 - the extra may be missing

        verify_database(settings, database_of(settings), output_format=output_format)


@sink.command(
    epilog="""\b
Examples:
  consolidator sink rebuild
  consolidator sink rebuild --switch
  consolidator sink rebuild --back

Exit codes: 0 done, and nothing differs; 1 done, and something differs; 2 wrong usage, settings, topics or database; 3
Kafka or the database failed: the same command goes on from there.

Words: docs/glossary.md
"""
)
@url_option
@switch_option
@back_option
@restart_option
@app_id_option
@state_dir_option
@servers_option
@format_option
def rebuild(
    *,
    url: str | None,
    switched: bool,
    back: bool,
    restart: bool,
    app_id: str | None,
    state_dir: Path | None,
    bootstrap_servers: str | None,
    output_format: str,
) -> None:
    """Build the database anew beside the running sink, and compare both.

    The new tables are in the same database, under next_. Readers see nothing of them, and the running sink goes on.
    Ended at any moment and started again, it goes on where it was. What differs is named by table, partition and key.

    With --switch the new tables then take the old ones' place, in one transaction, and the old ones are kept under
    previous_.
    """
    if back and (switched or restart):
        raise click.UsageError("--back is for itself: neither --switch nor --restart goes with it")
    settings = _settings(url, app_id, state_dir, bootstrap_servers)
    configure_logging("error", settings.log_format)
    os.umask(0o077)
    with sql_extra():
        from streams.cli.commands.upkeep.rebuild import (  # noqa: PLC0415 - the extra may be missing
            back_to_previous,
            rebuild_database,
        )

        database = database_of(settings)
        if back:
            back_to_previous(settings, database, output_format=output_format)
        else:
            rebuild_database(settings, database, restart=restart, switched=switched, output_format=output_format)


@sink.command(name="schema")
def schema_command() -> None:
    """Print the views of the database, as SQL: the rules of standing that processor_executions states."""
    with sql_extra():
        from streams.sink.views import views  # noqa: PLC0415 - the extra may be missing

        for definition in views().values():
            say(f"{definition.strip()};\n")


def _settings(url: str | None, app_id: str | None, state_dir: Path | None, bootstrap_servers: str | None) -> Settings:
    return load_settings(sink_url=url, app_id=app_id, state_dir=state_dir, bootstrap_servers=bootstrap_servers)
