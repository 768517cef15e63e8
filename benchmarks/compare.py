"""All sides on the same workload, one after the other in one session, on one broker.

    python -m benchmarks.compare --runs 5 --json comparison.json

The workload is published once; then each run lets every side have it, with a group, state and topics of its own, and
begins with another side than the last run. A side's final factors are compared with a reference, computed apart from
all of them, before its speed counts; a side that is too slow for the whole workload is compared on a smaller one.
"""

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TypeVar

from benchmarks.load.session import Session, open_session, say
from benchmarks.load.source import Source, publish
from benchmarks.load.workload import Workload, add_workload_arguments, workload_of
from benchmarks.report.machine import machine, versions
from benchmarks.report.tables import MISSING, median, ratio, spread, table
from benchmarks.sides.environments import MissingToolError
from benchmarks.sides.launch import SIDES, THROUGHPUT_COMMIT_MS, Side
from benchmarks.sides.processes import SideError
from benchmarks.throughput import Run, measure, measure_limit

__all__ = ["Standing", "compare", "comparison_table", "named_sides", "rotated", "width_of"]

CHECK_EVENTS = 20_000
"""Of the workload on which a slow side is compared: half a minute's work for the slowest."""
_CHECK_LIMIT_S = 120.0

_Side = TypeVar("_Side")


@dataclass(slots=True)
class Standing:
    """How a side has done so far.

    Attributes:
        side: which.
        runs: those that came to a figure.
        left_out: why it was not measured.
        checked: its result was compared and equal, in a run or on the smaller workload.
        wrong: how a result differed; such a side has no speed.
    """

    side: Side
    runs: list[Run] = field(default_factory=list)
    left_out: str = ""
    checked: bool = False
    wrong: tuple[str, ...] = ()

    @property
    def speeds(self) -> list[float]:
        """Events a second of each run; empty where the result was wrong or never compared."""
        if self.wrong or not (self.checked or self.side.is_limit):
            return []
        return [run.events_per_s for run in self.runs if run.events_per_s is not None]

    @property
    def result(self) -> str:
        """What became of the comparison of results, in words."""
        if self.left_out:
            return f"left out: {self.left_out.splitlines()[0]}"
        if self.side.is_limit:
            return "does not do the work"
        if self.wrong:
            return f"WRONG: {self.wrong[0]}"
        return "equal" if self.checked else "not compared"

    def as_json(self) -> dict[str, Any]:
        """For the report."""
        return {
            "name": self.side.name,
            "title": self.side.title,
            "guarantee": self.side.guarantee,
            "result": self.result,
            "events_per_s": median(self.speeds),
            "runs": [run.as_json() for run in self.runs],
        }


def compare(session: Session, workload: Workload, sides: Sequence[Side], runs: int) -> list[Standing]:
    """Publish the workload and let the sides have it, run after run."""
    say(f"publishing {workload.events:,} events of {workload.applications:,} applications")
    source = publish(session, "source", workload, for_peers=True)
    standings = [Standing(side) for side in sides]
    checks = _Checks(session, workload)
    for run in range(runs):
        for standing in rotated(standings, run):
            if standing.left_out or standing.wrong:
                continue
            _take_turn(session, source, standing, f"{session.name}-{standing.side.name}-{run}")
            checks.ensure(standing)
            say(f"run {run + 1}: {standing.side.title}: {_in_short(standing)}")
    return standings


def rotated(sides: Sequence[_Side], by: int) -> list[_Side]:
    """The order of a run: each one begins with another side, so that none always has the warmest machine."""
    shift = by % len(sides)
    return [*sides[shift:], *sides[:shift]]


def _take_turn(session: Session, source: Source, standing: Standing, name: str) -> None:
    try:
        if standing.side.is_limit:
            standing.runs.append(measure_limit(session, source, standing.side))
            return
        run = measure(session, source, standing.side, name)
    except (MissingToolError, SideError, TimeoutError) as error:
        standing.left_out = str(error)
        say(f"{standing.side.title}: {error}")
        return
    finally:
        session.delete_topics(lambda topic: name in topic)
    standing.runs.append(run)
    standing.wrong = run.wrong
    standing.checked = standing.checked or (run.complete and not run.wrong)


