"""A realistic day of a lending platform: a few hundred applications, and everything that goes wrong on such a day.

Processors fail and are retried, documents are uploaded again, applications are withdrawn; events are late, arrive
twice, or come from a partner that knows nothing of our keys; two of them cannot be read. The same seed gives the same
bytes on every machine.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final, NamedTuple
from uuid import UUID

from streams.demo.events import event_line
from streams.demo.processors import PROCESSORS, Business, Processor

__all__ = ["Arrival", "Day", "believable_day"]

OPENING: Final = datetime(2025, 3, 4, 8, tzinfo=UTC)
_DAY_S: Final = 10 * 3600
_BUSIEST_S: Final = 3 * 3600

# Shares of executions.
_RETRIED: Final = 0.7
_UNFINISHED: Final = 0.015
_UPLOADED_AGAIN: Final = 0.06
_WRONG_DOCUMENT: Final = 0.01
_EMPTY_OUTPUT: Final = 0.01
# Of applications.
_WITHDRAWN: Final = 0.03
_APPLICATIONS_A_PARTNER: Final = 100
# Of events.
_LATE: Final = 0.03
_TWICE: Final = 0.02

_MAX_ATTEMPTS: Final = 3


class Arrival(NamedTuple):
    """One record, in the order of arrival.

    Attributes:
        value: its bytes: mostly a lifecycle event.
        key: the key of a producer that does not know the canonical one; None: it is published with the canonical key.
    """

    value: bytes
    key: bytes | None = None


@dataclass(frozen=True, slots=True)
class Day:
    """The records of a day.

    Attributes:
        arrivals: the records in the order of arrival.
        told: how often each kind of thing happened: executions, failures, retries, late, twice, and so on.
    """

    arrivals: tuple[Arrival, ...]
    told: Mapping[str, int]


def believable_day(seed: int, applications: int) -> Day:
    """Invent a day.

    Args:
        seed: the seed of all random choices.
        applications: how many; one in a hundred, and at least one, comes through the partner.
    """
    rng = Random(seed)  # noqa: S311 - a story, not a secret
    platform = _Platform(rng)
    for number in range(1, applications + 1):
        platform.tell_application(f"app-{number:04d}", by_partner=number % _APPLICATIONS_A_PARTNER == 1)
    arrivals = platform.in_order()
    for bad in _unreadable():
        arrivals.insert(rng.randint(len(arrivals) // 4, len(arrivals)), bad)
    return Day(tuple(arrivals), platform.told)


def _unreadable() -> tuple[Arrival, Arrival]:
    """One record that was cut off, and one with an unknown status."""
    fields = {"application_id": "app-0001", "execution_id": "app-0001-xx-1", "processor": "credit_check"}
    whole = event_line(**fields, status="completed", occurred_at=OPENING)
    return Arrival(whole[: len(whole) // 2], b"app-0001"), Arrival(
        event_line(**fields, status="finished", occurred_at=OPENING), b"app-0001"
    )


class _Platform:
    """Makes the events of applications, and collects them in the order of arrival."""

    def __init__(self, rng: Random) -> None:
        self.told: Counter[str] = Counter()
        self._rng = rng
        self._arrivals: list[tuple[datetime, int, Arrival]] = []

    def in_order(self) -> list[Arrival]:
        """All records in the order of arrival."""
        return [arrival for _, _, arrival in sorted(self._arrivals, key=lambda one: one[:2])]

    def tell_application(self, application: str, *, by_partner: bool) -> None:
        """Make the events of one application."""
        self.told["applications"] += 1
        rng = self._rng
        business = Business.invent(rng)
        opened = OPENING + timedelta(seconds=rng.triangular(0, _DAY_S, _BUSIEST_S))
        withdrawn = self._happens(_WITHDRAWN)
        for name, processor in PROCESSORS.items():
            if not self._happens(processor.share):
                continue
            for number in range(1, rng.randint(*processor.executions) + 1):
                execution = _Execution(application, f"{application}-{processor.short}-{number}", name)
                start = opened + timedelta(seconds=rng.expovariate(1 / 1200))
                ended = self._run(execution, processor, business, start, by_partner=by_partner)
                if self._happens(_UPLOADED_AGAIN):
                    self.told["reruns"] += 1
                    again = _Execution(application, f"{execution.execution_id}-again", name, execution.execution_id)
                    ended = self._run(again, processor, business, ended + _minutes(rng, 30), by_partner=by_partner)
                elif withdrawn or self._happens(_WRONG_DOCUMENT):
                    status = "cancelled" if withdrawn else "superseded"
                    self.told[status] += 1
                    self._send(execution, status, ended + _minutes(rng, 60), by_partner=by_partner)

    def _run(
        self, execution: "_Execution", processor: Processor, business: Business, start: datetime, *, by_partner: bool
    ) -> datetime:
        """Run an execution until it succeeds or is not retried any more; return the time of its end."""
        rng = self._rng
        self.told["executions"] += 1
        self._send(execution, "requested", start, attempt=1, by_partner=by_partner)
        moment = start
        for attempt in range(1, _MAX_ATTEMPTS + 1):
            moment += timedelta(seconds=rng.uniform(0.2, 5))
            self._send(execution, "started", moment, attempt=attempt, by_partner=by_partner)
            if self._happens(_UNFINISHED):
                break
            moment += timedelta(seconds=rng.uniform(0.5, 2) * processor.seconds)
            if not self._happens(processor.failure):
                found = {} if self._happens(_EMPTY_OUTPUT) else processor.find(business, rng)
                self._send(
                    execution, "completed", moment, attempt=attempt, output={"factors": found}, by_partner=by_partner
                )
                break
            self.told["failures"] += 1
            error = {"code": rng.choice(processor.codes), "message": "the processor gave up"}
            self._send(execution, "failed", moment, attempt=attempt, error=error, by_partner=by_partner)
            if attempt == _MAX_ATTEMPTS or not self._happens(_RETRIED):
                break
            self.told["retries"] += 1
            moment += _minutes(rng, 10)
        return moment

    def _send(self, execution: "_Execution", status: str, moment: datetime, *, by_partner: bool, **more: Any) -> None:
        rng = self._rng
        about = {name: value for name, value in execution._asdict().items() if value is not None}
        if not by_partner:
            about = {"event_id": str(UUID(int=rng.getrandbits(128), version=4)), **about}
        value = event_line(**about, status=status, **more, occurred_at=moment)
        arrival = Arrival(value, execution.application_id.encode() if by_partner else None)
        self.told["from_partner"] += by_partner
        arrives = moment + timedelta(seconds=rng.expovariate(2))
        if self._happens(_LATE):
            self.told["late"] += 1
            arrives += timedelta(seconds=rng.uniform(20 * 60, 4 * 3600))
        self._arrivals.append((arrives, len(self._arrivals), arrival))
        if self._happens(_TWICE):
            self.told["twice"] += 1
            self.told["from_partner"] += by_partner
            self._arrivals.append((arrives + _minutes(rng, 30), len(self._arrivals), arrival))

    def _happens(self, share: float) -> bool:
        return self._rng.random() < share


class _Execution(NamedTuple):
    application_id: str
    execution_id: str
    processor: str
    supersedes: str | None = None


def _minutes(rng: Random, most: float) -> timedelta:
    return timedelta(minutes=rng.uniform(0.1, most))
