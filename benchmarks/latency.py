"""End-to-end latency: from the publication of an event until its change can be read by a read_committed reader.

    python -m benchmarks.latency --rates 100,1000,10000 --seconds 15 --json latency.json

The sides take turns on one broker, each with a source of its own and with the settings that its documentation
recommends where latency counts (benchmarks/sides/launch.py). A burst fills the state and warms the side up; then each
rate is held for some seconds that do not count and for those that do. All of it is done several times, each time
beginning with another side, and each percentile is the median of the rounds that count. A new broker compiles itself
for minutes, on a core that the sides need: it is kept busy before until it hardly does any more (warm_up.py), and no
round counts before one in which it did not either, or before the fifth.
"""

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from confluent_kafka import Producer

from benchmarks.compare import named_sides, rotated
from benchmarks.load.jit import CompilerWatch
from benchmarks.load.probe import ChangeReader, publish_at
from benchmarks.load.session import Session, open_session, say
from benchmarks.load.source import Source, create, produce
from benchmarks.load.warm_up import COMPILED, warm_up
from benchmarks.load.workload import Workload, add_workload_arguments, workload_of
from benchmarks.report.machine import machine, versions
from benchmarks.report.percentiles import percentiles
from benchmarks.report.results import end_offsets
from benchmarks.report.tables import MISSING, median, spread, table
from benchmarks.sides.environments import MissingToolError
from benchmarks.sides.launch import THROUGHPUT_COMMIT_MS, Side
from benchmarks.sides.processes import Launch, SideError
from benchmarks.throughput import GroupOffsets, launched, wait_ready

__all__ = ["Plan", "latencies_ms", "latency_table", "medians"]

_BURST = 20_000
"""Events before the first rate: as many executions as are in flight must have begun before the first one completes."""
_BURST_LIMIT_S = 180.0
_QUIET_S = 2.0
_DRAIN_LIMIT_S = 60.0
_BEHIND_S = 1.0
"""A side whose commits are further behind than this when the last event is published did not keep up."""
_MOST_UNCOUNTED = 4
"""Rounds before those that count, at most, however long the broker goes on compiling itself."""
_DEFAULT_SIDES = "worker,streams-eos-1,quix-eos"


def latencies_ms(sent: dict[str, int], arrived: dict[str, int], *, since_ns: int) -> list[float]:
    """Milliseconds from publication to arrival, of the events that were published from a moment on."""
    return [(arrived[event] - at) / 1e6 for event, at in sent.items() if at >= since_ns and event in arrived]


def medians(rounds: Sequence[Sequence[dict[str, Any]]]) -> list[dict[str, Any]]:
    """What one side came to at each rate: the median of each percentile, and what every round had.

    Args:
        rounds: that count; each with the same rates.
    """
    together = []
    for figures in zip(*rounds, strict=True):
        found = [figure["latency_ms"] for figure in figures]
        names = dict.fromkeys(name for percentiles_ms in found for name in percentiles_ms)
        together.append(
            {
                "rate": figures[0]["rate"],
                "achieved_rate": median(figure["achieved_rate"] for figure in figures),
                "changes": sum(figure["changes"] for figure in figures),
                "kept_up": all(figure["kept_up"] for figure in figures),
                "latency_ms": {name: median(percentiles_ms.get(name) for percentiles_ms in found) for name in names},
                "rounds_ms": found,
            }
        )
    return together


@dataclass(frozen=True, slots=True)
class Plan:
    """Which rates are held, and for how long.

    Attributes:
        rates: events a second.
        seconds: that count.
        warm_up_s: seconds before, which do not.
        rounds: that count.
        commit_ms: the commit interval of every peer; None: each its own.
    """

    rates: Sequence[float]
    seconds: float
    warm_up_s: float
    rounds: int
    commit_ms: int | None = None

    def commit_ms_of(self, side: Side) -> int | None:
        """A side's commit interval; None: it has none to set."""
        return side.latency_commit_ms and (self.commit_ms or side.latency_commit_ms)

    @property
    def events(self) -> int:
        """How many events it takes, the burst included."""
        return _BURST + sum(round(rate * (self.warm_up_s + self.seconds)) for rate in self.rates)


@dataclass(slots=True)
class _Turns:
    """One side's figures: those of each round that counts, or why it was left out."""

    side: Side
    rounds: list[list[dict[str, Any]]] = field(default_factory=list)
    left_out: str = ""

    def as_json(self, plan: Plan) -> dict[str, Any]:
        """For the report."""
        return {
            "name": self.side.name,
            "title": self.side.title,
            "guarantee": self.side.guarantee,
            "commit_interval_ms": plan.commit_ms_of(self.side),
            "left_out": self.left_out,
            "rates": [] if self.left_out else medians(self.rounds),
        }


