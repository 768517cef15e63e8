"""What workers and sinks say of themselves at their health addresses (decision 0033)."""

from dataclasses import dataclass, field
from typing import Final

from streams.health.asking import probed
from streams.health.report import State

__all__ = ["Health", "ask_health"]

_MOST_PARTITIONS: Final = 4
"""So many reasons fit into a line."""

_HARMLESS: Final = frozenset({"kafka", "group", "disk", "log"})
"""The worker's checks that say nothing of whether it is alive."""


@dataclass(frozen=True, slots=True)
class Health:
    """The answer of one address.

    Attributes:
        address: which one.
        is_alive: what ``/livez`` says.
        is_ready: what ``/readyz`` says.
        role: ``worker`` or ``sink``.
        worker: host and slot; "" where it does not say.
        version: of the program there.
        wrong: the checks that fail, in its own words.
        states: by partition its state.
        waits_for: by partition what it waits for.
    """

    address: str
    is_alive: bool
    is_ready: bool
    role: str
    worker: str
    version: str
    wrong: tuple[str, ...] = ()
    states: dict[int, str] = field(default_factory=dict)
    waits_for: dict[int, str] = field(default_factory=dict)

    @property
    def reasons(self) -> str:
        """Why it is not well: the checks that fail, or what its first partitions wait for."""
        waiting = sorted(self.waits_for.items())[:_MOST_PARTITIONS]
        return (
            "; ".join(self.wrong or (f"partition {one} waits for {text}" for one, text in waiting))
            or "it gives no reason"
        )

    @property
    def stuck(self) -> frozenset[int]:
        """The partitions that stand still, as it says, where it is not alive for that alone; empty: it is otherwise."""
        wrong = {each.partition(":")[0] for each in self.wrong}
        if self.is_alive or self.role != "worker" or not wrong <= _HARMLESS:
            return frozenset()
        return frozenset(partition for partition, state in self.states.items() if state == State.STUCK)

    def members(self) -> dict[str, object]:
        """As a JSON object."""
        return {
            "address": self.address,
            "alive": self.is_alive,
            "ready": self.is_ready,
            "role": self.role,
            "worker": self.worker,
            "version": self.version,
            "wrong": list(self.wrong),
            "partitions": [
                {"partition": one, "state": state, "waits_for": self.waits_for.get(one)}
                for one, state in sorted(self.states.items())
            ],
        }


def ask_health(address: str) -> Health:
    """Ask a worker or a sink how it is.

    Args:
        address: ``host:port``; of one that means every interface, this machine is asked.

    Raises:
        InfrastructureError: nobody answers there, or not as a worker does.
    """
    alive, living = probed(address, "/livez")
    ready, body = probed(address, "/readyz")
    checks = [one for answer in (living, body) for one in answer.get("checks") or [] if isinstance(one, dict)]
    wrong = dict.fromkeys(f"{one.get('name')}: {one.get('says')}" for one in checks if one.get("ok") is False)
    partitions = [one for one in body.get("partitions") or [] if isinstance(one, dict)]
    return Health(
        address,
        alive,
        ready,
        str(body.get("role") or ""),
        str(body.get("worker") or ""),
        str(body.get("version") or ""),
        tuple(wrong),
        {int(one["partition"]): str(one.get("state")) for one in partitions if "partition" in one},
        {int(one["partition"]): str(one["waits_for"]) for one in partitions if one.get("waits_for")},
    )
