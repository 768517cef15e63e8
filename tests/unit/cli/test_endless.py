"""Which commands a signal ends successfully."""

import signal

import pytest

from streams.cli.endless import is_endless, signal_code


@pytest.mark.parametrize(
    ("line", "endless"),
    [
        ("run --processes 2", True),
        ("tail executions", True),
        ("sink run", True),
        ("sink status", False),
        ("status --watch", True),
        ("status --every 2 --watch", True),
        ("status", False),
        ("doctor", False),
        ("", False),
    ],
)
def test_what_runs_until_a_signal_ends_well_by_one(line, endless):
    """Exit code 0, and of every other command 128 and the signal's number."""
    arguments = line.split()
    assert is_endless(arguments) is endless
    assert signal_code(signal.SIGTERM, arguments) == (0 if endless else 143)
