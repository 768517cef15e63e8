"""Signals held back: none is lost, none takes effect too early, and none concerns another thread."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from streams.runtime.signals import ENDING, deferred_signals


@pytest.fixture
def heard():
    """The numbers of the signals that the program's own handler has heard."""
    numbers = []
    before = {number: signal.signal(number, lambda number, _: numbers.append(number)) for number in ENDING}
    yield numbers
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", ENDING)
def test_a_signal_takes_effect_behind_the_block(heard, number):
    """Inside nothing happens; at the end the handler that was there hears of it, once."""
    with deferred_signals():
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)
        assert heard == []
    assert heard == [number]
    os.kill(os.getpid(), number)
    assert heard == [number, number]


@pytest.fixture
def default_handler():
    """Python's own for SIGINT, which is not there where a shell has started the tests in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("default_handler")
def test_ctrl_c_still_interrupts():
    """The usual KeyboardInterrupt comes, from the end of the block."""
    done = []

    def block():
        with deferred_signals():
            signal.raise_signal(signal.SIGINT)
            done.append("the rest of the block")

    with pytest.raises(KeyboardInterrupt):
        block()
    assert done


def test_an_error_inside_is_not_hidden(heard):
    """An exception leaves the block, and the handlers are back."""
    with pytest.raises(ValueError, match="inside"), deferred_signals():
        raise ValueError("inside")
    signal.raise_signal(signal.SIGTERM)
    assert heard == [signal.SIGTERM]


def test_another_thread_is_left_alone():
    """Where Python allows no handlers the block runs all the same."""

    def run():
        with deferred_signals():
            return "ran"

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(run).result(10) == "ran"


def test_a_process_started_inside_can_be_terminated():
    """A child inherits neither a mask nor deafness: SIGTERM ends it."""
    with deferred_signals():
        child = subprocess.Popen([sys.executable, "-c", "import time; print(flush=True); time.sleep(60)"], stdout=-1)
    with child:
        child.stdout.readline()
        child.terminate()
        assert child.wait(10) == -signal.SIGTERM
