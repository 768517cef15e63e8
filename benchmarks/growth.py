"""How this worker's speed, cost and memory change as the work grows.

    python -m benchmarks.growth --json growth.json
    python -m benchmarks.growth --short --parts applications,workers

One dimension at a time, the others as in the design's workload: applications in the state (filled beforehand),
executions in a row, workers, and partitions. The workload is released when all workers are ready. The points with the
least and the most applications are then restarted, once with their disk and once without it: start-up time, and the
rate at which the state is rebuilt from its changelog.
"""

import argparse
import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.load.session import Session, open_session, say
from benchmarks.load.source import HeldBack, create, produce
from benchmarks.load.workload import Workload, applications_for, one_each
from benchmarks.report.machine import machine, versions
from benchmarks.report.results import end_offsets
from benchmarks.report.tables import MISSING, table
from benchmarks.sides.launch import SIDES, THROUGHPUT_COMMIT_MS
from benchmarks.sides.processes import Launch, SideError
from benchmarks.throughput import launched, measure, wait_ready
from topics.contract.declared import TABLE_NAME

__all__ = ["PARTS", "Point", "growth_table", "points", "restart_table"]

PARTS = ("applications", "executions", "workers", "partitions")

_FULL: dict[str, tuple[int, ...]] = {
    "applications": (10_000, 100_000, 1_000_000),
    "executions": (5, 50, 500),
    "workers": (1, 2, 4),
    "partitions": (1, 4, 16, 64),
}
_SHORT: dict[str, tuple[int, ...]] = {
    "applications": (1_000, 10_000),
    "executions": (5, 50),
    "workers": (1, 2),
    "partitions": (1, 16),
}
_FULL_EVENTS = 400_000
_SHORT_EVENTS = 20_000
_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Point:
    """One measurement to make.

    Attributes:
        part: the dimension that grows.
        value: how far.
        workload: what is measured.
        workers: by how many workers.
        filled: the state has every application before the clock runs.
        restarted: measure restarts, too.
    """

    part: str
    value: int
    workload: Workload
    workers: int = 1
    filled: bool = False
    restarted: bool = False


