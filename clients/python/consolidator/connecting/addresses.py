"""Brokers' addresses: parsed strictly, named by their source in messages, and checked before clients are made."""

import queue
import re
import socket
import threading
from collections.abc import Mapping
from time import monotonic
from typing import Final, Self

from consolidator.errors import InfrastructureError

__all__ = ["VARIABLE", "Servers", "parse_servers", "require_listener", "servers_text"]

VARIABLE: Final = "KAFKA_BOOTSTRAP_SERVERS"

_REACH_S: Final = 1.5
"""A connection takes one round trip, and a lost packet is sent again after a second, so two seconds are enough."""

_ADDRESS: Final = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9._-]+)):(?P<port>[0-9]{1,5})")
_LAST_PORT: Final = 65_535


class Servers(str):
    """Addresses that remember their source, a flag or the variable, even inside a client's configuration."""

    __slots__ = ("named",)

    named: str

    def __new__(cls, addresses: str, named: str = VARIABLE) -> Self:
        """Make the value from a list of addresses and its source."""
        made = super().__new__(cls, addresses)
        made.named = named
        return made


def servers_text(config: Mapping[str, str | int]) -> str:
    """The addresses in a client's configuration, with their source, for messages."""
    servers = config.get("bootstrap.servers", "")
    return f"{servers} ({servers.named if isinstance(servers, Servers) else VARIABLE})"


def parse_servers(text: str) -> list[tuple[str, int]]:
    """Read ``host:port``, comma-separated.

    Raises:
        ValueError: one of them is no address; the message shows a valid one.
    """
    found = []
    for address in text.split(","):
        match = _ADDRESS.fullmatch(address.strip())
        if match is None or not 0 < int(match["port"]) <= _LAST_PORT:
            raise ValueError(f"{address.strip()!r} is no host:port such as broker-1:9092")
        found.append((match["six"] or match["host"], int(match["port"])))
    return found


def require_listener(servers: Servers) -> None:
    """Return as soon as one of the addresses takes a connection.

    Raises:
        InfrastructureError: none of them does within two seconds; the message has the reasons.
    """
    addresses = parse_servers(servers)
    answers: queue.SimpleQueue[tuple[str, str | None]] = queue.SimpleQueue()
    for address in addresses:
        # The lookup of an unknown host name may take long, so it is not waited for.
        threading.Thread(target=_try, args=(address, answers), daemon=True).start()
    refusals: dict[str, str] = {}
    deadline = monotonic() + _REACH_S
    while len(refusals) < len(addresses):
        try:
            tried, refusal = answers.get(timeout=max(0.0, deadline - monotonic()))
        except queue.Empty:
            break
        if refusal is None:
            return
        refusals[tried] = refusal
    late = f"does not answer within {_REACH_S} s"
    places = [f"{host}:{port}" for host, port in addresses]
    reasons = "; ".join(f"{place} {refusals.get(place, late)}" for place in places)
    raise InfrastructureError(f"no Kafka broker ({servers.named}): {reasons}. Is it up, and is that its address?")


def _try(address: tuple[str, int], answers: "queue.SimpleQueue[tuple[str, str | None]]") -> None:
    host, port = address
    refusal = None
    try:
        socket.create_connection(address, timeout=_REACH_S).close()
    except socket.gaierror:
        refusal = "is the name of no host"
    except TimeoutError:
        refusal = f"does not answer within {_REACH_S} s"
    except ConnectionRefusedError:
        refusal = "refuses the connection"
    except (OSError, UnicodeError) as error:
        refusal = f"cannot be reached: {getattr(error, 'strerror', None) or error}"
    answers.put((f"{host}:{port}", refusal))
