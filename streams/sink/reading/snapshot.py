"""A consistent view of the database, whatever the sink writes meanwhile."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from models.errors import ContractError
from streams.sink.database import open_for_reading
from streams.sink.failures import BAD_ROW, judged
from topics.contract.declared import Topics

__all__ = ["NotStoredError", "require_installation", "snapshot"]

_SQLITE: Final = "sqlite"
_INSTALLATION: Final = text("SELECT application_group, source_topic, partitions FROM sink_database")


class NotStoredError(ContractError):
    """The database does not have the answer, and Kafka can have it. The message says what is missing."""


@contextmanager
def snapshot(url: URL) -> Iterator[Connection]:
    """A connection that reads everything as of one moment, and cannot write.

    Raises:
        NotStoredError: there is no such file, or the database cannot hold an id.
        DatabaseAwayError: the database does not answer.
        ContractError: it has other tables, or does not permit it.
    """
    is_file = url.get_backend_name() == _SQLITE
    if is_file:
        _require_file(Path(url.database or ""))
    engine = open_for_reading(url)
    if not is_file:
        engine = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    try:
        with engine.connect() as connection:
            if is_file:
                # The driver's connection commits by itself: a transaction has to be begun by hand.
                connection.exec_driver_sql("PRAGMA query_only = ON")
                connection.exec_driver_sql("BEGIN")
            yield connection
    except DBAPIError as error:
        if isinstance(error, BAD_ROW):
            raise NotStoredError("the database cannot hold such an id") from None
        raise judged(error) from error
    except (UnicodeEncodeError, OverflowError):
        raise NotStoredError("the database cannot hold such an id") from None
    finally:
        engine.dispose()


def _require_file(path: Path) -> None:
    """Refuse a missing file: SQLite would create an empty one."""
    try:
        found = path.is_file()
    except OSError as error:
        raise NotStoredError(f"{path} cannot be read: {error.strerror}") from None
    if not found:
        raise NotStoredError(f"there is no file {path}: `consolidator sink run` makes it")


def require_installation(connection: Connection, topics: Topics, group: str) -> None:
    """Refuse another installation's database.

    Args:
        connection: to the database.
        topics: the declared topics.
        group: the workers' group.

    Raises:
        NotStoredError: it is of another installation, or of none yet.
    """
    row = connection.execute(_INSTALLATION).first()
    if row is None:
        raise NotStoredError("no sink has written to the database")
    wanted = (group, topics.executions.name, topics.partitions)
    found = (row.application_group, row.source_topic, row.partitions)
    if found != wanted:
        raise NotStoredError(
            f"the database is of workers {found[0]} on {found[1]} ({found[2]} partitions), the settings are of workers "
            f"{wanted[0]} on {wanted[1]} ({wanted[2]} partitions)"
        )
