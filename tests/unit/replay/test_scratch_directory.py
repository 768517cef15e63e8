"""Scratch databases hold values: they are removed at the end, and by the next one where a process was killed."""

import os
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from streams.replay.scratch_directory import ScratchDirectory
from streams.replay.tables import Scratch

LIMIT_S = 60
HOLDS_ONE = """
from streams.cli.ends import run_program
import click, time
from streams.replay.tables import Scratch

@click.command()
def replay():
    with Scratch() as scratch:
        scratch.table("rows").write([(b"key", b"value")])
        click.echo(scratch._directory.path)
        # A signal that comes just before a sleep does not shorten it.
        while True:
            time.sleep(0.05)

run_program(replay, [])
"""


@pytest.fixture(autouse=True)
def directory(tmp_path, monkeypatch):
    """A temporary directory of the test's own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def replay(directory):
    """A process that keeps a scratch database."""
    environment = os.environ | {"TMPDIR": str(directory)}
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS_ONE],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        cwd=Path.cwd(),
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_only_the_owner_can_read_it():
    """Its values are nobody else's."""
    with ScratchDirectory() as scratch:
        assert stat.S_IMODE(scratch.path.stat().st_mode) == 0o700
    assert not scratch.path.exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_removes_it(replay, number, code):
    """Databases that are open, too."""
    path = Path(replay.stdout.readline().strip())
    assert path.exists()
    replay.send_signal(number)
    _, errors = replay.communicate(timeout=LIMIT_S)
    assert (replay.returncode, errors) == (code, "")
    assert not path.exists()


def test_what_a_killed_process_left_is_swept_and_nothing_else(replay, directory):
    """By the next one: not what is in use, nor what is somebody else's."""
    path = Path(replay.stdout.readline().strip())
    new = directory / "consolidator-replay-just-made"
    new.mkdir()
    other = directory / "another"
    other.mkdir()
    link = directory / "consolidator-replay-link"
    link.symlink_to(other)
    old = directory / "consolidator-replay-old"
    old.mkdir()
    os.utime(old, (0, 0))
    with Scratch():
        assert path.exists()
        assert not old.exists()
    replay.kill()
    replay.wait(LIMIT_S)
    with Scratch():
        assert not path.exists()
    assert sorted(directory.iterdir()) == sorted([new, other, link])
