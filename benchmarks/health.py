"""What probes and metrics cost, both sides in one session: ``python -m benchmarks.health``.

1. *Counting*: what the counts of the design's workload take, and the fold of it, by the CPU time of the thread. No
   Kafka and no log: the rest of a worker's work would only make the share smaller.
2. *Scraping*: how long ``/metrics`` of 64 partitions takes from another process, while this one is as busy as in a
   recovery: one thread decodes, another one writes RocksDB, with the worker's switch interval.
3. With ``--kafka``: whole workers on a real broker, without counting, with it, and scraped every second.

Exit code 1: counting costs 1 % or more, or the median scrape takes longer than 50 ms.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import rocksdict

from benchmarks.load.session import open_session, say
from benchmarks.load.source import publish
from benchmarks.load.workload import Workload
from benchmarks.report.machine import machine, versions
from benchmarks.sides import uncounted_worker
from benchmarks.sides.launch import SIDES, Side
from benchmarks.sides.uncounted_worker import Uncounted
from benchmarks.throughput import measure
from streams.broker.ports import free_port
from streams.health.server import HealthServer, listening_at
from streams.partition.batch import Batch
from streams.partition.observer import FoldedEvent, Observer
from streams.runtime.logs import EventLog
from streams.runtime.rocksdb import batch_of, options_of
from streams.worker.logging_observer import LoggingObserver
from streams.worker.measuring.counts import EventCounts
from streams.worker.measuring.rounds import RoundFigures
from tests.inputs.workloads import load_catalogue
from tests.oracle import folds
from tests.unit.health.snapshots import large

BATCH: Final = 4_000
EVENTS: Final = 80_000
APPLICATIONS: Final = 4_000
RUNS: Final = 9
SCRAPES: Final = 60
PARTITIONS: Final = 64
MOST_SHARE: Final = 0.01
MOST_SCRAPE_MS: Final = 50.0
SWITCH_S: Final = 0.02
"""The worker's switch interval, ``streams.worker.runner``."""

_MIB: Final = 1024 * 1024


def main() -> None:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=RUNS, help="of each side; default: %(default)s")
    parser.add_argument("--events", type=int, default=EVENTS, help="default: %(default)s")
    parser.add_argument("--kafka", action="store_true", help="whole workers on a broker as well")
    parser.add_argument("--json", type=Path, help="write the figures into a file")
    arguments = parser.parse_args()
    found: dict[str, Any] = {"machine": machine(), "versions": versions()}
    found["counting"] = counting(arguments.runs, arguments.events)
    found["scraping"] = scraping()
    if arguments.kafka:
        found["workers"] = workers(arguments.runs, arguments.events)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    share, median_ms = found["counting"]["share"], found["scraping"]["median_ms"]
    passed = share < MOST_SHARE and median_ms <= MOST_SCRAPE_MS
    print(
        f"health {'passed' if passed else 'FAILED'}: counting costs {share:.2%} of the fold's CPU time (less than "
        f"{MOST_SHARE:.0%} is asked for), a scrape of {PARTITIONS} partitions takes {median_ms:.0f} ms in the median "
        f"({MOST_SCRAPE_MS:.0f} ms)"
    )
    if not passed:
        sys.exit(1)


class _Recorded(Observer):
    """Keeps what the fold reports, so that it can be reported again and again."""

    def __init__(self) -> None:
        self.folds: list[Sequence[FoldedEvent]] = []
        self.changes: list[list[object]] = []

    def folded(self, events: Sequence[FoldedEvent]) -> None:
        """Keep events."""
        self.folds.append(events)

    def changed(self, pending: Sequence[object]) -> None:
        """Keep changes: the fold empties its list."""
        self.changes.append(list(pending))


def counting(runs: int, events: int) -> dict[str, Any]:
    """The CPU time of the fold for an event, and of counting it; in microseconds, the best of all runs.

    The counting is timed by itself, on what the fold has reported: its share is smaller than the differences between
    two runs of the fold. Other programs only ever make a run slower, so the best one counts.
    """
    records = [
        folds.Record(offset, message.key, message.value)
        for offset, message in enumerate(Workload(events, APPLICATIONS).messages())
    ]
    catalogue = load_catalogue()
    declared = {name: len(rule["factors"]) for name, rule in catalogue["processors"].items()}
    log = EventLog("error", "json")
    recorded = _Recorded()
    fold_us = _folded_us(records, catalogue, recorded)
    seen: dict[str, list[float]] = {"fold": [fold_us], "uncounted": [], "counted": []}
    for run in range(runs):
        seen["fold"].append(_folded_us(records, catalogue, Uncounted(log)))
        for name in ("uncounted", "counted"):
            observer = LoggingObserver(log, EventCounts(declared)) if name == "counted" else Uncounted(log)
            seen[name].append(_reported_us(recorded, observer, records))
        say(f"counting, run {run + 1} of {runs}: " + ", ".join(f"{name} {us[-1]:.3f} µs" for name, us in seen.items()))
    best = {name: min(us) for name, us in seen.items()}
    return {"events": events, "share": (best["counted"] - best["uncounted"]) / best["fold"], "us_per_event": seen}


def _folded_us(records: Sequence[folds.Record], catalogue: Any, observer: Observer) -> float:
    partition = folds.Partition(catalogue, cached_pairs=100_000, cached_weight=10**9, observer=observer)
    used = 0.0
    for first in range(0, len(records), BATCH):
        some = records[first : first + BATCH]
        batch = Batch("executions", 0, some[0].offset, some[-1].offset + 1, some)
        since = time.thread_time()
        folded = partition.fold.fold(batch)
        used += time.thread_time() - since
        partition.finish(folded)
    return used / len(records) * 1e6


