"""Databases for properties: one for all examples of a module, as making one costs more than an example."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.pool import StaticPool

from streams.sink.database import migrate, open_for_writing, url_of


@pytest.fixture(scope="module")
def sqlite() -> Iterator[Engine]:
    """A database in memory."""
    engine = create_engine("sqlite://", poolclass=StaticPool)
    event.listen(engine, "connect", lambda connection, _: setattr(connection, "isolation_level", None))
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def postgresql(postgres) -> Iterator[Engine]:
    """A database on the real server."""
    engine = open_for_writing(url_of(postgres.new_database()))
    migrate(engine)
    yield engine
    engine.dispose()
