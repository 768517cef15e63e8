"""``consolidator sink``."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from models.errors import SettingsError
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
from streams.configuration.settings import Settings, name_of

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

_EXTRA: Final = ("sqlalchemy", "alembic")
_FILE: Final = Path("sink") / "model.db"


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
    with _extra():
        from streams.sink.runner import run_sink  # noqa: PLC0415 - the extra may be missing

        database = _database_of(settings, "--url" if url is not None else name_of(settings, "sink_url"))
        run_sink(settings, connection_of(settings).librdkafka(), database)


@sink.command(name="schema")
def schema_command() -> None:
    """Print the views of the database, as SQL: the rules of standing that processor_executions states."""
    with _extra():
        from streams.sink.views import views  # noqa: PLC0415 - the extra may be missing

        for definition in views().values():
            say(f"{definition.strip()};\n")


def _database_of(settings: Settings, named: str) -> "URL":
    """The database that the settings name; by default SQLite under the state directory.

    Args:
        settings: the settings.
        named: what gave the URL.

    Raises:
        SettingsError: the URL is none that can be used.
    """
    from streams.sink.database import url_of  # noqa: PLC0415 - the extra may be missing

    if settings.sink_url is None:
        return url_of(f"sqlite:///{settings.state_dir / _FILE}")
    try:
        return url_of(settings.sink_url.get_secret_value())
    except SettingsError as error:
        raise SettingsError(f"{named}: {error}") from None


@contextmanager
def _extra() -> Iterator[None]:
    """Refuse where the extra is missing.

    Raises:
        SettingsError: saying which one.
    """
    missing = [name for name in _EXTRA if find_spec(name) is None]
    if missing:
        raise SettingsError(f"this command needs the extra sql, and {', '.join(missing)} is missing: install it")
    yield
