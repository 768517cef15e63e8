"""What `consolidator broker start --help` promises is what the broker is."""

from pathlib import Path

from click.testing import CliRunner

from streams.broker.config import BrokerConfig
from streams.cli.commands.broker import broker
from streams.configuration.broker_choice import data_dir
from streams.configuration.settings import Settings, variable_of


def test_it_says_where_the_data_lie_and_what_the_broker_is_for():
    """One broker to try things out; its directory and its memory are those of the code."""
    words = " ".join(CliRunner().invoke(broker, ["start", "--help"]).output.split())
    folder = data_dir(Settings(state_dir=Path("/state"))).relative_to("/state")
    assert f"Its data lies in {folder}/ below {variable_of('state_dir')}" in words
    heap = BrokerConfig(Path("/state"), 1, 2).heap
    assert f"its heap is at most {heap.removesuffix('m')} MiB" in words
    assert "one broker without replicas and without authentication, for trying things out and for tests" in words