def _measure_side(session: Session, side: Side, workload: Workload, plan: Plan, number: int) -> list[dict[str, Any]]:
    """Hold each rate on one side, in one round."""
    own = f"latency-{number}-{side.name}"
    name = f"{session.name}-{own}"
    source = create(session, own, workload, for_peers=True)
    launch = side.launch(session, source, name, "latency", plan.commit_ms_of(side) or THROUGHPUT_COMMIT_MS)
    messages = workload.messages()
    produce(session, source, (message for _, message in zip(range(_BURST), messages, strict=False)))
    producer = Producer({**session.config, "linger.ms": 0, "acks": "all"})
    figures = []
    with GroupOffsets(session, launch, workload.partitions) as offsets, launched(session, launch) as processes:
        wait_ready(processes, workload.partitions)
        processes[0].wait(
            lambda: offsets.total() >= _BURST, "the burst to be committed", limit_s=_BURST_LIMIT_S, poll_s=0.1
        )
        published = _BURST
        for rate in plan.rates:
            starts = end_offsets(session.servers, launch.changes, workload.partitions)
            with ChangeReader(session.config, launch.changes, starts) as reader:
                pace = publish_at(
                    producer,
                    launch.source,
                    workload.partitions,
                    messages,
                    rate=rate,
                    seconds=plan.warm_up_s + plan.seconds,
                    by_application=_reads_by_application(source, launch),
                )
                published += pace.events
                behind = max(0, published - offsets.total())
                quiet = reader.wait_quiet(_QUIET_S, limit_s=_DRAIN_LIMIT_S)
                processes[0].check("the changes")
            found = latencies_ms(pace.sent, reader.arrived, since_ns=pace.began_ns + round(plan.warm_up_s * 1e9))
            figures.append(
                {
                    "rate": rate,
                    "achieved_rate": pace.events / pace.seconds,
                    "changes": len(found),
                    "kept_up": quiet and behind <= rate * _BEHIND_S,
                    "latency_ms": percentiles(found),
                }
            )
            say(f"round {number}: {side.title} at {rate:,.0f} events/s: {figures[-1]['latency_ms']}")
    session.delete_topics(lambda topic: name in topic)
    return figures


def _take_turns(session: Session, turns: Sequence[_Turns], workload: Workload, plan: Plan) -> list[float | None]:
    """Measure every side in every round; how many cores the broker's compilers took in each, None: not known.

    The first round never counts: it makes environments, and has the broker compile what only the sides have it do.
    While it is busy with that, the next one does not count either.
    """
    compilers = CompilerWatch(session.broker_pid)
    compiling: list[float | None] = []
    uncounted = 1
    while len(compiling) < uncounted + plan.rounds:
        number = len(compiling)
        compilers.start()
        for turn in rotated(turns, number):
            if turn.left_out:
                continue
            try:
                figures = _measure_side(session, turn.side, workload, plan, number)
            except (MissingToolError, SideError, TimeoutError) as error:
                say(f"{turn.side.title}: {error}")
                turn.left_out = str(error)
                continue
            if number >= uncounted:
                turn.rounds.append(figures)
        compiling.append(compilers.share())
        if number == uncounted - 1 and uncounted < _MOST_UNCOUNTED and (compiling[-1] or 0) > COMPILED:
            say(f"round {number}: the broker's compilers took {compiling[-1]:.2f} of a core; the next will not count")
            uncounted += 1
    return compiling


def _reads_by_application(source: Source, launch: Launch) -> bool:
    return launch.source == source.by_application


def latency_table(sides: Iterable[dict[str, Any]]) -> str:
    """The table of a latency report, from its JSON."""
    rows: list[tuple[str, ...]] = [
        ("side", "guarantee", "events/s", "p50 ms", "p99 ms", "p99.9 ms", "changes", "kept up")
    ]
    for side in sides:
        if side.get("left_out"):
            cause = side["left_out"].splitlines()[0]
            rows.append((side["title"], side["guarantee"], *(MISSING,) * 5, f"left out: {cause}"))
        for figure in side["rates"]:
            cells = [
                spread((found.get(name) for found in figure["rounds_ms"]), digits=1) for name in ("p50", "p99", "p99.9")
            ]
            kept_up = "yes" if figure["kept_up"] else "no"
            rate, changes = f"{figure['rate']:,.0f}", f"{figure['changes']:,}"
            rows.append((side["title"], side["guarantee"], rate, *cells, changes, kept_up))
    return table(rows, right=(2, 3, 4, 5, 6))


def _rates(text: str) -> list[float]:
    return [float(part) for part in text.split(",")]


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rates", type=_rates, default="100,1000,10000", help="events/s; default: %(default)s")
    parser.add_argument("--seconds", type=float, default=15.0, help="that count, at each rate; default: %(default)s")
    parser.add_argument(
        "--rounds", type=int, default=5, help="that count, after one that does not; default: %(default)s"
    )
    parser.add_argument("--warm-up", type=float, default=5.0, help="seconds before; default: %(default)s")
    parser.add_argument(
        "--broker-warm-up",
        type=float,
        default=300.0,
        help="most seconds of transactions before everything, until a new broker has compiled itself; "
        "default: %(default)s",
    )
    parser.add_argument(
        "--commit-ms", type=int, help="commit interval of the peers; default: what was found best for each"
    )
    parser.add_argument("--sides", type=named_sides, default=_DEFAULT_SIDES, help="default: %(default)s")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    add_workload_arguments(parser)
    arguments = parser.parse_args()
    plan = Plan(arguments.rates, arguments.seconds, arguments.warm_up, arguments.rounds, arguments.commit_ms)
    arguments.events = max(arguments.events, plan.events)
    workload = workload_of(arguments)
    turns = [_Turns(side) for side in arguments.sides]
    with open_session() as session:
        warm_up(session, arguments.broker_warm_up)
        compiling = _take_turns(session, turns, workload, plan)
    sides = [turn.as_json(plan) for turn in turns]
    report = {
        "kind": "latency",
        "machine": machine(),
        "versions": versions(),
        "workload": workload.as_json(),
        "settings": {
            "seconds": plan.seconds,
            "warm_up_s": plan.warm_up_s,
            "rounds": plan.rounds,
            "broker_compiling_cores": compiling,
        },
        "sides": sides,
    }
    print(latency_table(sides))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
