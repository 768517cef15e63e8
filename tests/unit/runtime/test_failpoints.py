"""A fail-point: inert until it is armed, then one signal at one passing."""

import itertools
import os
import signal

import pytest

from models.errors import SettingsError
from streams.configuration.settings import load_settings
from streams.runtime import failpoints
from streams.runtime.failpoints import PLACES, arm, reach


@pytest.fixture
def signals(monkeypatch):
    """The signals that this process sends itself."""
    sent = []
    monkeypatch.setattr(failpoints, "_armed", None)
    monkeypatch.setattr(os, "kill", lambda pid, number: sent.append((pid, number)))
    return sent


def test_nothing_happens_where_none_is_armed(signals):
    for place in PLACES:
        reach(place)
    assert signals == []


@pytest.mark.parametrize(("action", "number"), [("kill", signal.SIGKILL), ("stop", signal.SIGSTOP)])
def test_the_signal_comes_once_at_its_passing(signals, action, number):
    arm(f"committed:{action}:3")
    for passing, place in itertools.product(range(1, 6), PLACES):
        reach(place)
        assert len(signals) == (
            passing > 3 or (passing == 3 and list(PLACES).index(place) >= list(PLACES).index("committed"))
        )
    assert signals == [(os.getpid(), number)]


@pytest.mark.parametrize("wrong", ["nowhere:kill:1", "committed:kill:0", "committed:kill", "committed:term:1", ""])
def test_a_wrong_failpoint_is_refused_by_name(monkeypatch, wrong):
    monkeypatch.setenv("CONSOLIDATOR_FAILPOINT", wrong)
    with pytest.raises(SettingsError, match="CONSOLIDATOR_FAILPOINT"):
        load_settings()


@pytest.mark.parametrize("place", PLACES)
def test_every_place_can_be_set(monkeypatch, place):
    monkeypatch.setenv("CONSOLIDATOR_FAILPOINT", f"{place}:kill:12")
    assert load_settings().failpoint == f"{place}:kill:12"
