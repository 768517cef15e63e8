"""What a child says of itself at its health address, where this version has one (CONSOLIDATOR_HEALTH_ADDRESS)."""

import json
import threading
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException
from typing import Any, Final

from streams.configuration.settings import Settings, variable_of

__all__ = ["HEALTH_FIELD", "HealthWatch", "health_variable", "in_words"]

HEALTH_FIELD: Final = "health_address"
_LOOK_S: Final = 1.0
_LIMIT_S: Final = 2.0
_MOST_BYTES: Final = 4 * 1024 * 1024
_END_LIMIT_S: Final = 3.0


def health_variable() -> str | None:
    """The variable that gives a worker its health address; None: this version's workers have none."""
    return variable_of(HEALTH_FIELD) if HEALTH_FIELD in Settings.model_fields else None


class HealthWatch:
    """Asks the children's ``/readyz`` once a second, in a thread of its own.

    Args:
        ports: of the loopback interface, by the child's name.
    """

    def __init__(self, ports: Mapping[str, int]) -> None:
        self._ports = dict(ports)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="health-watch", daemon=True)
        self.says: dict[str, str] = {}

    def start(self) -> None:
        """Begin to ask, if there is anyone to be asked."""
        if self._ports:
            self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(_END_LIMIT_S)

    def _run(self) -> None:
        while not self._over.wait(_LOOK_S):
            for name, port in self._ports.items():
                self.says[name] = _asked(port)


def _asked(port: int) -> str:
    connection = HTTPConnection("127.0.0.1", port, timeout=_LIMIT_S)
    try:
        connection.request("GET", "/readyz?format=json")
        answer = json.loads(connection.getresponse().read(_MOST_BYTES))
    except (OSError, HTTPException, ValueError):
        # It is starting, or has ended, which the supervisor says.
        return ""
    finally:
        connection.close()
    return in_words(answer)


def in_words(answer: Any) -> str:
    """The body of ``/readyz`` in a line: ``4 partitions: 3 running, 1 recovering``, and what is not right."""
    if not isinstance(answer, dict):
        return ""
    partitions = [one for one in answer.get("partitions") or () if isinstance(one, dict)]
    states: dict[str, int] = {}
    for one in partitions:
        state = str(one.get("state"))
        states[state] = states.get(state, 0) + 1
    counted = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    checks = [one for one in answer.get("checks") or () if isinstance(one, dict)]
    wrong = [str(one.get("says")) for one in checks if one.get("ok") is False]
    noun = "partition" if len(partitions) == 1 else "partitions"
    return "; ".join([f"{len(partitions)} {noun}: {counted}" if partitions else "no partitions", *wrong])
