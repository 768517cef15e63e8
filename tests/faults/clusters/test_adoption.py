"""A large partition goes over to another ruleset while workers join, leave and are killed, and events wait for nothing.

The refold is beside the work; at the record the partition goes over at once. How long events wait is measured from when
they are published to when the group has committed them.
"""

import contextlib
import threading
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Self

import pytest
from confluent_kafka import KafkaException

from consolidator.keys import partition_of
from tests.fault_runs.figures import Figures
from tests.fault_runs.scale import LONG, SEED, scale
from tests.fault_runs.steady_load import SteadyLoad
from tests.inputs.design_workload import design_workload
from tests.real_kafka.adoptions import adoptions, going_over, next_catalogue_in, verified
from tests.real_kafka.installation import Installation
from tests.real_kafka.installed import installed
from tests.real_kafka.worker_process import WorkerProcess, tails, wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

EVENTS = scale("ADOPTION_EVENTS", short=40_000, long=2_000_000)
"""Of the large partition."""

EVENTS_PER_APPLICATION = 20
PARTITIONS = 2
LARGE = 0
OTHERS = 2
KILLS = 2
"""Workers that join and leave."""

EVERY_S = scale("ADOPTION_JOINS_S", short=12, long=30)
RATE = 100
PROCESSORS = 5
LIMIT_S = 240.0 + EVENTS / 500

OTHER_WAITS_S = 5.0
LARGE_WAITS_S = 10.0
AFTER_KILL_S = 15.0
AFTER_REBALANCE_S = 5.0
"""What the events of the other partitions and of this one may wait for, and when longer waits are no news."""

MEMORY_MIB = 1_024
_SAMPLE_S = 0.1


class Waits:
    """How long events waited, by when they were published: a thread asks what the group has committed."""

    def __init__(self, installation: Installation, load: SteadyLoad) -> None:
        self._installation = installation
        self._load = load
        self._samples: dict[int, list[tuple[int, float]]] = defaultdict(list)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="waits")
        self._ended = 0.0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._ended = time.monotonic()

    def _sample(self) -> None:
        while not self._stop.wait(_SAMPLE_S):
            try:
                committed = self._installation.committed()
            except KafkaException:
                continue
            for partition, offset in committed.items():
                self._samples[partition].append((offset, time.monotonic()))

    def of(self, partition: int) -> list[tuple[float, float]]:
        """When each event was published, and how long it waited; in monotonic seconds."""
        samples = self._samples[partition]
        offsets = [offset for offset, _ in samples]
        found = []
        for published, offset in self._load.published(partition):
            at = bisect_left(offsets, offset + 1)
            found.append((published, (samples[at][1] if at < len(samples) else self._ended) - published))
        return found


class Crew:
    """Workers of the next ruleset: one that is there from the beginning, and others that join and leave.

    In the short form they kill themselves at two places of the adoption: the first worker at the first place, and all
    that start behind its end at the second one, until one has reached it. In the long form whoever has the large
    partition is killed while it is folded again.
    """

    PLACES = ("announced:kill:1", "part:kill:1")

    def __init__(self, installation: Installation, catalogue: Path) -> None:
        self._installation = installation
        self._over = going_over(catalogue)
        self._lock = threading.Lock()
        self._mourned: set[int] = set()
        self._progress = 0
        self.workers: list[WorkerProcess] = []
        self.kills: list[float] = []
        self.peak_mib = 0.0

    def start(self) -> WorkerProcess:
        with self._lock:
            place = {} if LONG or len(self.kills) >= KILLS else {"CONSOLIDATOR_FAILPOINT": self.PLACES[len(self.kills)]}
            worker = self._installation.start(**self._over, **place)
            self.workers.append(worker)
            return worker

    @property
    def alive(self) -> list[WorkerProcess]:
        return [worker for worker in self.workers if worker.exit_code is None]

    def is_done(self) -> bool:
        """Whether both partitions have gone over and the kills have landed; for each of the dead another one comes."""
        for worker in self.alive:
            self.peak_mib = max(self.peak_mib, memory_mib(worker))
        if LONG:
            self._kill_owner()
        for worker in list(self.workers):
            assert worker.exit_code in {None, 0, -9}, worker.tail()
            if worker.exit_code == -9 and worker.pid not in self._mourned:
                self._mourned.add(worker.pid)
                self.kills.append(time.monotonic())
                self.start()
        return len(self.kills) >= KILLS and self._have_gone_over()

    def _have_gone_over(self) -> bool:
        """Whether the group's offsets are behind both adoptions.

        The workers' log lines do not say it: one that was killed may have committed the last part, and said nothing.
        """
        adopted = {
            one["partition"]: one["offset"] for worker in self.workers for one in worker.entries("ruleset adopted")
        }
        if len(adopted) < PARTITIONS:
            return False
        committed = self._installation.committed()
        return all(committed.get(partition, 0) > offset for partition, offset in adopted.items())

    def _kill_owner(self) -> None:
        """Kill whoever folds the large partition again, when it has said so often enough since the last kill."""
        for worker in self.alive:
            told = [one for one in worker.entries("partition is folded again") if one["partition"] == LARGE]
            if len(self.kills) < KILLS and told and told[-1]["events"] > self._progress + EVENTS // 10:
                self._progress = told[-1]["events"]
                worker.kill()

    @contextmanager
    def coming_and_going(self) -> Iterator[None]:
        """Others join one after the other, stay for some turns, and leave.

        In the short form they begin when the first kill has landed. One that started before it would not be armed for
        the second place, and could take the large partition over without a kill.
        """
        stop = threading.Event()

        def come_and_go() -> None:
            others: list[WorkerProcess] = []
            # The schedule's clock, nothing is waited for.
            while not stop.wait(EVERY_S):
                if not LONG and not self.kills:
                    continue
                others = [worker for worker in others if worker.exit_code is None]
                if len(others) < OTHERS:
                    others.append(self.start())
                else:
                    others.pop(0).terminate()

        thread = threading.Thread(target=come_and_go, name="coming and going")
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def disturbances(self) -> list[tuple[float, float]]:
        """From when to when longer waits are no news, in monotonic seconds; in order, and none in another one."""
        offset = time.monotonic() - time.time()
        found = [(moment, moment + AFTER_KILL_S) for moment in self.kills]
        for worker in self.workers:
            begun = None
            for entry in worker.entries():
                if entry.get("event") in _REBALANCES:
                    moment = datetime.fromisoformat(entry["timestamp"]).timestamp() + offset
                    found.append((moment if begun is None else begun, moment + AFTER_REBALANCE_S))
                    begun = None if entry["event"] == "partitions ready" else moment
        merged: list[tuple[float, float]] = []
        for start, end in sorted(found):
            if merged and start <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((start, end))
        return merged


