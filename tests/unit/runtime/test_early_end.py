"""A signal before the work began ends the process, wherever its main thread is at that moment."""

import subprocess
import sys

import pytest

LIMIT_S = 60.0

SCRIPT = """
import os
import signal
import sys

from streams.runtime.signals import end_at_signals


def signal_myself(*_):
    os.kill(os.getpid(), signal.{name})


class Key:
    __hash__ = lambda self: 1
    __eq__ = signal_myself


class Finalized:
    __del__ = signal_myself


def in_a_finalizer():
    Finalized()


def in_a_lookup_whose_error_is_replaced():
    try:
        {{Key(): None}}.get(Key())
    except BaseException:
        raise SystemError("returned a result with an exception set") from None


end_at_signals(lambda: os.write(1, b"goodbye"))
{place}()
sys.exit(9)
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
@pytest.mark.parametrize("place", ["signal_myself", "in_a_finalizer", "in_a_lookup_whose_error_is_replaced"])
def test_it_ends_at_once(place, name):
    """An exception would be lost in a finalizer, and replaced by what C code makes of it."""
    script = SCRIPT.format(place=place, name=name)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "goodbye", "")
