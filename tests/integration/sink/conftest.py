"""Databases for sinks on real Kafka: SQLite and PostgreSQL, each test with one of its own."""

from collections.abc import Iterator

import pytest

from tests.databases.model import Model, sqlite_url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def model(request, installation, tmp_path) -> Iterator[Model]:
    """A database that is empty, without tables."""
    is_file = request.param == "sqlite"
    url = sqlite_url(tmp_path) if is_file else request.getfixturevalue("postgres").new_database()
    found = Model(installation, url)
    yield found
    found.close()
