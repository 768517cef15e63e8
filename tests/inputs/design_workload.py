"""The design's benchmark load: 400,000 plain JSON events of about 450 bytes over 20,000 applications, made quickly."""

import random
from bisect import bisect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import NamedTuple

DESIGN_EVENTS = 400_000
DESIGN_APPLICATIONS = 20_000
FAILURE_RATE = 0.2
RETRY_RATE = 0.5
IN_FLIGHT = 2_000
# Well below the limit of 2,000 executions a row, which a hot key would otherwise cross and turn into dead letters.
MAX_EXECUTIONS_PER_PAIR = 1_500
FIRST_MOMENT = datetime(2025, 3, 3, 9, tzinfo=UTC)
EVENTS_PER_SECOND = 100

ERROR_CODES = ("TIMEOUT", "UNREADABLE_DOCUMENT", "PROVIDER_5XX", "RATE_LIMITED")


class Message(NamedTuple):
    """One event as a producer sends it under its canonical key."""

    application_id: str
    key: bytes
    value: bytes


def _bank_statement(rng: random.Random) -> str:
    return f'"f_revenue_monthly":{rng.randrange(800_000, 9_000_000) / 100:.2f}'


def _credit_check(rng: random.Random) -> str:
    return f'"f_credit_score":{rng.randrange(450, 851)}'


def _drivers_license(rng: random.Random) -> str:
    return f'"f_license_verified":{"true" if rng.random() < 0.9 else "false"}'


def _proof_of_income(rng: random.Random) -> str:
    monthly = rng.randrange(150_000, 2_000_000) / 100
    return f'"f_income_monthly":{monthly:.2f},"f_employer_name":"Employer {rng.randrange(40)}"'


def _voided_check(rng: random.Random) -> str:
    match = "true" if rng.random() < 0.95 else "false"
    return f'"f_account_match":{match},"f_account_token":"acct-{rng.getrandbits(32):08x}"'


PROCESSORS: tuple[tuple[str, Callable[[random.Random], str]], ...] = (
    ("bank_statement", _bank_statement),
    ("credit_check", _credit_check),
    ("drivers_license", _drivers_license),
    ("proof_of_income", _proof_of_income),
    ("voided_check", _voided_check),
)


@dataclass(slots=True)
class _Execution:
    application: int
    processor: int
    execution_id: str
    attempt: int = 1
    started: bool = False
    requested: bool = False


def design_workload(
    events: int = DESIGN_EVENTS,
    applications: int = DESIGN_APPLICATIONS,
    seed: int = 1,
    *,
    zipf: float | None = None,
    failure_rate: float = FAILURE_RATE,
    processors: int | None = None,
) -> Iterator[Message]:
    """Realistic executions (requested, started, completed or failed, some retried), interleaved over all applications.

    Args:
        events: how many messages; the last executions stay open.
        applications: ``app-000000`` and on.
        seed: the same seed gives the same bytes.
        zipf: None spreads executions evenly; an exponent such as 1.0 makes ``app-000000`` the hottest key, and so on.
        failure_rate: the share of attempts that fail; half of the failed ones are retried.
        processors: how many of :data:`PROCESSORS` are used, from the first; None: all.
    """
    rng = random.Random(seed)
    executions = _executions(rng, applications, zipf, len(PROCESSORS) if processors is None else processors)
    live = [next(executions) for _ in range(max(1, min(IN_FLIGHT, events // 4)))]
    clock = _clock()
    for _ in range(events):
        slot = int(rng.random() * len(live))
        execution = live[slot]
        message, over = _next_message(rng, execution, next(clock), failure_rate)
        if over:
            live[slot] = next(executions)
        yield message


def events_per_execution(failure_rate: float = FAILURE_RATE) -> float:
    """How many events an execution has in the mean: requested, then started and ended once for each attempt."""
    retried = failure_rate * RETRY_RATE
    return 1 + 2 / (1 - retried)


def _executions(rng: random.Random, applications: int, zipf: float | None, processors: int) -> Iterator[_Execution]:
    weights = None if zipf is None else list(accumulate((rank + 1) ** -zipf for rank in range(applications)))
    held: dict[tuple[int, int], int] = {}
    full = 0
    while full < applications * processors:
        application = (
            int(rng.random() * applications) if weights is None else bisect(weights, rng.random() * weights[-1])
        )
        processor = int(rng.random() * processors)
        number = held.get((application, processor), 0)
        if number >= MAX_EXECUTIONS_PER_PAIR:
            continue
        held[application, processor] = number + 1
        full += number + 1 == MAX_EXECUTIONS_PER_PAIR
        yield _Execution(application, processor, f"exec-{application:06d}-{processor}-{number:04d}")
    raise ValueError(f"{applications} applications are too few for so many events: every pair is full")


def _clock() -> Iterator[str]:
    step_us = 1_000_000 // EVENTS_PER_SECOND
    moment = FIRST_MOMENT
    while True:
        second = moment.strftime("%Y-%m-%dT%H:%M:%S")
        for us in range(0, 1_000_000, step_us):
            yield f"{second}.{us:06d}Z"
        moment += timedelta(seconds=1)


def _next_message(
    rng: random.Random, execution: _Execution, occurred_at: str, failure_rate: float
) -> tuple[Message, bool]:
    """The execution's next event, and whether it was the last."""
    processor, factors = PROCESSORS[execution.processor]
    attempt = execution.attempt
    over = False
    if not execution.requested:
        execution.requested = True
        status, detail = "requested", _REQUEST
    elif not execution.started:
        execution.started = True
        status, detail = "started", _START
    elif rng.random() < failure_rate:
        code = rng.choice(ERROR_CODES)
        status, detail = "failed", f'"error":{{"code":"{code}","message":"{_GAVE_UP}"}}'
        over = rng.random() >= RETRY_RATE
        execution.attempt += 1
        execution.started = False
    else:
        status, detail, over = "completed", f'"output":{{"factors":{{{factors(rng)}}}}},{_REPORT}', True
    application_id = f"app-{execution.application:06d}"
    event_id = f"{rng.getrandbits(128):032x}"
    value = (
        f'{{"event_id":"{event_id}","application_id":"{application_id}","execution_id":"{execution.execution_id}",'
        f'"processor":"{processor}","status":"{status}","attempt":{attempt},"occurred_at":"{occurred_at}",{detail},'
        f'"trace_id":"{rng.getrandbits(128):032x}","schema_version":1}}'
    )
    return Message(application_id, f"{application_id}/{event_id}".encode(), value.encode()), over


# Fields that the consolidator ignores, as real producers send them; they bring an event to about 450 bytes.
_REQUEST = (
    '"requested_by":"underwriting-orchestrator","priority":"normal","deadline_s":900,'
    '"document":{"kind":"upload","pages":4,"media_type":"application/pdf","store":"documents-eu-1"}'
)
_START = (
    '"runner":{"pool":"processors-general","host":"runner-017.internal","image":"processor-runner:4.18.2",'
    '"cpu":"500m","memory":"768Mi","queue_ms":412},"region":"eu-central-1"'
)
_GAVE_UP = "the provider did not answer in time; the runner gave up after three tries and kept the document for a retry"
_REPORT = '"runner":{"pool":"processors-general","host":"runner-017.internal","duration_ms":18250}'
