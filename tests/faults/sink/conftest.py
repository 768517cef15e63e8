"""Databases for sinks that are broken on purpose: SQLite and PostgreSQL, each scenario with one of its own."""

from collections.abc import Iterator

import pytest

from tests.databases.model import sqlite_url
from tests.databases.snapshots import Reader
from tests.fault_runs.sink_scene import SinkScene


@pytest.fixture(params=["SQLite", pytest.param("PostgreSQL", marks=pytest.mark.postgres)])
def database(request) -> str:
    """Which kind of database it is."""
    return request.param


@pytest.fixture
def reader(request, database, tmp_path) -> Reader:
    """An empty database."""
    is_file = database == "SQLite"
    return Reader(sqlite_url(tmp_path) if is_file else request.getfixturevalue("postgres").new_database())


@pytest.fixture
def scene(installation, reader, record_figures) -> Iterator[SinkScene]:
    """Workers, a load and somebody who looks; sinks are the scenario's own."""
    with SinkScene(installation, reader, record_figures) as found:
        yield found
