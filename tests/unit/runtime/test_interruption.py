"""A signal ends a command, wherever it arrives."""

import gc
import signal
import sys
import weakref

import pytest

from models.errors import InfrastructureError
from streams.runtime.signals import ENDING, Interruption

EXIT_SIGNALLED = 128


class _Thing:
    """Something that a weak reference can be of."""


def signal_in_a_callback(number: int) -> None:
    """Let a signal arrive where Python cannot raise what its handler raises."""
    thing = _Thing()
    reference = weakref.ref(thing, lambda _: signal.raise_signal(number))
    del thing
    gc.collect()
    assert reference() is None


@pytest.fixture
def handlers():
    """What handles signals and lost exceptions, to be found again."""
    return [signal.getsignal(number) for number in ENDING], sys.unraisablehook


@pytest.mark.parametrize("number", ENDING)
@pytest.mark.parametrize("looks", [True, False])
def test_a_signal_that_python_loses_is_remembered(handlers, capsys, number, looks):
    """The next look raises it, and so does the end where there is none; nothing is said about what was lost."""
    steps = []

    def command():
        with Interruption() as interruption:
            interruption.look()
            signal_in_a_callback(number)
            steps.append("lost")
            if looks:
                interruption.look()
            steps.append("not looked at")

    with pytest.raises(SystemExit) as ended:
        command()
    assert ended.value.code == EXIT_SIGNALLED + number
    assert steps == (["lost"] if looks else ["lost", "not looked at"])
    assert capsys.readouterr().err == ""
    assert ([signal.getsignal(one) for one in ENDING], sys.unraisablehook) == handlers


@pytest.mark.parametrize("number", ENDING)
def test_a_signal_interrupts_at_once(number):
    """What is under way ends there, and everything that has to be closed is; a second one does not disturb that."""
    steps = []

    def command():
        with Interruption():
            try:
                signal.raise_signal(number)
                steps.append("went on")
            finally:
                signal.raise_signal(number)
                steps.append("closed")

    with pytest.raises(SystemExit) as ended:
        command()
    assert ended.value.code == EXIT_SIGNALLED + number
    assert steps == ["closed"]


@pytest.mark.parametrize("error", [KeyError("unforeseen"), InfrastructureError("foreseen")])
def test_without_a_signal_an_error_stays_what_it_is(error):
    """Whether it is one of ours or not."""
    with pytest.raises(type(error)), Interruption():
        raise error
