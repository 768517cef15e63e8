"""Seeded workloads: realistic lifecycle events with all kinds of faults, and the design's benchmark load.

The same seed gives the same bytes on every machine. All times lie in 2025, so nothing is ever in the far future.
"""

import json
import math
import random
import tomllib
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from tests.oracle.expected import SourceRecord, Tombstone
from tests.oracle.rules import Field, Rule

SAMPLE_CATALOGUE = Path(__file__).parents[2] / "streams" / "rulesets" / "sample_catalogue.toml"
UNKNOWN_PROCESSOR = "device_fingerprint"
FIRST_DAY = datetime(2025, 3, 3, 9, tzinfo=UTC)
MAX_DIGITS = 38

Item = dict[str, Any] | Tombstone


@dataclass(frozen=True)
class Rates:
    """How often each thing happens: a share of executions, of events, or of factor values."""

    # of executions
    failure: float = 0.2
    retry: float = 0.6
    supersedes: float = 0.15
    closed: float = 0.1
    conflicting_end: float = 0.03
    coarse_clock: float = 0.3
    # of events
    duplicate: float = 0.05
    late: float = 0.08
    missing_event_id: float = 0.003
    erased: float = 0.0
    # of outputs and their values
    empty_output: float = 0.06
    missing_factor: float = 0.1
    null_factor: float = 0.05
    out_of_bounds: float = 0.04
    wrong_type: float = 0.03
    many_digits: float = 0.08
    unlisted_factor: float = 0.05


def load_catalogue(path: Path = SAMPLE_CATALOGUE) -> dict[str, Any]:
    """A catalogue file in the oracle's form: numbers as int and Decimal."""
    return tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)


def parse_json(text: bytes | str) -> Any:
    """JSON in the oracle's form: numbers as int and Decimal."""
    return json.loads(text, parse_float=Decimal)


def to_json(value: Any) -> bytes:
    """JSON with all digits of each Decimal, and members in the order of the dict."""
    return _text(value).encode()


def _text(value: Any) -> str:
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{_text(name)}:{_text(member)}" for name, member in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_text, value)) + "]"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def numbered(items: Iterable[Item], *, partitions: int = 1) -> list[SourceRecord]:
    """The items as records in log order. The partition depends on the application alone, but it is not Kafka's hash."""
    offsets = [0] * partitions
    records = []
    for item in items:
        application = item.application_id if isinstance(item, Tombstone) else item["application_id"]
        partition = zlib.crc32(application.encode()) % partitions
        records.append(SourceRecord(partition, offsets[partition], item))
        offsets[partition] += 1
    return records


def believable(
    seed: int,
    applications: int,
    *,
    catalogue: Mapping[str, Any] | None = None,
    executions: tuple[int, int] = (1, 4),
    rates: Rates | None = None,
) -> list[Item]:
    """Lifecycle events in the order of their arrival, interleaved across applications.

    Every event is valid for the decoder: nothing here is a dead letter. Two contents never have the same event_id. Ends
    that can be ordered only by their id always have one.

    Args:
        seed: the seed of all random choices.
        applications: how many; each uses two to five processors, one of them sometimes unknown to the catalogue.
        catalogue: the sample's if None.
        executions: the least and the most executions of a pair.
        rates: tombstones appear only if ``erased`` is above zero, each after the first copy of its event.
    """
    story = _Story(random.Random(seed), catalogue or load_catalogue(), rates or Rates())
    for number in range(applications):
        story.tell_application(f"app-{seed}-{number:06d}", executions)
    return story.in_order_of_arrival()


