"""``kill -9`` of the worker in the middle of the design's load, then every law against the independent oracle.

The short form is part of every test run. The long form is the same test, told by environment variables:

    CONSOLIDATOR_FAULT_EVENTS=200000 CONSOLIDATOR_FAULT_KILLS=10 pytest tests/faults/test_kill9.py

CONSOLIDATOR_FAULT_SEED repeats a run's workload and schedule; by default every run has another, which it prints. The
schedule is given in progress, not in time: a kill counts only where it landed between 5 % and 95 % of the source. The
design's load is plain; strangers' records and bad ones are mixed in, because no row protects what becomes of them.
"""

import os
import random
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from tests.bad_inputs import BAD_KEY
from tests.checker import Report
from tests.design_workload import Message, design_workload
from tests.installation import Installation, Raw
from tests.worker_process import WorkerProcess
from topics.keys import partition_of

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

EVENTS = int(os.environ.get("CONSOLIDATOR_FAULT_EVENTS", "40000"))
KILLS = int(os.environ.get("CONSOLIDATOR_FAULT_KILLS", "3"))
SEED = int(os.environ.get("CONSOLIDATOR_FAULT_SEED") or random.SystemRandom().randrange(1_000_000))

EVENTS_PER_APPLICATION = 20
FOREIGN_SHARE = 0.02
BAD_SHARE = 0.01

LEAST_PROGRESS, MOST_PROGRESS = 0.05, 0.95
LAST_PROGRESS = 0.9
"""The last kill is planned no later: the worker goes on while it is being killed."""
LATEST_MOMENT_S = 0.05
"""After the progress that was waited for: so that no kill depends on where a commit ends."""

BATCH_EVENTS = 250
"""Small batches are many transactions, and so many places to die in."""

RUN_LIMIT_S = 300.0
LIMIT_S = 120 + EVENTS / 500


@dataclass
class Figures:
    """What a run prints."""

    seed: int
    kills: int
    landed: list[float] = field(default_factory=list)
    recovery_s: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        recovery = (
            f"{statistics.median(self.recovery_s):.1f} s median, {max(self.recovery_s):.1f} s max"
            if self.recovery_s
            else "none"
        )
        places = " ".join(f"{progress:.0%}" for progress in self.landed)
        return f"seed {self.seed}, kills landed {len(self.landed)} of {self.kills} at {places}; recovery {recovery}"


@pytest.mark.timeout(LIMIT_S)
def test_the_laws_hold_after_kills_in_the_middle_of_work(installation, capsys):
    """Killed at random moments, the worker loses nothing and doubles nothing, and its table equals the oracle's."""
    figures = Figures(SEED, KILLS)
    applications = max(1, EVENTS // EVENTS_PER_APPLICATION)
    rng = random.Random(SEED)
    messages = design_workload(EVENTS, applications, SEED)
    installation.publish_raw(record for m in messages for record in records_of(m, installation.partitions, rng))
    worker = kill_repeatedly(installation, figures, rng)
    installation.wait_consumed(worker, limit_s=RUN_LIMIT_S)
    worker.stop()
    report = installation.report(installation.observe(state=installation.state_dir))
    with capsys.disabled():
        print(f"\n{figures}\n{summary(report)}")  # noqa: T201 - a run tells its seed and figures
    report.require()
    assert len(figures.landed) > KILLS // 2, figures


def records_of(message: Message, partitions: int, rng: random.Random) -> Iterator[Raw]:
    """The message, now and then as a stranger publishes it, and now and then with a bad record before it."""
    if rng.random() < BAD_SHARE:
        yield BAD_KEY + message.key, message.value[:-1], rng.randrange(partitions)
    if rng.random() < FOREIGN_SHARE:
        yield message.application_id.encode(), message.value, rng.randrange(partitions)
    else:
        yield message.key, message.value, partition_of(message.application_id, partitions)


def kill_repeatedly(installation: Installation, figures: Figures, rng: random.Random) -> WorkerProcess:
    """Kill and restart the worker as often as planned; returns the last one, which is at work."""
    worker = start(installation)
    span = (LAST_PROGRESS - LEAST_PROGRESS) / figures.kills
    for number in range(figures.kills):
        installation.wait_progress(LEAST_PROGRESS + span * (number + rng.random()), worker, limit_s=RUN_LIMIT_S)
        # The schedule's random moment, nothing is waited for.
        time.sleep(rng.uniform(0, LATEST_MOMENT_S))
        worker.kill()
        before = installation.progress()
        if LEAST_PROGRESS < before < MOST_PROGRESS:
            figures.landed.append(before)
        worker = start(installation)
        if before < 1:
            wait_beyond(before, installation, worker)
            figures.recovery_s.append(time.monotonic() - worker.started_at)
    return worker


def wait_beyond(before: float, installation: Installation, worker: WorkerProcess) -> None:
    worker.wait(lambda: installation.progress() > before, "new work to be committed", limit_s=RUN_LIMIT_S)


def start(installation: Installation) -> WorkerProcess:
    # Static membership: the restarted worker gets its partitions back without waiting for the session timeout.
    return installation.start(CONSOLIDATOR_BATCH_EVENTS=str(BATCH_EVENTS), CONSOLIDATOR_INSTANCE_ID="the-worker")


def summary(report: Report) -> str:
    return (
        f"events {report.events:,}, changes {report.changes:,}, rows compared {report.rows:,}; "
        f"lost {len(report.lost)}, duplicated {len(report.duplicated)}, altered {len(report.altered)}, "
        f"unexpected {len(report.unexpected)}, disordered {len(report.disordered)}, "
        f"state mismatches {len(report.state)}"
    )