class _Checks:
    """Compares, once each, the sides that do not come to the end of the workload, on a smaller one."""

    def __init__(self, session: Session, workload: Workload) -> None:
        self._session = session
        share = min(1.0, CHECK_EVENTS / workload.events)
        # As many events for each application as in the whole.
        applications = max(1, round(workload.applications * share))
        self._workload = replace(workload, events=round(workload.events * share), applications=applications)
        self._source: Source | None = None

    def ensure(self, standing: Standing) -> None:
        if standing.checked or standing.wrong or standing.left_out or standing.side.is_limit:
            return
        if self._source is None:
            self._source = publish(self._session, "check", self._workload, for_peers=True)
        name = f"{self._session.name}-{standing.side.name}-check"
        try:
            run = measure(self._session, self._source, standing.side, name, window_s=_CHECK_LIMIT_S)
        except SideError as error:
            standing.left_out = str(error)
            return
        standing.wrong = run.wrong
        standing.checked = run.complete and not run.wrong


def comparison_table(standings: Iterable[dict[str, Any]]) -> str:
    """The tables of a comparison, from its JSON: one with one, two with two, and what limits them all.

    Two processes of ours beside one of somebody else would say nothing of either.
    """
    listed = list(standings)
    speeds = {one["name"]: one["events_per_s"] for one in listed}
    parts = []
    for title, width, is_limit, ours in _KINDS:
        kind = [one for one in listed if (width_of(one), SIDES[one["name"]].is_limit) == (width, is_limit)]
        if kind:
            heading = ("side", "guarantee", "events/s, median (range)", f"{SIDES[ours].title} is")
            heading += ("CPU s/million", "peak MiB", "result")
            rows = [heading, *(_cells(one, speeds.get(ours)) for one in kind)]
            parts.append(f"{title}:\n\n{table(rows, right=(2, 3, 4, 5))}")
    return "\n\n".join(parts)


_KINDS: Final = (
    ("One process or thread each", 1, False, "worker"),
    ("Two processes or threads each", 2, False, "worker-2"),
    ("Limits: one consumer, which does not do the work", 1, True, "worker"),
)
"""What is compared with what: a title, the width of its sides, whether they are limits, and which of ours they stand
beside."""


def width_of(one: Mapping[str, Any]) -> int:
    """How many processes or threads shared the work of a side, from its JSON."""
    return SIDES[one["name"]].width


def _cells(one: dict[str, Any], ours: float | None) -> tuple[str, ...]:
    runs = one["runs"] if one["events_per_s"] is not None else []
    peak = median(run["peak_mib"] or None for run in runs)
    return (
        one["title"],
        one["guarantee"],
        spread(run["events_per_s"] for run in runs),
        ratio(ours, one["events_per_s"]),
        spread((median(run["cpu_s_per_million"] for run in runs),), 1),
        MISSING if peak is None else f"{peak:,.0f}",
        one["result"],
    )


def _in_short(standing: Standing) -> str:
    if standing.left_out or not standing.runs:
        return "left out"
    run = standing.runs[-1]
    return standing.result if run.events_per_s is None else f"{run.events_per_s:,.0f} events/s, {standing.result}"


def named_sides(text: str) -> list[Side]:
    """The sides of a comma-separated list of names; ``all`` for all of them."""
    names = list(SIDES) if text == "all" else text.split(",")
    unknown = [name for name in names if name not in SIDES]
    if unknown:
        raise argparse.ArgumentTypeError(f"no such side: {', '.join(unknown)}; there are: {', '.join(SIDES)}")
    return [SIDES[name] for name in names]


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3, help="default: %(default)s")
    parser.add_argument(
        "--sides", type=named_sides, default="all", help=f"comma-separated, of {', '.join(SIDES)}; default: all"
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    add_workload_arguments(parser)
    arguments = parser.parse_args()
    workload = workload_of(arguments)
    with open_session() as session:
        standings = compare(session, workload, arguments.sides, arguments.runs)
    figures = [standing.as_json() for standing in standings]
    report = {
        "kind": "comparison",
        "machine": machine(),
        "versions": versions(),
        "workload": workload.as_json(),
        "settings": {"runs": arguments.runs, "commit_interval_ms": THROUGHPUT_COMMIT_MS},
        "sides": figures,
    }
    print(comparison_table(figures))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