def _reported_us(recorded: _Recorded, observer: LoggingObserver, records: Sequence[folds.Record]) -> float:
    """The time of one side for everything that was reported; with counts, for the ages of all events as well."""
    figures = None if isinstance(observer, Uncounted) else RoundFigures()
    since = time.thread_time()
    for events in recorded.folds:
        observer.folded(events)
    for pending in recorded.changes:
        observer.changed(pending)
    if figures is not None:
        for first in range(0, len(records), BATCH):
            figures.committed(records[first : first + BATCH])
    return (time.thread_time() - since) / len(records) * 1e6


CLIENT: Final = """
import json, sys, time, urllib.request
url, scrapes = sys.argv[1], int(sys.argv[2])
found = []
for _ in range(scrapes):
    since = time.perf_counter()
    with urllib.request.urlopen(url, timeout=60) as answer:
        answer.read()
    found.append((time.perf_counter() - since) * 1000)
    time.sleep(0.1)
print(json.dumps(found))
"""


def scraping() -> dict[str, Any]:
    """How long scrapes take, in milliseconds, beside two busy threads and without them."""
    server = HealthServer(listening_at("127.0.0.1:0"), lambda: large(PARTITIONS)).start()
    url = f"http://{server.address}/metrics"
    alone = _scraped_ms(url)
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_S)
    try:
        with tempfile.TemporaryDirectory() as directory, _busy(Path(directory)):
            beside = _scraped_ms(url)
    finally:
        sys.setswitchinterval(before)
    ordered = sorted(beside)
    return {
        "partitions": PARTITIONS,
        "alone_ms": statistics.median(alone),
        "median_ms": statistics.median(beside),
        "p95_ms": ordered[int(len(ordered) * 0.95)],
        "most_ms": ordered[-1],
    }


def _scraped_ms(url: str) -> list[float]:
    done = subprocess.run(
        [sys.executable, "-c", CLIENT, url, str(SCRAPES)], capture_output=True, text=True, check=True, timeout=600
    )
    found: list[float] = json.loads(done.stdout)
    return found


@contextmanager
def _busy(directory: Path) -> Iterator[None]:
    """Two threads as of a recovery: records are decoded, and rows written to RocksDB."""
    done = threading.Event()
    db = rocksdict.Rdict(str(directory / "db"), options_of(rocksdict.Cache(32 * _MIB), memtable_bytes=8 * _MIB))
    records = [(f"app-{number}/p".encode(), os.urandom(300)) for number in range(10_000)]
    text = json.dumps({f"field-{number}": number for number in range(200)})

    def write() -> None:
        while not done.is_set():
            db.write(batch_of(records))

    def decode() -> None:
        while not done.is_set():
            json.loads(text)

    threads = [threading.Thread(target=each) for each in (write, decode)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join()
        db.close()


def workers(runs: int, events: int) -> dict[str, Any]:
    """Whole workers on a broker, in turns: events a second, and CPU seconds for a million events."""
    seen: dict[str, list[dict[str, Any]]] = {"uncounted": [], "counted": [], "scraped": []}
    with open_session() as session:
        source = publish(session, "health", Workload(events, APPLICATIONS), for_peers=False)
        for run in range(runs):
            for name, found in seen.items():
                port = free_port()
                with _scraped_every_second(port if name == "scraped" else None):
                    figures = measure(session, source, _side(name, port), f"{session.name}-{name}-{run}")
                for problem in figures.wrong:
                    say(problem)
                found.append({"events_per_s": figures.events_per_s, "cpu_s": figures.cpu_s_per_million})
                speed, cpu_s = figures.events_per_s or 0, figures.cpu_s_per_million
                say(f"{name}: {speed:,.0f} events/s, {cpu_s:.1f} CPU s a million")
    medians = {name: statistics.median(one["cpu_s"] for one in found) for name, found in seen.items()}
    share = medians["scraped"] / medians["uncounted"] - 1
    say(f"counting and a scrape a second cost {share:.2%} of a worker's CPU time")
    return {"runs": seen, "median_cpu_s_per_million": medians, "share": share}


def _side(name: str, port: int) -> Side:
    """The worker of this tree, not compiled; uncounted, or with an address."""
    plain = SIDES["worker-py"]

    def launch(*arguments: Any) -> Any:
        found = plain.launch(*arguments)
        if name == "uncounted":
            return replace(found, command=(sys.executable, str(uncounted_worker.__file__), "run"))
        address = {"CONSOLIDATOR_HEALTH_ADDRESS": f"127.0.0.1:{port}"} if name == "scraped" else {}
        return replace(found, variables=found.variables | address)

    return replace(plain, launch=launch)


@contextmanager
def _scraped_every_second(port: int | None) -> Iterator[None]:
    done = threading.Event()

    def scrape() -> None:
        while not done.wait(1.0):
            for path in ("metrics", "livez"):
                # It is not there yet, or not any more; or it is not ready, which is no matter here.
                with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=5) as answer:
                    answer.read()

    thread = threading.Thread(target=scrape)
    if port is not None:
        thread.start()
    try:
        yield
    finally:
        done.set()
        if port is not None:
            thread.join()


if __name__ == "__main__":
    main()
