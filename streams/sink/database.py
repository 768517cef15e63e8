"""A database: how it is opened, what its connections are set to, and how it comes to this version's schema."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from models.errors import ContractError, SettingsError
from streams.sink.failures import BAD_ROW, judged
from streams.sink.schema import CURRENT, Tables
from streams.sink.sets.table_sets import drop_beside
from streams.sink.views import views

if TYPE_CHECKING:
    from alembic.config import Config

__all__ = [
    "DATABASES",
    "disposed",
    "make_views",
    "migrate",
    "open_for_reading",
    "open_for_snapshots",
    "open_for_writing",
    "require_schema",
    "transaction",
    "url_of",
]

DATABASES: Final = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg"}
"""What a URL may begin with, and the driver that is taken."""

_IDLE_MS: Final = 10_000
"""After so long PostgreSQL ends a transaction in which nothing happens: a frozen process would hold its partitions."""

_LOCK_MS: Final = 30_000
"""Longer than that: who waits for a frozen process has the partition when its transaction was ended."""

_CONNECT_S: Final = 5
_BUSY_S: Final = 10

_SQLITE: Final = (3, 32)
"""From here on a statement may have as many parameters as many rows in one have."""

_WAL_PAGES: Final = 131_072
"""Of 4 KiB: so long SQLite's write-ahead log grows before it is worked into the file, 512 MiB. In a large database a
cut touches thousands of pages all over it. The longer the log, the more of these are written once for several cuts, and
the closer together; with 64 MiB commits took half as long again. Only a sink that catches up has so long a log."""

_CACHE_KIB: Final = 131_072
"""SQLite's cache: the pages that one large cut touches."""

_MIGRATION_LOCK: Final = 7_283_000_030
"""PostgreSQL's advisory lock of those who bring a database to this version; any number that nobody else takes."""


def url_of(given: str) -> URL:
    """Read a URL: ``sqlite:///FILE`` or ``postgresql://USER:PASSWORD@HOST/DATABASE``.

    Raises:
        SettingsError: it is none of these. The message does not repeat it: a password may stand in it.
    """
    wanted = "sqlite:///FILE or postgresql://USER@HOST:PORT/DATABASE"
    try:
        url = make_url(given)
    except (ArgumentError, ValueError):
        raise SettingsError(f"the database's URL cannot be read: it is {wanted}") from None
    driver = DATABASES.get(url.drivername.partition("+")[0])
    if driver is None:
        raise SettingsError(f"the database's URL begins with {url.drivername}: it is {wanted}")
    if driver == "sqlite" and url.database in {None, "", ":memory:"}:
        raise SettingsError("the database's URL names no file: several processes share it, so it is sqlite:///FILE")
    return url.set(drivername=driver)


def open_for_writing(url: URL) -> Engine:
    """The database as the sink has it: transactions begin by taking SQLite's lock, and never rest in PostgreSQL.

    Nothing is connected yet.

    Raises:
        SettingsError: SQLite is too old, or PostgreSQL's driver is missing.
    """
    if url.get_backend_name() == "sqlite":
        if sqlite3.sqlite_version_info < _SQLITE:
            raise SettingsError(f"SQLite is {sqlite3.sqlite_version}: at least {'.'.join(map(str, _SQLITE))} is needed")
        path = Path(url.database or "")
        path.parent.mkdir(parents=True, exist_ok=True)
        engine = _engine(url, {"timeout": _BUSY_S})
        event.listen(engine, "connect", _sqlite_connected)
        event.listen(engine, "begin", _begin_immediately)
        return engine
    options = f"-c idle_in_transaction_session_timeout={_IDLE_MS} -c lock_timeout={_LOCK_MS}"
    return _engine(url, _postgresql_arguments() | {"options": options})


def open_for_reading(url: URL) -> Engine:
    """The database as a reader has it: each question stands alone, and nothing is locked."""
    arguments = {"timeout": _BUSY_S} if url.get_backend_name() == "sqlite" else _postgresql_arguments()
    return _engine(url, arguments).execution_options(isolation_level="AUTOCOMMIT")


def open_for_snapshots(url: URL) -> Engine:
    """The database as a comparison has it: a transaction sees one moment of it, writes nothing, and holds nobody up.

    Raises:
        ContractError: there is no such file.
    """
    if url.get_backend_name() == "sqlite":
        if not Path(url.database or "").exists():
            raise ContractError(f"there is no database {url.database}: start `consolidator sink run`")
        engine = _engine(url, {"timeout": _BUSY_S})
        event.listen(engine, "connect", _sqlite_reading)
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
        return engine
    options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    return _engine(url, _postgresql_arguments()).execution_options(**options)


