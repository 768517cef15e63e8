"""What every fault scenario of a sink has: workers, a load, somebody who looks, an erasure; and how it ends."""

import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from itertools import pairwise
from typing import Any, Self

from consolidator.keys import parse_event_key
from tests.databases.snapshots import Reader
from tests.fault_runs.database_watch import DatabaseWatch
from tests.fault_runs.figures import Figures
from tests.fault_runs.scale import SEED, scale
from tests.fault_runs.sink_load import application_to_erase, sink_records
from tests.fault_runs.sinks import Sinks
from tests.fault_runs.steady_load import SteadyLoad
from tests.inputs.workloads import load_catalogue, parse_json
from tests.oracle.checker import Observed, Report
from tests.oracle.database_view import DatabaseView, compare, without_application
from tests.real_kafka.installation import Installation
from tests.real_kafka.transactions import committed_transactions
from tests.real_kafka.worker_process import CONSOLIDATOR, WorkerProcess

__all__ = ["SinkScene"]

RATE = scale("SINK_RATE", short=150, long=100)
"""Events a second: rows are written all the time, and the oracle can fold what comes together."""

SNAPSHOTS_S = scale("SINK_SNAPSHOTS_S", short=3, long=8)
MOST_SNAPSHOTS = 20
WORKERS = 2
LIMIT_S = 240.0
ERASURE_LIMIT_S = "120"