def points(parts: Iterable[str], events: int, values: dict[str, tuple[int, ...]]) -> list[Point]:
    """Every point of the parts, in order."""
    base = Workload(events, max(1, events // 20))
    found = []
    for part in parts:
        ends = (values[part][0], values[part][-1])
        found += [_point(part, value, base, restarted=value in ends) for value in values[part]]
    return found


def _point(part: str, value: int, base: Workload, *, restarted: bool) -> Point:
    if part == "applications":
        return Point(part, value, replace(base, applications=value), filled=True, restarted=restarted)
    if part == "executions":
        applications = applications_for(value, events=base.events, processors=1)
        return Point(part, value, replace(base, applications=applications, processors=1))
    if part == "workers":
        return Point(part, value, base, workers=value)
    return Point(part, value, replace(base, partitions=value))


def measure_point(session: Session, point: Point, number: int) -> dict[str, Any]:
    """Fill the state if that is wanted, measure, and restart if that is wanted."""
    name = f"{session.name}-{point.part}-{number}"
    side = replace(SIDES["worker"], launch=_launch_of(point.workers))
    source = create(session, f"{point.part}-{number}", point.workload, for_peers=False)
    if point.filled:
        produce(session, source, one_each(point.workload.applications))
        measure(session, source, side, name, check=False)
    held_back = HeldBack(session, source)
    run = measure(session, source, side, name, check=not point.filled, held_back=held_back)
    figures: dict[str, Any] = {"part": point.part, "value": point.value, "workers": point.workers, **run.as_json()}
    if point.restarted:
        launch = side.launch(session, source, name, "throughput", THROUGHPUT_COMMIT_MS)
        figures["restart"] = _restarts(session, launch, point.workload.partitions)
    session.delete_topics(lambda topic: topic.startswith(f"{session.name}-{point.part}-{number}-") or name in topic)
    shutil.rmtree(session.directory / name, ignore_errors=True)
    return figures


def _launch_of(workers: int) -> Callable[..., Launch]:
    return lambda *arguments: replace(SIDES["worker"].launch(*arguments), count=workers)


def _restarts(session: Session, launch: Launch, partitions: int) -> dict[str, float]:
    """Start with the state on disk, then without it; nothing is left to be folded."""
    with_disk = _start_s(session, launch, partitions)
    state = Path(launch.variables["CONSOLIDATOR_STATE_DIR"])
    disk = sum(path.stat().st_size for path in state.rglob("*") if path.is_file())
    shutil.rmtree(state)
    changelog = f"{launch.group}-{TABLE_NAME}-changelog"
    records = sum(end_offsets(session.servers, changelog, partitions).values())
    without = _start_s(session, launch, partitions)
    return {
        "start_s": with_disk,
        "rebuild_s": without,
        "changelog_records": records,
        "rebuild_records_per_s": records / max(without - with_disk, 0.001),
        "disk_mib": disk / _MIB,
    }


def _start_s(session: Session, launch: Launch, partitions: int) -> float:
    with launched(session, launch) as processes:
        return wait_ready(processes, partitions) - processes[0].started_at


def growth_table(figures: Sequence[dict[str, Any]]) -> str:
    """The table of a growth report, from its JSON."""
    rows: list[tuple[str, ...]] = [
        ("grows", "to", "events/s", "CPU s/million", "broker CPU s/million", "peak MiB", "disk B/event",
         "changelog B/event", "outputs B/event"),
    ]  # fmt: skip
    for one in figures:
        if "left_out" in one:
            rows.append((one["part"], f"{one['value']:,}", one["left_out"].splitlines()[0], *(MISSING,) * 6))
            continue
        written = one["bytes_per_event"]
        rows.append(
            (
                one["part"],
                f"{one['value']:,}",
                _number(one["events_per_s"]),
                _number(one["cpu_s_per_million"], 1),
                _number(one["broker_cpu_s_per_million"], 1),
                _number(one["peak_mib"]),
                *(_number(written.get(what)) for what in ("disk", "changelog", "outputs")),
            )
        )
    return table(rows, right=range(1, len(rows[0])))


def restart_table(figures: Sequence[dict[str, Any]]) -> str:
    """The table of the restarts; empty where none was measured."""
    rows = [("applications", "start s", "rebuild s", "changelog records", "records/s", "state MiB")]
    for one in figures:
        if restart := one.get("restart"):
            numbers = (
                _number(restart["start_s"], 1),
                _number(restart["rebuild_s"], 1),
                _number(restart["changelog_records"]),
                _number(restart["rebuild_records_per_s"]),
                _number(restart["disk_mib"]),
            )
            rows.append((f"{one['value']:,}", *numbers))
    return table(rows, right=range(len(rows[0]))) if len(rows) > 1 else ""


def _number(value: float | None, digits: int = 0) -> str:
    return MISSING if value is None else f"{value:,.{digits}f}"


def _parts(text: str) -> list[str]:
    parts = text.split(",")
    if unknown := set(parts) - set(PARTS):
        raise argparse.ArgumentTypeError(f"no such part: {', '.join(unknown)}; there are: {', '.join(PARTS)}")
    return parts


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", type=_parts, default=",".join(PARTS), help="default: %(default)s")
    parser.add_argument("--events", type=int, help=f"default: {_FULL_EVENTS}, or {_SHORT_EVENTS} with --short")
    parser.add_argument("--short", action="store_true", help="fewer and smaller points")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    events = arguments.events or (_SHORT_EVENTS if arguments.short else _FULL_EVENTS)
    figures = []
    with open_session() as session:
        for number, point in enumerate(points(arguments.parts, events, _SHORT if arguments.short else _FULL)):
            try:
                figures.append(measure_point(session, point, number))
            except SideError as error:
                say(f"{point.part} {point.value:,}: {error}")
                figures.append({"part": point.part, "value": point.value, "left_out": str(error)})
                continue
            say(f"{point.part} {point.value:,}: {_number(figures[-1]['events_per_s'])} events/s")
    print(growth_table(figures), restart_table(figures), sep="\n\n")
    report = {
        "kind": "growth",
        "machine": machine(),
        "versions": versions(),
        "settings": {"events": events},
        "points": figures,
    }
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
