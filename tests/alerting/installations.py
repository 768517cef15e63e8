"""Series of installations in which no alert may fire: one that is healthy and busy, and one that is idle.

Both have every metric of a worker and a sink; the busy one has a canary and a verification as well. Values are given
for every minute.
"""

import random
from collections.abc import Callable, Iterator
from typing import Final

from tests.alerting.exposed_metrics import exposed_metrics

__all__ = ["MINUTES", "Series", "busy", "idle"]

MINUTES: Final = 8 * 60
"""Longer than the windows that make somebody get up; the day of a processor's past has six hours of values then."""

Series = tuple[str, str]
"""A series with its labels, and its values, in the notation of promtool's tests."""

_AGE_BOUNDS: Final = ("0.1", "1.0", "5.0", "30.0", "+Inf")
_OTHER_BOUNDS: Final = ("0.1", "1.0", "+Inf")
_RESTART: Final = 5 * 60
"""The minute in which the first worker of the busy installation is restarted. Its counters begin again."""

_STATES: Final = ("fencing", "recovering", "waiting", "running", "adopting", "stalled", "stuck", "idle")
_JOB: Final = 'job="consolidator"'
_NODE: Final = 'job="node"'
"""What commands leave in text files has the job, and the instance, of the node_exporter that collects them."""


def _line(name: str, labels: str, value: Callable[[int], float | None], job: str = _JOB) -> Series:
    texts = ["_" if one is None else f"{one:.10g}" for one in map(value, range(MINUTES + 1))]
    joined = f"{job}, {labels}" if labels else job
    is_constant = len(set(texts)) == 1
    return f"{name}{{{joined}}}", f"{texts[0]}x{MINUTES}" if is_constant else " ".join(texts)


def idle() -> list[Series]:
    """An installation without an event: a worker with four partitions, a sink; every series has its first value."""
    return list(_idle())


def _idle() -> Iterator[Series]:
    worker, sink = 'instance="worker-0:9404"', 'instance="sink-0:9404"'
    for instance in (worker, sink):
        yield _line("up", instance, lambda _: 1)
    yield _line("consolidator_up_seconds", worker, lambda minute: 60.0 * minute)
    for name, metric in exposed_metrics().items():
        if name.startswith("consolidator_canary_") or name == "consolidator_up_seconds":
            continue
        instance = sink if name.startswith("consolidator_sink_") else worker
        if metric.kind == "histogram":
            for bound in _AGE_BOUNDS:
                yield _line(f"{name}_bucket", f'{instance}, le="{bound}"', lambda _: 0)
            yield _line(f"{name}_count", instance, lambda _: 0)
            yield _line(f"{name}_sum", instance, lambda _: 0)
        elif name == "consolidator_build_info":
            yield _line(name, f'{worker}, role="worker"', lambda _: 1)
            yield _line(name, f'{sink}, role="sink"', lambda _: 1)
        elif name == "consolidator_partition_state":
            for state in _STATES:
                labels = f'{worker}, partition="0", state="{state}"'
                yield _line(name, labels, lambda _, state=state: float(state == "idle"))
        else:
            yield from _constant(name, instance)


def _constant(name: str, instance: str) -> Iterator[Series]:
    """A metric that stays 0, with each of the values of its labels that are known."""
    combinations = [""]
    for label, values in exposed_metrics()[name].labels.items():
        known = sorted(values) if values is not None else ["0"]
        combinations = [f'{before}, {label}="{value}"' for before in combinations for value in known]
    for labels in combinations:
        yield _line(name, f"{instance}{labels}", lambda _: 0)


def busy() -> list[Series]:
    """An installation with two workers of two partitions each, a sink, a canary and a verification.

    A twelfth of the executions fails, a tenth of the factors has no value, one event of 2,000 is late. The first worker
    is restarted once: it does not answer for a minute, its partitions are with the second one for three, recover for
    two, and its counters begin again.
    """
    return list(_busy())


def _busy() -> Iterator[Series]:
    for number in range(2):
        yield from _busy_worker(number)
    yield from _busy_partitions()
    yield from _busy_sink()
    yield from _busy_text_files()


