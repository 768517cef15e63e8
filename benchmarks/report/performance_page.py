"""The page of the performance runs: ``python -m benchmarks.report.performance_page docs/performance``.

Reads the JSON files that the benchmarks wrote into that directory, and writes ``docs/performance.md`` beside it and the
plots into it. No figure is written by hand: what the runs did not measure is not on the page. ``limits.md`` in the
directory, if there, is prose for the last section: what limits the worker now, and what was tried.
"""

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.compare import comparison_table, width_of
from benchmarks.growth import growth_table, restart_table
from benchmarks.latency import latency_table
from benchmarks.report.charts import Bar, bar_chart
from benchmarks.report.tables import spread, table

__all__ = ["performance_page", "plots", "reports_of"]

Report = Mapping[str, Any]

_LIMITS_FILE = "limits.md"
_LATENCY_PLOT_RATE = 1_000
"""The rate at which the latencies are compared in the plot."""

_THROUGHPUT_PLOTS: Mapping[str, int] = {"throughput.svg": 1, "throughput-two.svg": 2}
"""A plot for each width: what is not alike does not stand in one picture."""

_EACH: Mapping[int, str] = {1: "one process or thread each", 2: "two processes or threads each"}

_INTRODUCTION = """\
# Performance

This page is generated from the figures of runs (`performance/*.json`). To repeat them, with nothing else on the
machine:

    python -m benchmarks.compare --runs 5 --json docs/performance/comparison.json
    python -m benchmarks.latency --json docs/performance/latency.json
    python -m benchmarks.growth --json docs/performance/growth.json
    python -m benchmarks.sink --executions 1000000 --json docs/performance/sink.json
    python -m benchmarks.sink_kafka --json docs/performance/sink_kafka.json
    python -m benchmarks.subscribers --json docs/performance/subscribers.json
    python -m benchmarks.record_bytes --json docs/performance/record_bytes.json
    python -m benchmarks.report.performance_page docs/performance

How much was published is told with each table; `--help` names the arguments for another size. The broker runs on the
same machine and takes its share of it. Peers get an environment of their own in the cache directory (Quix Streams by
pip, Kafka Streams by Maven where `mvn` and a JDK are on the PATH).
"""

_COMPARISON = """\
## Side by side

One session, one broker, one published workload; in each run every side has it once, beginning with another side than
the last run. The clock runs from the moment when a side has its partitions until the committed offsets are through the
source (Faust's agent, which is too slow for that: half a minute, up to its last commit). A speed counts only after the
side's final factors were found equal to a reference that shares no code with the worker.

Every peer decodes the event, keeps the executions of each application and processor in a durable store with a
changelog, computes the sample catalogue's factors exactly, and publishes a change where they or the counts of
completed and failed executions differ: subscribers must hear of a failed execution. They do less than the worker: no
strict validation, no identity of events, no dead letters, no change for an outcome alone, no positions of causes, no
`factors` topic. Settings beyond the defaults: commits twice a second, lz4, large fetches and
batches, 64 MiB of record cache in Kafka Streams (`benchmarks/sides/launch.py`, `benchmarks/kafka_streams`).
"""

_LATENCY = """\
## Latency, end to end

From the moment an event is handed to a producer until a `read_committed` reader has the change that it caused; both in
one process, by one monotonic clock. All sides exactly once, with the settings that their documentation recommends for
latency: a short commit interval (Kafka Streams, "Configuring a Streams Application"; Quix Streams, "Configuring",
"Exactly-Once producer buffering"), and `linger.ms` 0 (Confluent, "Optimize Clients for Latency"). The worker has its
defaults. "Kept up": the commits were at most a second behind when the last event was published. A broker that has just
started compiles itself for minutes, on a core that the sides need: it was kept busy with transactions before.
"""

_SUBSCRIBERS = """\
## A subscription

`consolidator.subscribe` from the beginning of `factor-changes`, to a caller that does nothing; beside it a bare loop,
which takes batches from a consumer with the same settings and decodes each value. Each run is a process, the start and
the connection included; the broker is on the same two cores. What the broker and others take shows in the rate, not in
the CPU seconds of the process.
"""

_RATIOS = """\
One with one and two with two: what one process does says nothing of what two do, least of all with the broker on the
same two cores. **Ratios differ by machine**, and on one machine by the hour: take those of yours. On another machine
of this size somebody else found of an earlier version (d333f77), in a busy and in a quiet hour: one process to one of
Quix Streams 0.82 and 1.10, two to two 0.92 and 1.14, two processes to two threads of Kafka Streams 2.07 and 2.09. Two
processes of Quix Streams were not measured here.
"""

_GROWTH = """\
## As it grows

One dimension at a time, the others as in the comparison. Peak memory is that of all workers together. Bytes for each
event: what the workers write to files (RocksDB's log, tables and compactions, and the log), and what they add to the
changelog and to the changes and factors topics, compressed. Where applications grow, every one of them is in the state
before the clock runs. "executions": of one application and processor at the run's end, in the mean.
"""

_RESTARTS = """\
### Start-up and rebuilding

From the start of the process until its partitions are ready: with the state on disk, and with an empty disk, when the
state is rebuilt from the changelog.
"""


