"""What a benchmark publishes: the design's workload with its size, shape and skew as arguments of the command line."""

import argparse
import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from tests.inputs.design_workload import (
    DESIGN_APPLICATIONS,
    DESIGN_EVENTS,
    FAILURE_RATE,
    PROCESSORS,
    Message,
    design_workload,
    events_per_execution,
)

__all__ = ["Workload", "add_workload_arguments", "applications_for", "one_each", "padded", "workload_of"]

DEFAULT_PARTITIONS = 4

_FILLER = f"{random.Random(0).getrandbits(4 * 65_536):065536x}"
"""Hexadecimal digits that compress about as badly as ids do; a filler of one letter would vanish in lz4."""
_FIELD = '"filler":""'


@dataclass(frozen=True, slots=True)
class Workload:
    """One workload; equal values give equal bytes.

    Attributes:
        events: how many.
        applications: over how many applications.
        partitions: of the source topic.
        failure_rate: of the ends of attempts.
        zipf: exponent of the hot keys; None: every application is as likely.
        event_bytes: least size of an event's JSON; None: as it comes, about 450 bytes.
        processors: how many of the five processors occur.
        seed: of everything.
    """

    events: int = DESIGN_EVENTS
    applications: int = DESIGN_APPLICATIONS
    partitions: int = DEFAULT_PARTITIONS
    failure_rate: float = FAILURE_RATE
    zipf: float | None = None
    event_bytes: int | None = None
    processors: int = len(PROCESSORS)
    seed: int = 1

    def messages(self) -> Iterator[Message]:
        """The events in the order of their publication."""
        messages = design_workload(
            self.events,
            self.applications,
            self.seed,
            zipf=self.zipf,
            failure_rate=self.failure_rate,
            processors=self.processors,
        )
        if self.event_bytes is None:
            return messages
        return padded(messages, self.event_bytes)

    def as_json(self) -> dict[str, Any]:
        """For the report."""
        return asdict(self)


def padded(messages: Iterator[Message], event_bytes: int) -> Iterator[Message]:
    """Fill events up to a size with a field that the consolidator ignores; larger ones stay as they are."""
    for number, message in enumerate(messages):
        missing = event_bytes - len(message.value)
        if missing <= len(_FIELD):
            yield message
            continue
        # Another piece of the digits each time, or the compressor would see the same text in each event.
        start = number * 7_919 % len(_FILLER)
        digits = _FILLER[start:] + _FILLER * (missing // len(_FILLER) + 1)
        text = f',{_FIELD[:-1]}{digits[: missing - len(_FIELD) - 1]}"}}'
        yield message._replace(value=message.value[:-1] + text.encode())


def one_each(applications: int) -> Iterator[Message]:
    """One completed execution for every application, older than the design's workload: fills the state."""
    for application in range(applications):
        name, event_id = f"app-{application:06d}", f"fill-{application:027d}"
        value = (
            f'{{"event_id":"{event_id}","application_id":"{name}","execution_id":"exec-{application:06d}-fill",'
            '"processor":"bank_statement","status":"completed","attempt":1,"occurred_at":"2025-03-01T09:00:00Z",'
            f'"output":{{"factors":{{"f_revenue_monthly":{10_000 + application % 90_000}}}}},"schema_version":1}}'
        )
        yield Message(name, f"{name}/{event_id}".encode(), value.encode())


def applications_for(
    executions: float, *, events: int, processors: int = len(PROCESSORS), failure_rate: float = FAILURE_RATE
) -> int:
    """Over how many applications events are spread so that a pair of application and processor has that many."""
    return max(1, round(events / events_per_execution(failure_rate) / processors / executions))


def add_workload_arguments(
    parser: argparse.ArgumentParser, *, events: int = DESIGN_EVENTS, applications: int = DESIGN_APPLICATIONS
) -> None:
    """Add the workload's parameters to a command."""
    group = parser.add_argument_group("workload")
    group.add_argument("--events", type=int, default=events, help="default: %(default)s")
    group.add_argument("--applications", type=int, default=applications, help="default: %(default)s")
    group.add_argument(
        "--executions",
        type=float,
        help="mean executions of one application and processor; takes the place of --applications",
    )
    group.add_argument("--failure-rate", type=float, default=FAILURE_RATE, help="default: %(default)s")
    group.add_argument("--zipf", type=float, help="hot keys: the exponent, such as 1.0; default: none are hot")
    group.add_argument("--event-bytes", type=int, help="fill events up to this size; default: about 450 as they are")
    group.add_argument("--processors", type=int, default=len(PROCESSORS), help="how many of the five; default: all")
    group.add_argument("--partitions", type=int, default=DEFAULT_PARTITIONS, help="default: %(default)s")
    group.add_argument("--seed", type=int, default=1, help="default: %(default)s")


def workload_of(arguments: argparse.Namespace) -> Workload:
    """The workload that the command line describes."""
    applications = arguments.applications
    if arguments.executions is not None:
        applications = applications_for(
            arguments.executions,
            events=arguments.events,
            processors=arguments.processors,
            failure_rate=arguments.failure_rate,
        )
    return Workload(
        events=arguments.events,
        applications=applications,
        partitions=arguments.partitions,
        failure_rate=arguments.failure_rate,
        zipf=arguments.zipf,
        event_bytes=arguments.event_bytes,
        processors=arguments.processors,
        seed=arguments.seed,
    )