def _busy_text_files() -> Iterator[Series]:
    """A canary with a round a minute, one of which is lost while a worker is restarted; and a verification an hour."""
    canary = 'instance="watch:9100", app_id="consolidator"'

    def is_lost(minute: int) -> bool:
        return minute == _RESTART

    yield _line("consolidator_build_info", f'{canary}, role="canary"', lambda _: 1, _NODE)
    success = "consolidator_canary_last_success_timestamp_seconds"
    yield _line(success, canary, lambda minute: 60.0 * (minute - is_lost(minute)), _NODE)
    yield _line("consolidator_canary_last_round_timestamp_seconds", canary, lambda minute: 60.0 * minute, _NODE)
    yield _line("consolidator_canary_interval_seconds", canary, lambda _: 60, _NODE)
    yield _line("consolidator_canary_lost_total", canary, lambda minute: float(minute >= _RESTART), _NODE)
    # Until the next turn of the partition, of four.
    lost_now = "consolidator_canary_lost_partitions"
    yield _line(lost_now, canary, lambda minute: float(_RESTART <= minute < _RESTART + 4), _NODE)
    for suffix in ("count", "sum"):
        yield _line(f"consolidator_canary_seconds_{suffix}", canary, float, _NODE)
    for bound in _OTHER_BOUNDS:
        yield _line("consolidator_canary_seconds_bucket", f'{canary}, le="{bound}"', float, _NODE)
    auditor = 'instance="auditor:9100"'
    yield _line("consolidator_verification_differences", auditor, lambda _: 0, _NODE)
    finished = "consolidator_verification_finished_timestamp_seconds"
    yield _line(finished, auditor, lambda minute: 3600.0 * (minute // 60), _NODE)


def _busy_worker(number: int) -> Iterator[Series]:
    instance = f'instance="worker-{number}:9404"'
    began = _RESTART if number == 0 else 0

    def is_down(minute: int) -> bool:
        return number == 0 and minute == _RESTART

    def counted(rate: float, already: float = 0.0) -> Callable[[int], float | None]:
        """A counter with so much a minute; a restart sets it to 0."""

        def value(minute: int) -> float | None:
            if is_down(minute):
                return None
            has_restarted = 0 < began < minute
            return float(int(rate * (minute - began) if has_restarted else already + rate * minute))

        return value

    yield _line("up", instance, lambda minute: float(not is_down(minute)))
    yield _line("consolidator_build_info", f'{instance}, role="worker"', lambda m: None if is_down(m) else 1.0)
    # It has been running for a day: what it has counted by then is old.
    yield _line("consolidator_up_seconds", instance, counted(60, already=86_400))
    yield _line("consolidator_kafka_lost_seconds", instance, lambda minute: 20.0 if minute % 300 == 7 else 0.0)
    yield _line("consolidator_log_lines_dropped_total", instance, lambda m: None if is_down(m) else 0.0)
    for processor, rate in (("bank_statement", 120.0), ("credit_check", 30.0), ("tax_return", 0.1)):
        of = f'{instance}, processor="{processor}"'
        yield _line("consolidator_executions_total", f'{of}, status="completed"', counted(rate * 11 / 12))
        yield _line("consolidator_executions_total", f'{of}, status="failed"', counted(rate / 12))
        yield _line("consolidator_consolidations_total", f'{of}, result="with_factors"', counted(rate))
        yield _line("consolidator_factors_expected_total", of, counted(rate * 4))
        yield _line("consolidator_factors_present_total", of, counted(rate * 3.6))
    # Old ones, of before the first scrape. After a restart a processor's series is not there until there is a new one.
    rejected = f'{instance}, processor="unknown", result="rejected"'
    yield _line("consolidator_consolidations_total", rejected, lambda m: None if m >= began > 0 else 4.0)
    letters = f'{instance}, error_class="invalid_json"'
    yield _line("consolidator_dead_letters_total", letters, lambda m: 0.0 if m >= began > 0 else 7.0)
    yield _line("consolidator_dead_letters_total", f'{instance}, error_class="application_erased"', counted(0.2))
    for bound in _AGE_BOUNDS:
        share = 1.0 if bound in {"30.0", "+Inf"} else 0.9995
        yield _line("consolidator_event_age_seconds_bucket", f'{instance}, le="{bound}"', counted(150.1 * share))
    yield _line("consolidator_event_age_seconds_count", instance, counted(150.1))
    yield _line("consolidator_open_transaction_seconds", f'{instance}, topic="executions"', lambda m: float(m % 3 * 20))


def _busy_partitions() -> Iterator[Series]:
    rng = random.Random(26)
    lags = [rng.randrange(0, 4_000) for _ in range(MINUTES + 1)]
    for partition in range(4):
        for number in range(2):

            def is_owner(minute: int, partition: int = partition, number: int = number) -> bool:
                away = partition < 2 and _RESTART <= minute < _RESTART + 3
                return number == (1 if away or partition >= 2 else 0)

            def state_of(minute: int, partition: int = partition) -> str:
                moved = partition < 2 and minute in {_RESTART, _RESTART + 1, _RESTART + 3, _RESTART + 4}
                return "recovering" if moved else "idle" if lags[minute] < 1_000 else "running"

            of = f'instance="worker-{number}:9404", partition="{partition}"'
            for state in _STATES:
                yield _line(
                    "consolidator_partition_state",
                    f'{of}, state="{state}"',
                    lambda m, s=state, owns=is_owner, now=state_of: float(now(m) == s) if owns(m) else None,
                )
            for name, value in {
                "consolidator_partition_end_offset": lambda m: 1_000.0 * m,
                "consolidator_partition_lag_offsets": lambda m: float(lags[m]),
                "consolidator_partition_lag_seconds": lambda m: lags[m] / 100,
            }.items():
                yield _line(name, of, lambda m, v=value, owns=is_owner: v(m) if owns(m) else None)


def _busy_sink() -> Iterator[Series]:
    sink = 'instance="sink-0:9404"'
    yield _line("up", sink, lambda _: 1)
    yield _line("consolidator_build_info", f'{sink}, role="sink"', lambda _: 1)
    yield _line("consolidator_kafka_lost_seconds", sink, lambda _: 0)
    yield _line("consolidator_log_lines_dropped_total", sink, lambda _: 3)
    for partition in range(4):
        # A rebuild of the database's indexes holds the sink up for four minutes, twice.
        yield _line(
            "consolidator_sink_lag_seconds",
            f'{sink}, partition="{partition}"',
            lambda minute: 60.0 * max(0, 4 - minute % 240),
        )