_DATABASE = """\
## The database

`consolidator sink run` ([SQL](sql.md)), one process, all rows that come of the events, databases on disk. From a
record's bytes to the committed row, without fetching; the database grows by pieces of some 200,000 events of the
design's workload, all over its keys. Medians of the pieces, with the least and the greatest; queries when all is
stored, each for a random pair, 1,000 of them. `factors` and `factors --at`: what the commands do for a random
application, 200 of them, from opening the database to the answer; a process' start comes on top. Memory: the whole
process, with the piece that stands for Kafka in it.
"""

_RECORD_BYTES = """\
## Bytes of records

For `consolidator size`. Keys, values and headers of what comes of the design's workload, one event a transaction and
nothing packed, without Kafka's framing. The same code and seed give the same bytes on every machine.
"""

_DATABASE_KAFKA = """\
### Behind a real broker

From the first partition that is taken over until the rows are where the worker was; fetching included, the broker on
the same two cores.
"""


def reports_of(directory: Path) -> list[Report]:
    """The reports of a directory, in the order of their file names."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(directory.glob("*.json"))]


def performance_page(reports: Iterable[Report], *, directory: str, limits: str = "") -> str:
    """Render ``docs/performance.md``.

    Args:
        reports: what the benchmarks wrote.
        directory: of the plots, relative to the page.
        limits: prose for the last section; empty: there is none.
    """
    found = {report["kind"]: report for report in reports}
    parts = [_INTRODUCTION]
    if found:
        parts.append(_machine(found.values()))
    for kind, section in _SECTIONS.items():
        if kind in found:
            parts.append(section(found[kind], directory))
    if limits:
        parts.append(f"## What limits it now\n\n{limits.strip()}\n")
    return "\n".join(parts)


def plots(reports: Iterable[Report]) -> dict[str, str]:
    """The plots by their file names."""
    drawn = {}
    for report in reports:
        if report["kind"] == "comparison":
            drawn |= {name: _throughput_plot(report, width) for name, width in _THROUGHPUT_PLOTS.items()}
        elif report["kind"] == "latency":
            drawn["latency.svg"] = _latency_plot(report)
    return drawn


def _machine(reports: Iterable[Report]) -> str:
    """Machine and versions, once for each that occurs: the files may come from several."""
    lines = []
    # What is counted, and not timed, is the same on every machine.
    for report in (one for one in reports if "machine" in one):
        machine, versions = report["machine"], report["versions"]
        hardware = (
            f"{machine['cores']} cores ({machine['cpu']}), {machine['memory_gib']} GiB, Linux {machine['kernel']}"
        )
        software = ", ".join(f"{name} {version}" for name, version in versions.items())
        lines.append(f"{hardware}; {software}")
    return "Measured on\n" + "".join(f"- {line}\n" for line in dict.fromkeys(lines))


def _comparison(report: Report, directory: str) -> str:
    workload, settings = report["workload"], report["settings"]
    size = "about 450" if workload["event_bytes"] is None else f"at least {workload['event_bytes']:,}"
    skew = "no hot keys" if workload["zipf"] is None else f"hot keys (Zipf {workload['zipf']:g})"
    described = (
        f"{workload['events']:,} events of {size} bytes, {workload['applications']:,} applications, "
        f"{workload['processors']} processors, {workload['partitions']} partitions, {workload['failure_rate']:.0%} of "
        f"the attempts failed, {skew}; medians of {settings['runs']} runs.\n"
    )
    drawn = [f"![Throughput, {_EACH[width]}]({directory}/{name})\n" for name, width in _THROUGHPUT_PLOTS.items()]
    return "\n".join([_COMPARISON, described, comparison_table(report["sides"]), "", _RATIOS, *drawn])


def _latency(report: Report, directory: str) -> str:
    settings = report["settings"]
    held = (
        f"Each rate is held for {settings['warm_up_s']:g} s that do not count and {settings['seconds']:g} s that do, "
        f"in {settings['rounds']} rounds, after those in which the new broker compiled itself. Percentiles are medians "
        "of the rounds, with the least and the greatest; kept up: in every round.\n"
    )
    intervals = [(side["title"], side["commit_interval_ms"]) for side in report["sides"] if side["commit_interval_ms"]]
    held += "".join(f"Commit interval of {title}: {interval} ms.\n" for title, interval in intervals)
    plot = f"![Latency of the sides]({directory}/latency.svg)\n"
    return "\n".join([_LATENCY, held, latency_table(report["sides"]), "", plot])


def _growth(report: Report, _directory: str) -> str:
    parts = [_GROWTH, f"{report['settings']['events']:,} events at each point.\n", growth_table(report["points"]), ""]
    restarts = restart_table(report["points"])
    if restarts:
        parts += [_RESTARTS, restarts, ""]
    return "\n".join(parts)


def _database(report: Report, _directory: str) -> str:
    asked = {"get_active_executions": "get_active_executions_ms", "factors": "factors_ms", "--at": "factors_at_ms"}
    asked = {name: member for name, member in asked.items() if all(member in one for one in report["databases"])}
    answers = [cell for name in asked for cell in (f"{name}, ms", "p99")]
    heading = ["database", "executions", "changes/s", *answers, "MiB after each piece"]
    rows = [heading]
    for one in report["databases"]:
        rates = [piece["changes_a_second"] for piece in one["pieces"]]
        memory = [piece["resident_mib"] for piece in one["pieces"]]
        rows.append(
            [
                one["database"],
                f"{one['executions']:,}",
                spread(rates),
                *(f"{one[name][which]:.2f}" for name in asked.values() for which in ("median", "p99")),
                spread(memory),
            ]
        )
    return "\n".join([_DATABASE, _load(report), table(rows, right=range(1, len(heading))), ""])


def _load(report: Report) -> str:
    return f"The machine's load average when it began: {report['settings']['load']:.1f}; both cores are free at 0.\n"


def _database_kafka(report: Report, _directory: str) -> str:
    heading = ["database", "events", "changes/s", "CPU seconds", "peak MiB"]
    rows = [heading] + [
        [
            one["database"],
            f"{one['events']:,}",
            f"{one['changes_a_second']:,}",
            f"{one['cpu_seconds']:,.1f}",
            f"{one['peak_mib']:,}",
        ]
        for one in report["databases"]
    ]
    return "\n".join([_DATABASE_KAFKA, _load(report), table(rows, right=range(1, len(heading))), ""])


def _subscribers(report: Report, _directory: str) -> str:
    settings, sides = report["settings"], report["sides"]
    bare = next(side for side in sides if side["side"] == "bare")
    heading = ["side", "changes/s", "of the bare loop", "changes/CPU second", "of the bare loop", "peak MiB"]
    rows = [heading]
    for side in sides:
        cells = [
            cell
            for figure in ("changes_a_second", "changes_a_cpu_second")
            for cell in (f"{side[figure]:,}", f"{side[figure] / bare[figure]:.2f}")
        ]
        rows.append([side["side"], *cells, f"{side['peak_mib']:,}"])
    size = f"{settings['changes']:,} changes of {settings['bytes']:,} bytes, medians of {settings['runs']} runs.\n"
    return "\n".join([_SUBSCRIBERS, size, _load(report), table(rows, right=range(1, len(heading))), ""])


def _record_bytes(report: Report, _directory: str) -> str:
    events = report["events"]
    rows = [
        ("an event's value", f"{report['event_value_bytes']:,}"),
        ("a record of `factor-changes`", f"{report['change_bytes']:,}"),
        ("a record of `factors`", f"{report['factors_bytes']:,}"),
        ("written to the changelog, for each event", f"{report['changelog_bytes_per_event']:,}"),
        ("rows as they are at the end, for each event", f"{report['last_rows_bytes_per_event']:,}"),
    ]
    size = (
        f"{events:,} events of {report['applications']:,} applications: {report['changes'] / events:.3f} changes for "
        f"each event, {report['pairs'] / report['applications']:.2f} pairs for each application.\n"
    )
    return "\n".join([_RECORD_BYTES, size, table([("what", "bytes"), *rows], right=(1,)), ""])


_SECTIONS: Mapping[str, Callable[[Report, str], str]] = {
    "comparison": _comparison,
    "latency": _latency,
    "growth": _growth,
    "sink": _database,
    "sink_kafka": _database_kafka,
    "subscribers": _subscribers,
    "record_bytes": _record_bytes,
}


def _throughput_plot(report: Report, width: int) -> str:
    bars = [
        Bar(_label(side), side["events_per_s"], f"{side['events_per_s']:,.0f}", side["name"].startswith("worker"))
        for side in report["sides"]
        # The wire's limits would leave no room for the rest.
        if side["events_per_s"] is not None and side["name"] not in {"consume", "poll"} and width_of(side) == width
    ]
    return bar_chart(f"Throughput, {_EACH[width]}, events a second: longer is better", bars)


def _latency_plot(report: Report) -> str:
    bars = []
    for percentile in ("p50", "p99"):
        for side in report["sides"]:
            for figure in side["rates"]:
                value = figure["latency_ms"].get(percentile)
                if figure["rate"] == _LATENCY_PLOT_RATE and value is not None:
                    label = f"{side['title']}, {percentile}"
                    bars.append(Bar(label, value, f"{value:,.1f} ms", side["name"].startswith("worker")))
    return bar_chart(f"Latency at {_LATENCY_PLOT_RATE:,} events/s, exactly once: shorter is better", bars)


def _label(side: Mapping[str, Any]) -> str:
    short = {"at least once": ", ALO", "exactly once": ", EOS"}
    return f"{side['title']}{short.get(side['guarantee'], '')}"


def main() -> None:
    """Write the page and the plots."""
    directory = Path(sys.argv[1])
    reports = reports_of(directory)
    for name, text in plots(reports).items():
        (directory / name).write_text(text, encoding="utf-8")
    limits = directory / _LIMITS_FILE
    page = performance_page(
        reports, directory=directory.name, limits=limits.read_text(encoding="utf-8") if limits.exists() else ""
    )
    directory.with_suffix(".md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
