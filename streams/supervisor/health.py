"""What a child says of itself at its health address."""

import threading
from collections.abc import Mapping
from typing import Any, Final

from models.errors import InfrastructureError
from streams.health.asking import probed

__all__ = ["HealthWatch", "in_words"]

_LOOK_S: Final = 1.0
_LIMIT_S: Final = 2.0
_END_LIMIT_S: Final = 3.0


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
    try:
        _, answer = probed(f"127.0.0.1:{port}", "/readyz", limit_s=_LIMIT_S)
    except InfrastructureError:
        # It is starting, or has ended, which the supervisor says.
        return ""
    return in_words(answer)


def in_words(answer: Mapping[str, Any]) -> str:
    """The body of ``/readyz`` in a line: ``4 partitions: 3 running, 1 recovering``, and what is not right."""
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
