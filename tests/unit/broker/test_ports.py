"""Which ports the broker takes."""

import socket

import pytest

from models.errors import ContractError
from streams.broker.ports import Ports, choose_ports, free_port, is_free, remember_ports, remembered_ports


@pytest.fixture
def taken_port():
    """A port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def told():
    return []


def test_a_port_somebody_listens_on_is_not_free(taken_port):
    """The check sees other servers."""
    assert not is_free(taken_port)


def test_the_first_start_takes_two_different_free_ports(told):
    """Clients and controller have a port each, and there is nothing to tell."""
    ports = choose_ports(None, None, told.append)
    assert ports.port != ports.controller_port
    assert is_free(ports.port)
    assert is_free(ports.controller_port)
    assert told == []


def test_the_last_ports_are_kept(told):
    """A restarted broker is found at the same address."""
    last = Ports(free_port(), free_port())
    assert choose_ports(None, last, told.append) == last
    assert told == []


def test_a_taken_last_port_is_replaced_and_said(taken_port, told):
    """Who has noted the old address learns that it changed."""
    ports = choose_ports(None, Ports(taken_port, free_port()), told.append)
    assert ports.port != taken_port
    assert told == [f"Port {taken_port}, the broker's last one, is taken: using {ports.port}"]


def test_a_wanted_port_wins_over_the_last_one(told):
    """--port moves the broker."""
    wanted = free_port()
    other = free_port(other_than=frozenset({wanted}))
    assert choose_ports(wanted, Ports(other, free_port()), told.append).port == wanted


def test_the_controller_gives_way_to_a_wanted_port(told):
    """The port that was the controller's can be asked for."""
    wanted = free_port()
    ports = choose_ports(wanted, Ports(free_port(), wanted), told.append)
    assert ports.port == wanted
    assert ports.controller_port != wanted


def test_a_wanted_port_that_is_taken_is_refused(taken_port, told):
    """No other port is chosen in place of one that was asked for."""
    with pytest.raises(ContractError, match=f"port {taken_port} of 127.0.0.1 is taken"):
        choose_ports(taken_port, None, told.append)


def test_ports_are_remembered(tmp_path):
    """What was written is read again."""
    remember_ports(tmp_path / "ports.json", Ports(19_100, 19_101))
    assert remembered_ports(tmp_path / "ports.json") == Ports(19_100, 19_101)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"port": 1, "ports": 2}', '{"port": "a", "controller_port": 1}']
)
def test_a_damaged_file_counts_as_none(tmp_path, content):
    """A start never fails because of the file that only remembers ports."""
    (tmp_path / "ports.json").write_text(content)
    assert remembered_ports(tmp_path / "ports.json") is None
    assert remembered_ports(tmp_path / "never written") is None
