"""Fixtures for several unit tests: the command line, isolated from the user's settings and from Kafka."""

import os

import pytest
from click.testing import CliRunner


@pytest.fixture
def runner(tmp_path):
    """The command line without the user's environment, and without a reachable broker."""
    unset = {name: None for name in os.environ if name.startswith(("CONSOLIDATOR_", "KAFKA_"))}
    return CliRunner(env=unset | {"CONSOLIDATOR_STATE_DIR": str(tmp_path), "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"})
