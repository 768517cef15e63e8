"""Databases for tests without Kafka."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from streams.sink.database import migrate, open_for_writing, url_of


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database(request, tmp_path) -> Iterator[Engine]:
    """An empty database at this version's schema."""
    is_file = request.param == "sqlite"
    url = f"sqlite:///{tmp_path}/model.db" if is_file else request.getfixturevalue("postgres").new_database()
    engine = open_for_writing(url_of(url))
    migrate(engine)
    yield engine
    engine.dispose()