class _Story:
    def __init__(self, rng: random.Random, catalogue: Mapping[str, Any], rates: Rates) -> None:
        self._rng = rng
        self._rates = rates
        self._fields = {name: Rule.declared(spec).fields for name, spec in catalogue["processors"].items()}
        self._fields[UNKNOWN_PROCESSOR] = {
            "f_device_risk": Field("number", ()),
            "f_device_known": Field("boolean", ()),
            "f_operating_system": Field("any", ()),
        }
        self._arrivals: list[tuple[float, Item]] = []

    def in_order_of_arrival(self) -> list[Item]:
        return [item for _, item in sorted(self._arrivals, key=lambda arrival: arrival[0])]

    def tell_application(self, application: str, executions: tuple[int, int]) -> None:
        opened = FIRST_DAY + timedelta(seconds=self._rng.uniform(0, 8 * 3600))
        names = sorted(self._fields)
        for processor in self._rng.sample(names, min(len(names), self._rng.randint(2, 5))):
            short = "".join(word[0] for word in processor.split("_"))
            count = self._rng.randint(*executions)
            ids = [f"{application}-{short}-{number}" for number in range(count)]
            for number, execution in enumerate(ids):
                about = {"application_id": application, "execution_id": execution, "processor": processor}
                events = self._execution(about, opened + timedelta(seconds=self._rng.uniform(0, 7200)))
                if self._happens(self._rates.supersedes):
                    self._supersede(events, ids, number)
                for moment, event in events:
                    self._send(moment, event)

    def _execution(self, about: Mapping[str, Any], moment: datetime) -> list[tuple[datetime, dict[str, Any]]]:
        rates, rng = self._rates, self._rng
        writer = _Writer(about, moment, rng, coarse=self._happens(rates.coarse_clock), counts=self._happens(0.5))
        attempts, conflict = self._attempts(writer, about["processor"])
        if self._happens(rates.closed):
            up_to = rng.choice([None, None, 1, attempts, attempts + 1])
            writer.add(rng.choice(["superseded", "cancelled"]), up_to, within_s=600)
        if not conflict:
            for _, event in writer.events:
                if self._happens(rates.missing_event_id):
                    del event["event_id"]
        return writer.events

    def _attempts(self, writer: "_Writer", processor: str) -> tuple[int, bool]:
        """How many attempts were begun, and whether one of them ended in two ways."""
        rates = self._rates
        conflict = False
        for attempt in range(1, 10):
            if attempt == 1 or self._happens(0.8):
                writer.add("requested", attempt, within_s=5)
            if self._happens(0.9):
                writer.add("started", attempt, within_s=20)
            if not self._happens(0.95):
                break
            failed = self._happens(rates.failure)
            writer.add(*self._end(processor, attempt, failed=failed), within_s=90)
            if self._happens(rates.conflicting_end):
                conflict = True
                writer.add(*self._end(processor, attempt, failed=not failed), within_s=2)
            if not failed or not self._happens(rates.retry):
                break
        return attempt, conflict

    def _end(self, processor: str, attempt: int, *, failed: bool) -> tuple[str, int, dict[str, Any]]:
        if not failed:
            return "completed", attempt, self._output(processor)
        extra: dict[str, Any] = {}
        if self._happens(0.9):
            code = self._rng.choice(["TIMEOUT", "UNREADABLE_DOCUMENT", "PROVIDER_5XX", "RATE_LIMITED"])
            extra["error"] = {"code": code, "message": "the processor gave up"}
        if self._happens(0.1):
            extra |= self._output(processor)  # ignored: a failed execution contributes nothing
        return "failed", attempt, extra

    def _output(self, processor: str) -> dict[str, Any]:
        if self._happens(self._rates.empty_output):
            empty: list[dict[str, Any]] = [{}, {"output": None}, {"output": {}}, {"output": {"factors": {}}}]
            return self._rng.choice(empty)
        factors = {
            name: self._value(name, field)
            for name, field in self._fields[processor].items()
            if not self._happens(self._rates.missing_factor)
        }
        if self._happens(self._rates.unlisted_factor):
            factors["f_reviewer_note"] = self._rng.choice(["second page missing", True, 7, Decimal("0.50")])
        return {"output": {"factors": factors}}

    def _value(self, name: str, field: Field) -> Any:
        if self._happens(self._rates.null_factor):
            return None
        if field.kind == "number":
            return self._number_for(field)
        if field.kind == "boolean":
            wrong = self._happens(self._rates.wrong_type)
            return self._rng.choice(["true", 1, 0, Decimal("1.0")]) if wrong else self._happens(0.8)
        if name.endswith("_score"):
            return self._rng.randint(300, 850)
        return self._rng.choice(["verified", "mismatch", "Zürich <b>", "", True, 3, Decimal("3.0"), Decimal("0.125")])

    def _number_for(self, field: Field) -> Any:
        if self._happens(self._rates.wrong_type):
            return self._rng.choice(["12000", "true", True])
        low = max((low for low, _ in field.bounds if low is not None), default=None)
        high = min((high for _, high in field.bounds if high is not None), default=None)
        if field.bounds and self._happens(self._rates.out_of_bounds):
            return math.ceil(high) + 1 if high is not None else math.floor(low or 0) - 1
        refund = low is None and self._happens(0.05)
        least = Fraction(-1000 if refund else 0) if low is None else low
        return self._number(least, high if high is not None else least + 50_000)

    def _number(self, low: Fraction, high: Fraction) -> int | Decimal:
        whole_digits = len(str(max(abs(math.floor(low)), abs(math.ceil(high)))))
        if self._happens(self._rates.many_digits):
            places = self._rng.randint(3, MAX_DIGITS - whole_digits)
        else:
            places = self._rng.choice([0, 0, 2, 2, 4])
        coefficient = self._rng.randint(math.ceil(low * 10**places), math.floor(high * 10**places))
        if places == 0 and self._happens(0.8):
            return coefficient
        digits = tuple(int(digit) for digit in str(abs(coefficient)))
        return Decimal((int(coefficient < 0), digits, -places))

    def _supersede(self, events: list[tuple[datetime, dict[str, Any]]], ids: list[str], number: int) -> None:
        """Set ``supersedes`` in some events: mostly the previous one, else the next, itself, or an unknown one."""
        before, after = ids[number - 1], ids[(number + 1) % len(ids)]
        target = self._rng.choice([before, before, before, after, ids[number], f"{ids[number]}-ghost"])
        for _, event in self._rng.sample(events, self._rng.randint(1, len(events))):
            event["supersedes"] = target

    def _send(self, moment: datetime, event: dict[str, Any]) -> None:
        rng = self._rng
        arrival = moment.timestamp() + rng.expovariate(1 / 3)
        if self._happens(self._rates.late):
            arrival += rng.uniform(0, 6 * 3600)
        self._arrivals.append((arrival, event))
        if self._happens(self._rates.duplicate):
            self._arrivals.append((arrival + rng.uniform(0, 6 * 3600), event))
        if "event_id" in event and self._happens(self._rates.erased):
            erasure = arrival + rng.uniform(0, 24 * 3600)
            self._arrivals.append((erasure, Tombstone(event["application_id"], event["event_id"])))
            if self._happens(0.3):
                self._arrivals.append((erasure + rng.uniform(0, 3600), event))

    def _happens(self, rate: float) -> bool:
        return self._rng.random() < rate


