"""Which health addresses are asked: those that were given, else the one of the environment."""

import pytest

from models.errors import SettingsError
from streams.cli.looking import health_addresses
from streams.configuration.settings import load_settings

VARIABLE = "CONSOLIDATOR_HEALTH_ADDRESS"


@pytest.mark.parametrize(
    ("given", "variable", "asked"),
    [
        ((), None, ()),
        ((), "0.0.0.0:9404", ("0.0.0.0:9404",)),
        (("10.0.0.5:9404",), "0.0.0.0:9404", ("10.0.0.5:9404",)),
        ((), "127.0.0.1:0", ()),
    ],
)
def test_the_addresses_that_are_asked(monkeypatch, given, variable, asked):
    """A worker with port 0 takes any free one: nobody knows where to ask it."""
    monkeypatch.delenv(VARIABLE, raising=False)
    if variable is not None:
        monkeypatch.setenv(VARIABLE, variable)
    assert health_addresses(load_settings(), given) == asked


def test_a_variable_that_is_no_address_is_refused(monkeypatch):
    """By its name."""
    monkeypatch.setenv(VARIABLE, "9404")
    with pytest.raises(SettingsError, match=VARIABLE):
        health_addresses(load_settings(), ())
