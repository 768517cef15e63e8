"""A signal before the work begins ends the process, wherever its main thread is at that moment."""

import subprocess
import sys

import pytest

LIMIT_S = 60.0
SCRIPT = """
import os
import signal
import sys
import threading

from streams.runtime.signals import EndedEarly, early_end


def signal_myself(*_):
    os.kill(os.getpid(), signal.{name})


class Finalized:
    __del__ = signal_myself


def in_a_finalizer():
    Finalized()


def whose_exception_is_replaced():
    try:
        signal_myself()
    except BaseException:
        raise SystemError("returned a result with an exception set") from None


def with_a_lock_that_the_end_needs():
    with LOCK:
        signal_myself()


LOCK = threading.Lock()
early_end.begin()
try:
    {place}()
    early_end.look()
except BaseException:
    if not early_end.has_come:
        raise
    with LOCK:
        raise EndedEarly from None
sys.exit(9)
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
@pytest.mark.parametrize(
    "place", ["signal_myself", "in_a_finalizer", "whose_exception_is_replaced", "with_a_lock_that_the_end_needs"]
)
def test_it_ends_in_order(place, name):
    """Also where the exception is lost or replaced. Nothing is printed."""
    script = SCRIPT.format(place=place, name=name)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_any_other_lost_exception_is_reported():
    """Only the end's own one is dropped."""
    script = SCRIPT.format(place="FailsAtItsEnd", name="SIGTERM").replace(
        "LOCK = ", "class FailsAtItsEnd:\n    def __del__(self):\n        raise ValueError('lost')\n\n\nLOCK = "
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 9
    assert "ValueError: lost" in done.stderr
