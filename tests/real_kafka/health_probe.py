"""Asks a process about its health as Kubernetes, Prometheus and a person do."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any, NamedTuple

from prometheus_client.parser import text_string_to_metric_families

from streams.broker.ports import free_port

__all__ = ["HealthProbe", "Seen"]

_ASK_S = 10.0
_PAUSE_S = 0.2
_LOOKS = 5

NO_ANSWER = 0
"""In place of a status where nothing listens, or nobody answers."""


class Seen(NamedTuple):
    """One look.

    Attributes:
        livez: the status of ``/livez``.
        readyz: the status of ``/readyz``.
        text: the body of ``/readyz``.
        states: the state of each partition.
        checks: of each check whether it is fine.
    """

    livez: int
    readyz: int
    text: str = ""
    states: dict[int, str] = {}  # noqa: RUF012 - it is never changed
    checks: dict[str, bool] = {}  # noqa: RUF012


class HealthProbe:
    """A client of one address, which is free when this is made."""

    def __init__(self) -> None:
        self.address = f"127.0.0.1:{free_port()}"

    @property
    def variables(self) -> dict[str, str]:
        """The setting for the process."""
        return {"CONSOLIDATOR_HEALTH_ADDRESS": self.address}

    def asked(self, path: str) -> tuple[int, str]:
        """Status and body."""
        try:
            with urllib.request.urlopen(f"http://{self.address}{path}", timeout=_ASK_S) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return NO_ANSWER, ""

    def look(self) -> Seen:
        """Both probes, at a moment at which nothing changed between one answer and the next."""
        verdict = self._verdict()
        for _ in range(_LOOKS):
            readyz, text = self.asked("/readyz")
            livez, _ = self.asked("/livez")
            before, verdict = verdict, self._verdict()
            if verdict == before and verdict[0] == readyz:
                break
        return Seen(livez, readyz, text, *verdict[1:])

    def _verdict(self) -> tuple[int, dict[int, str], dict[str, bool]]:
        """The status of ``/readyz``, the partitions' states, and which checks hold."""
        status, body = self.asked("/readyz?format=json")
        found: dict[str, Any] = json.loads(body) if body else {"partitions": [], "checks": []}
        states = {one["partition"]: one["state"] for one in found["partitions"]}
        return status, states, {one["name"]: one["ok"] for one in found["checks"]}

    def wait(self, condition: Callable[[Seen], bool], what: str, *, limit_s: float) -> Seen:
        """Look until a condition holds, and return what was seen."""
        deadline = time.monotonic() + limit_s
        while True:
            seen = self.look()
            if condition(seen):
                return seen
            assert time.monotonic() < deadline, f"waited {limit_s:.0f} s for {what}; last seen:\n{seen}"
            time.sleep(_PAUSE_S)

    def metrics(self) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        """Every sample, by its name and labels."""
        status, body = self.asked("/metrics")
        assert status == 200, status
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(body)
            for sample in family.samples
        }

    def metric(self, name: str, **labels: str) -> float:
        """One sample."""
        return self.metrics()[name, tuple(sorted(labels.items()))]