@contextmanager
def disposed(engine: Engine) -> Iterator[Engine]:
    """Close the connections of a database at the end."""
    try:
        yield engine
    finally:
        engine.dispose()


def _postgresql_arguments() -> dict[str, Any]:
    return {
        "application_name": "consolidator-sink",
        "connect_timeout": _CONNECT_S,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
    }


def _engine(url: URL, connect_args: dict[str, Any]) -> Engine:
    # No column is an hstore, and a command would ask for the type's number each time before its own question.
    special = {} if url.get_backend_name() == "sqlite" else {"use_native_hstore": False}
    try:
        # Values never come into a message: they are personal.
        return create_engine(url, connect_args=connect_args, hide_parameters=True, **special)
    except (NoSuchModuleError, ModuleNotFoundError):
        raise SettingsError("PostgreSQL needs psycopg: install the extra sql") from None


def _sqlite_connected(connection: Any, _record: object) -> None:
    # Python's driver would begin transactions by itself, and commit them before some statements.
    connection.isolation_level = None
    # Readers read while the sink writes. After a crash of the machine the last transactions may be gone, each as a
    # whole: they are written again from the log.
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    # A page that several cuts write goes from the log into the file once, and the disk is waited for less often.
    connection.execute(f"PRAGMA wal_autocheckpoint = {_WAL_PAGES}")


def _sqlite_reading(connection: Any, _record: object) -> None:
    connection.isolation_level = None
    connection.execute("PRAGMA query_only = ON")


def _begin_immediately(connection: Connection) -> None:
    # A transaction that read first, and then wants to write, is refused where another one wrote in between.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """One transaction; it is committed at the end, or everything is rolled back.

    Raises:
        DatabaseAwayError: the database is lost, full or locked. A commit of which no answer came may have happened.
        ContractError: the database has other tables, or does not permit it.
        Exception: one of :data:`~streams.sink.failures.BAD_ROW`, as it is.
    """
    try:
        with engine.begin() as connection:
            yield connection
    except DBAPIError as error:
        if isinstance(error, BAD_ROW):
            raise
        raise judged(error) from error


def migrate(engine: Engine) -> None:
    """Bring a database to this version's schema; of several that do so at the same time, one after the other.

    Only the current set is brought there. Those beside it go: they are built again from the log.

    Raises:
        ContractError: a later version has been at it.
        DatabaseAwayError: it does not answer.
    """
    # Alembic takes a tenth of a second to import, and those who only read need none of it.
    from alembic import command  # noqa: PLC0415
    from alembic.util.exc import CommandError  # noqa: PLC0415

    config = _migrations()
    with transaction(engine) as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})
        config.attributes["connection"] = connection
        before = _revision(connection)
        if before is not None and before != _head(config):
            drop_beside(connection)
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise ContractError(
                f"the database's schema is of a later version of this program, or somebody else's: {error}"
            ) from None
        if _revision(connection) != before:
            make_views(connection, CURRENT)


def require_schema(connection: Connection) -> None:
    """Refuse a database that is not at this version's schema, or that no sink has been at.

    Raises:
        ContractError: saying which.
    """
    found = _revision(connection)
    if found is None:
        raise ContractError("no sink has been at this database: start `consolidator sink run`")
    if found != _head(_migrations()):
        raise ContractError(
            f"the database's schema is {found}, this version's is {_head(_migrations())}: `consolidator sink "
            "run` of the later one of both brings it there"
        )


def _migrations() -> "Config":
    from alembic.config import Config  # noqa: PLC0415 - see migrate

    config = Config()
    config.set_main_option("script_location", "streams.sink:migrations")
    config.set_main_option("path_separator", "os")
    return config


def _head(config: "Config") -> str | None:
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - see migrate

    return ScriptDirectory.from_config(config).get_current_head()


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


def make_views(connection: Connection, tables: Tables) -> None:
    """Make the views of a set of tables, which is there; those of before go."""
    for name, definition in views(tables.prefix).items():
        connection.execute(text(f"DROP VIEW IF EXISTS {name}"))
        connection.execute(text(definition))