class _Writer:
    """Makes one execution's events, each some time after the one before."""

    def __init__(
        self, about: Mapping[str, Any], moment: datetime, rng: random.Random, *, coarse: bool, counts: bool
    ) -> None:
        self.events: list[tuple[datetime, dict[str, Any]]] = []
        self._about = about
        self._moment = moment
        self._rng = rng
        self._coarse = coarse
        self._counts = counts

    def add(self, status: str, attempt: int | None, extra: Mapping[str, Any] | None = None, *, within_s: float) -> None:
        rng = self._rng
        self._moment += timedelta(seconds=rng.uniform(0, within_s))
        at = self._moment.replace(microsecond=0) if self._coarse else self._moment
        event = {**self._about, "event_id": f"evt-{rng.getrandbits(64):016x}", "status": status}
        default = None if status in {"superseded", "cancelled"} else 1
        if attempt != default or rng.random() < 0.5:
            event["attempt"] = attempt
        if self._counts:
            event["sequence"] = len(self.events)
        event["occurred_at"] = _written(at, rng)
        self.events.append((at, event | dict(extra or {})))


def _written(moment: datetime, rng: random.Random) -> str:
    """The moment as RFC 3339, in one of the many ways in which producers write it."""
    offset_minutes = rng.choice([0, 0, 0, 120, -300, 330])
    precision = "auto" if moment.microsecond == 0 else "microseconds"
    text = moment.astimezone(timezone(timedelta(minutes=offset_minutes))).isoformat(timespec=precision)
    return text.replace("+00:00", "Z") if rng.random() < 0.8 else text