_REBALANCES = frozenset({"partitions released", "partitions acquired", "partitions ready"})


def memory_mib(worker: WorkerProcess) -> float:
    """The greatest resident sizes so far of a worker and of the process that folds for it."""
    total = 0.0
    with contextlib.suppress(FileNotFoundError, ProcessLookupError, StopIteration):
        children = Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text(encoding="ascii").split()
        for pid in (worker.pid, *children):
            status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
            total += next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM"))
    return total


def longest_wait(waits: Waits, partition: int, disturbances: list[tuple[float, float]]) -> float:
    """How long an event of a partition waited at most, without what disturbances took of it."""
    longest = 0.0
    for published, waited in waits.of(partition):
        excused = sum(max(0.0, min(end, published + waited) - max(start, published)) for start, end in disturbances)
        longest = max(longest, waited - excused)
    return longest


def large_messages(installation: Installation, seed: int):
    """The design's workload, as much of it as fills the large partition; the other one gets its share of a tenth."""
    taken = 0
    applications = 2 * EVENTS // EVENTS_PER_APPLICATION
    for number in count():
        if taken >= EVENTS:
            return
        for message in design_workload(2 * EVENTS, applications, seed + number, processors=PROCESSORS):
            if partition_of(message.application_id, installation.partitions) == LARGE:
                taken += 1
            elif message.application_id[-1] != "0":
                continue
            yield message
            if taken >= EVENTS:
                return


@pytest.mark.timeout(300 + EVENTS / 100)
def test_a_large_partition_goes_over_while_workers_come_and_go(kafka, tmp_path, record_figures):
    """It ends; a replay finds no difference; and outside of kills and rebalances no event waits long."""
    with installed(kafka, tmp_path, CONSOLIDATOR_PARTITIONS=str(PARTITIONS)) as installation:
        catalogue = next_catalogue_in(tmp_path)
        installation.publish_messages(large_messages(installation, SEED))
        before = installation.start().wait_ready(PARTITIONS)
        installation.wait_consumed(before, limit_s=LIMIT_S)
        before.stop()
        crew = Crew(installation, catalogue)
        begun = time.monotonic()
        crew.start().wait_ready(PARTITIONS)
        with SteadyLoad(installation, RATE, SEED + 1) as load, Waits(installation, load) as waits:
            with crew.coming_and_going():
                wait_until(
                    crew.is_done, "both partitions to go over", limit_s=LIMIT_S, details=lambda: tails(crew.workers)
                )
            took_s = time.monotonic() - begun
            # Whoever leaves does so in order, and the rest is consumed.
            load.wait_folded(time.monotonic(), crew.alive[0], limit_s=LIMIT_S)
        conclude_adoption(installation, catalogue, crew, waits, took_s, record_figures)


def conclude_adoption(installation, catalogue, crew, waits, took_s, record_figures):
    """Stop everybody, verify, and judge the waits."""
    installation.wait_consumed(*crew.alive, limit_s=LIMIT_S)
    for worker in crew.alive:
        worker.stop()
    summary = verified(installation, catalogue)
    disturbances = crew.disturbances()
    longest = {partition: longest_wait(waits, partition, disturbances) for partition in range(PARTITIONS)}
    at_all = max(longest_wait(waits, partition, []) for partition in range(PARTITIONS))
    [entry] = [
        one
        for worker in crew.workers
        for one in worker.entries("the partition has gone over to the new ruleset")
        if one["partition"] == LARGE
    ]
    record_figures(
        Figures(
            "adoption",
            f"a partition of {EVENTS:,} events adopts another ruleset; two workers join and leave every {EVERY_S} s, "
            "and its owner is killed twice",
            "verification over the switch finds nothing; no event waits long",
            events=EVENTS,
            faults=len(crew.kills),
            wrong=summary["differences"],
            seeds=(SEED,),
            more={
                "longest wait in it, s": round(longest[LARGE], 1),
                "longest wait elsewhere, s": round(longest[1 - LARGE], 1),
                "longest wait of all, kills and rebalances included, s": round(at_all, 1),
                "went over in, s": entry["took_s"],
                "pairs in the last part of it": entry["pairs"],
                "took, s": round(took_s),
                "peak memory with its process, MiB": round(crew.peak_mib),
            },
        )
    )
    assert adoptions(installation) == dict.fromkeys(range(PARTITIONS), 1)
    assert summary["differences"] == 0
    assert longest[LARGE] <= LARGE_WAITS_S, longest
    assert longest[1 - LARGE] <= OTHER_WAITS_S, longest
    assert crew.peak_mib < MEMORY_MIB