class SinkScene:
    """One installation with a database, as long as a ``with`` block lasts.

    Args:
        installation: where.
        reader: the database.
        record: shows and saves the figures.

    Attributes:
        sinks: of the database; none is started yet.
        workers: those that run.
        rng: of the scenario's choices and moments.
    """

    def __init__(self, installation: Installation, reader: Reader, record: Callable[[Figures], None]) -> None:
        self.installation = installation
        self.reader = reader
        self.sinks = Sinks(installation, reader)
        self.workers: list[WorkerProcess] = []
        self.rng = random.Random(SEED)
        self._record = record
        self._begun = time.monotonic()
        self._stack = ExitStack()
        self._erased, self._records, self._late = application_to_erase(installation, SEED)
        self._erasure: WorkerProcess | None = None
        self._watch = DatabaseWatch(reader, SEED, snapshots_s=SNAPSHOTS_S, most=MOST_SNAPSHOTS)

    def __enter__(self) -> Self:
        self.installation.publish_raw(self._records)
        for _ in range(WORKERS):
            self.start_worker()
        records = sink_records(self.installation, SEED)
        self._stack.enter_context(SteadyLoad(self.installation, RATE, SEED, records=records))
        self._stack.enter_context(self._watch)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def start_worker(self) -> WorkerProcess:
        """Start one more worker."""
        worker = self.installation.start()
        self.workers.append(worker)
        return worker

    def kill_worker(self, worker: WorkerProcess) -> None:
        """SIGKILL."""
        worker.kill()
        self.workers.remove(worker)

    def change_workers(self) -> None:
        """A third worker joins; or, where there are three, one leaves in order."""
        if len(self.workers) == WORKERS:
            self.start_worker()
            return
        leaving = self.rng.choice(self.workers)
        # Before that Python has not come as far as hearing signals.
        leaving.wait(lambda: leaving.entries("worker process started"), "its first word", limit_s=LIMIT_S)
        leaving.stop()
        self.workers.remove(leaving)

    def wait_moment(self, most_s: float) -> None:
        """The schedule's random moment: nothing is waited for."""
        time.sleep(self.rng.uniform(0, most_s))

    def erase(self) -> None:
        """Begin to erase an application; nobody waits for it yet."""
        self._erasure = self.installation.start_program(
            str(CONSOLIDATOR), "erase", self._erased, "--yes", "--timeout", ERASURE_LIMIT_S
        )

    def is_at_work(self, sink: WorkerProcess) -> bool:
        """Whether a sink has partitions, and workers have consolidated something there that the rows do not show."""
        owned = self.sinks.owned(sink)
        if not owned:
            return False
        consolidated, positions = self.installation.committed(), self.sinks.positions()
        return any(consolidated[partition] > positions[partition] for partition in owned)

    def wait_at_work(self, sink: WorkerProcess, limit_s: float) -> bool:
        """Wait until a sink is at work; False: it was not within the limit."""
        deadline = time.monotonic() + limit_s
        while not self.is_at_work(sink):
            if time.monotonic() >= deadline:
                return False
        return True

    def conclude(
        self, scenario: str, fault: str, *, held: str = "", faults: int, recovery_s: tuple[float, ...] = (), **more: Any
    ) -> Report:
        """End the scenario; fails where something does not finish in order, or a law is broken.

        1. The load ends, the erasure is completed, and an event of the erased application comes late.
        2. Workers and sinks come to the end, and stop with exit code 0.
        3. The topics are held against the oracle, and the database against both: at its end, and at every moment at
           which somebody looked.
        4. The figures are shown and saved, and every law has to hold.

        Args:
            scenario: its short name.
            fault: what was done, in words.
            held: what was seen to hold besides the laws.
            faults: how often the fault landed in the middle of work.
            recovery_s: seconds from each fault to new rows in every partition.
            **more: further figures.
        """
        # 1.
        self._stack.close()
        assert self._erasure is not None, "every scenario erases an application"
        assert self._erasure.wait_exit(limit_s=LIMIT_S) == 0, self._erasure.tail()
        self.installation.publish_raw([self._late])
        # 2.
        self.installation.wait_consumed(*self.workers, limit_s=LIMIT_S)
        self.sinks.wait_through(limit_s=LIMIT_S)
        for worker in self.workers:
            worker.stop()
        self.sinks.stop()
        # 3.
        observed = self.installation.observe()
        report = self.installation.report(without_application(observed, self._erased))
        compared = self._compare(observed, report)
        # 4.
        held = f"the laws; the oracle's view in every table, in every snapshot and at the end{held}"
        figures = Figures.of(
            report,
            scenario,
            fault=fault,
            held=held,
            faults=faults,
            recovery_s=recovery_s,
            seeds=(SEED,),
            transactions=committed_transactions(self.installation.config, self.installation.name),
            more={
                "rows compared": compared,
                "snapshots": len(self._watch.snapshots),
                "glances": self._watch.glances,
                "took, s": round(time.monotonic() - self._begun),
            }
            | {name.replace("_", " "): value for name, value in more.items()},
        )
        self._record(replace(figures, events=len(observed.source)))
        report.require()
        return report

    def _compare(self, observed: Observed, report: Report) -> int:
        """Hold every look at the database against the oracle; how many rows were compared."""
        last = self.reader.snapshot(documents=True)
        looks = [*self._watch.snapshots, last]
        for before, after in pairwise(looks):
            report.disordered += [
                f"the cut of partition {partition} went back from {offset} to {after.positions.get(partition)}"
                for partition, offset in before.positions.items()
                if after.positions.get(partition, -1) < offset
            ]
        report.disordered += self._watch.problems
        view = DatabaseView(load_catalogue(), observed, self.installation.partitions, erased=self._erased)
        compared = 0
        for number, look in enumerate(looks, 1):
            view.advance(look.positions)
            compared += compare(view.rows(), look.rows(), report, where=f"look {number} of {len(looks)}")
        published = _documents(observed, self._erased)
        report.lost += [f"the document of {one[:2]}" for one in (published - last.documents).elements()]
        report.unexpected += [f"the document of {one[:2]}" for one in (last.documents - published).elements()]
        if mentions := self.reader.mentions(self._erased):
            report.unexpected.append(f"{mentions} rows of the application that was erased")
        return compared + last.documents.total()


def _documents(observed: Observed, erased: str) -> Counter[tuple[str, str, str]]:
    """Application, id and text of every change that is in the topic."""
    found: Counter[tuple[str, str, str]] = Counter()
    for record in observed.changes:
        identity = parse_event_key(record.key or b"")
        if identity is not None and identity[0] != erased and record.value is not None:
            found[*identity, record.value.decode()] += 1
    assert all(parse_json(text)["id"] == change for _, change, text in found)
    return found
