"""The file of the canary's metrics: it is there while the canary runs, and stays only where something went wrong."""

import pytest
from click.testing import CliRunner

from models.errors import InfrastructureError
from streams.canary.rounds import Round
from streams.cli.commands import canary as command
from streams.runtime.signals import Interrupted


class Bird:
    """A canary whose rounds end as the test wants it.

    Attributes:
        path: the file, which every round reads.
        seen: what stood in it.
        error: what the third round raises, if anything.
        was_there: whether the file was there when it erased.
    """

    def __init__(self, path, error=None):
        self.path, self.error, self.seen, self.was_there = path, error, [], None

    def round(self, partition):
        self.seen.append(self.path.read_text())
        if self.error is not None and len(self.seen) == 3:
            raise self.error
        return Round(partition, None if partition == 1 else 0.1)

    def erase_all(self):
        self.was_there = self.path.exists()
        return []


class Nothing:
    """What no canary has left."""

    remains = ()


@pytest.fixture
def ended(tmp_path, monkeypatch):
    """Run the command with such a canary: the canary, and how the command ended."""

    def run(error, *words):
        bird = Bird(tmp_path / "canary.prom", error)
        monkeypatch.setattr(command, "_canary", lambda *_: (bird, Nothing()))
        arguments = ["run", "--app-id", "app", "--metrics-file", str(bird.path), *words]
        return bird, CliRunner().invoke(command.canary, arguments)

    return run


def test_the_file_says_what_came_of_every_round(ended):
    """From before the first one on, with the installation and the interval."""
    bird, result = ended(None, "--rounds", "3", "--interval", "0", "--lost-after", "90")
    assert result.exit_code == 1, result.output
    assert 'consolidator_canary_seconds_count{app_id="app"} 0.0' in bird.seen[0]
    assert 'consolidator_canary_interval_seconds{app_id="app"} 90.0' in bird.seen[0]
    assert 'consolidator_canary_lost_total{app_id="app"} 1.0' in bird.seen[2]
    assert 'consolidator_canary_lost_partitions{app_id="app"} 1.0' in bird.seen[2]


def test_the_interval_counts_where_it_is_longer_than_a_lost_round(ended):
    """A canary that goes round once an hour is not ill after five minutes."""
    bird, _ = ended(None, "--rounds", "1", "--interval", "3600")
    assert 'consolidator_canary_interval_seconds{app_id="app"} 3600.0' in bird.seen[0]


@pytest.mark.parametrize("error", [None, Interrupted()], ids=["rounds", "signal"])
def test_an_end_in_order_takes_the_file_away(ended, error):
    """Its last success would grow old, and wake somebody. Before the erasing, which may take minutes."""
    bird, _ = ended(error, "--rounds", "4", "--interval", "0")
    assert len(bird.seen) == (4 if error is None else 3)
    assert bird.was_there is False


def test_after_a_mistake_the_file_stays(ended):
    """Its age says that the canary has gone."""
    bird, result = ended(InfrastructureError("the disk is full"), "--interval", "0")
    assert isinstance(result.exception, InfrastructureError)
    assert bird.path.exists()
