"""The ports of a node: the requested ones, else those of its last start, else free ones."""

import random
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from models.errors import ContractError, InfrastructureError
from streams.broker.config import LOOPBACK

# These are below the range from which Linux (32768 and up) and macOS (49152 and up) take ports of outgoing connections.
# A port in that range could be taken by any browser while the broker is stopped.
_CANDIDATES = range(19_092, 32_000)
_TRIES = 100


@dataclass(frozen=True, slots=True)
class Ports:
    """The two ports of a node, both on the loopback interface."""

    port: int
    controller_port: int


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of the loopback interface now."""
    with socket.socket() as probe:
        # The broker sets this option, too: it ignores connections that linger after its last run.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen()
        except OSError:
            return False
    return True


def free_port(*, other_than: frozenset[int] = frozenset()) -> int:
    """A free port, chosen at random so that two programs that look at the same time rarely choose the same.

    Raises:
        InfrastructureError: none was found.
    """
    for port in random.SystemRandom().sample(_CANDIDATES, _TRIES):
        if port not in other_than and is_free(port):
            return port
    raise InfrastructureError(f"no free port found between {_CANDIDATES.start} and {_CANDIDATES.stop - 1}")


def choose_ports(wanted: int | None, remembered: Ports | None, tell: Callable[[str], None]) -> Ports:
    """The ports for the next start.

    Args:
        wanted: the requested client port.
        remembered: the ports of the last start, kept if they are free.
        tell: called with a message if the remembered port is taken and clients have to use another one.

    Raises:
        ContractError: the requested port is taken.
        InfrastructureError: no free port was found.
    """
    if wanted is not None and not is_free(wanted):
        raise ContractError(f"port {wanted} of {LOOPBACK} is taken: choose another one, or leave --port out")
    if wanted is not None:
        port = wanted
    elif remembered is not None and is_free(remembered.port):
        port = remembered.port
    else:
        port = free_port()
        if remembered is not None:
            tell(f"Port {remembered.port}, the broker's last one, is taken: using {port}")
    kept = remembered.controller_port if remembered is not None else None
    if kept is not None and kept != port and is_free(kept):
        return Ports(port, kept)
    return Ports(port, free_port(other_than=frozenset({port})))


def remembered_ports(file: Path) -> Ports | None:
    """The ports of the last start; None if there was none, or the file is damaged."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Ports)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def remember_ports(file: Path, ports: Ports) -> None:
    """Keep the ports for the next start."""
    temporary = file.with_suffix(".new")
    temporary.write_bytes(msgspec.json.encode(ports))
    temporary.replace(file)
