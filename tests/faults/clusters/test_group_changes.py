"""Workers come and go under load: one owner a partition at every moment, the laws, and no rebalance storm."""

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate, pairwise

import pytest

from tests.fault_runs.scale import SEED, scale
from tests.inputs.design_workload import design_workload
from tests.real_kafka.installation import Installation
from tests.real_kafka.worker_process import WorkerProcess, tails, wait_shared_out, wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

ROUNDS = scale("GROUP_ROUNDS", short=1, long=3)

ROUND = ("join", "join", "leave", "kill")
"""What happens in a round, in a random order; afterwards there are as many workers as before."""

SCHEDULE = (
    ("join", None),
    ("kill", "oldest"),
    ("join", None),
    ("join", None),
    ("leave", "newest"),
    ("leave", "oldest"),
)
"""Every kind of change, of a worker that has long been there and of one that has just come; what, and who."""

FIRST_WORKERS = 2
LEAST_WORKERS, MOST_WORKERS = 1, 4
ROLLED_WORKERS = 3
BATCH_EVENTS = "100"
EVENTS_A_SECOND = 400
CHANGE_LIMIT_S = 90.0

SESSION_TIMEOUT_S = "20"
"""For a rolling restart: a worker is back before its session ends, on a busy machine too."""


@dataclass
class Ownership:
    """One worker's claim to one partition.

    Attributes:
        worker: its process id.
        partition: the partition.
        start: when it said that the partition is ready, in seconds.
        end: when it said that it gave it up, or when it was dead.
    """

    worker: int
    partition: int
    start: float
    end: float


class Group:
    """The workers of one installation, those that ended too."""

    def __init__(self, installation: Installation, **variables: str) -> None:
        self._installation = installation
        self._variables = {"CONSOLIDATOR_BATCH_EVENTS": BATCH_EVENTS} | variables
        self._dead_at: dict[int, float] = {}
        self.started: list[WorkerProcess] = []

    @property
    def alive(self) -> list[WorkerProcess]:
        return [worker for worker in self.started if worker.pid not in self._dead_at]

    def start(self, **variables: str) -> WorkerProcess:
        worker = self._installation.start(**self._variables, **variables)
        self.started.append(worker)
        return worker

    def stop(self, worker: WorkerProcess) -> None:
        worker.stop()
        self._dead_at[worker.pid] = datetime.now(UTC).timestamp()

    def kill(self, worker: WorkerProcess) -> None:
        worker.kill()
        self._dead_at[worker.pid] = datetime.now(UTC).timestamp()

    def wait_settled(self) -> None:
        """Wait until the living have all partitions between them, and each has one."""
        self._wait_shared_out(WorkerProcess.owned, "every partition to have an owner")

    def wait_called_together(self) -> None:
        """Wait until the group has noticed the last change: the living have acquired all partitions, each some.

        Not until they are ready. Whoever leaves before it was given any partition moves none, so that counting
        rebalances would wait for ever.
        """
        self._wait_shared_out(WorkerProcess.held, "every partition to be acquired by a worker")

    def check_alive(self) -> None:
        """Nobody has ended by himself; if so, what everybody said, as one's end may be another's doing."""
        assert all(worker.exit_code is None for worker in self.alive), tails(self.started)

    def _wait_shared_out(self, claimed: Callable[[WorkerProcess], set[int]], what: str) -> None:
        wait_shared_out(self._installation.partitions, self.alive, claimed=claimed, what=what, limit_s=CHANGE_LIMIT_S)

    def rebalances(self) -> int:
        """How often a worker acquired partitions, over all workers."""
        return sum(len(worker.entries("partitions acquired")) for worker in self.started)

    def ownerships(self) -> Iterator[Ownership]:
        """Every claim that the workers' logs tell of."""
        for worker in self.started:
            since: dict[int, float] = {}
            for entry in worker.entries():
                if entry.get("event") == "partitions ready":
                    since |= dict.fromkeys(map(int, entry["offsets"]), moment(entry))
                elif entry.get("event") == "partitions released":
                    for partition in entry["partitions"]:
                        if partition in since:
                            yield Ownership(worker.pid, partition, since.pop(partition), moment(entry))
            end = self._dead_at.get(worker.pid, float("inf"))
            for partition, start in since.items():
                yield Ownership(worker.pid, partition, start, end)

    def finish(self) -> int:
        """The living consume what is left and stop; no two claims to a partition overlapped.

        Returns:
            How many claims there were.
        """
        self._installation.wait_consumed(*self.alive)
        for worker in self.alive:
            self.stop(worker)
        claims = sorted(self.ownerships(), key=lambda claim: (claim.partition, claim.start))
        for earlier, later in pairwise(claims):
            assert earlier.partition != later.partition or earlier.end <= later.start, (earlier, later)
        return len(claims)


def moment(entry: Mapping[str, str]) -> float:
    return datetime.fromisoformat(entry["timestamp"]).timestamp()


@contextmanager
def load(installation: Installation, seed: int) -> Iterator[None]:
    """Publish at a steady rate, until the context ends."""
    over = threading.Event()
    failures: list[BaseException] = []

    def publish() -> None:
        messages = design_workload(1_000_000, 400, seed)
        try:
            while not over.is_set():
                begun = time.monotonic()
                installation.publish_messages(next(messages) for _ in range(EVENTS_A_SECOND // 4))
                over.wait(max(0.0, 0.25 - (time.monotonic() - begun)))
        except BaseException as error:
            failures.append(error)
            raise

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(CHANGE_LIMIT_S)
    assert not thread.is_alive()
    assert not failures, failures


def wait_beyond(installation: Installation, group: Group, before: int) -> None:
    """Wait until more than that many offsets are committed."""

    def moved() -> bool:
        group.check_alive()
        return sum(installation.committed().values()) > before

    wait_until(moved, "new work to be committed", limit_s=CHANGE_LIMIT_S)


def random_round(rng: random.Random) -> list[str]:
    """A round in a random order that leaves at every moment at least one worker, and at most four."""
    while True:
        kinds = rng.sample(ROUND, len(ROUND))
        workers = accumulate((1 if kind == "join" else -1 for kind in kinds), initial=FIRST_WORKERS)
        if all(LEAST_WORKERS <= number <= MOST_WORKERS for number in workers):
            return kinds


def change(group: Group, kind: str, choose: Callable[[list[WorkerProcess]], WorkerProcess]) -> None:
    """A worker joins, leaves in order or is killed."""
    if kind == "join":
        group.start()
        return
    worker = choose(group.alive)
    # Before that Python has not come as far as hearing signals.
    worker.wait(lambda: worker.entries("worker process started"), "its first word", limit_s=CHANGE_LIMIT_S)
    if kind == "leave":
        group.stop(worker)
    else:
        group.kill(worker)


@pytest.mark.timeout(300 + 240 * ROUNDS)
def test_workers_join_and_leave_at_random(installation, conclude):
    """Whoever comes, goes or dies, in any order: one owner a partition at every moment, and every law holds."""
    rng = random.Random(SEED)
    kinds = [kind for _ in range(ROUNDS) for kind in random_round(rng)]
    group = Group(installation)
    for _ in range(FIRST_WORKERS):
        group.start()
    group.wait_settled()
    recovery_s = []
    with load(installation, SEED):
        for kind in kinds:
            wait_beyond(installation, group, sum(installation.committed().values()))
            begun = time.monotonic()
            change(group, kind, rng.choice)
            # Now and then the next change comes before the group has settled after this one.
            if rng.random() < 0.7:
                group.wait_settled()
            wait_beyond(installation, group, sum(installation.committed().values()))
            recovery_s.append(time.monotonic() - begun)
    group.wait_settled()
    claims = group.finish()
    conclude(
        installation,
        scenario="10 join and leave",
        fault="workers join, leave by SIGTERM and are killed at random, 1 to 4 of them, under load",
        held="the laws; one owner a partition at every moment",
        faults=len(kinds),
        recovery_s=tuple(recovery_s),
        seeds=(SEED,),
        more={"changes": ", ".join(kinds), "claims to a partition": claims, "rebalances": group.rebalances()},
    )


@pytest.mark.timeout(600)
@pytest.mark.parametrize("pace", ["settled", "at once"])
def test_workers_join_and_leave_by_schedule(installation, conclude, pace):
    """The same changes each time, one by one or each in the middle of the recovery after the last: the laws hold."""
    choices = {"oldest": lambda alive: alive[0], "newest": lambda alive: alive[-1], None: None}
    group = Group(installation)
    for _ in range(FIRST_WORKERS):
        group.start()
    group.wait_settled()
    recovery_s = []
    with load(installation, 102):
        for kind, who in SCHEDULE:
            begun = time.monotonic()
            before = sum(installation.committed().values())
            change(group, kind, choices[who])
            if pace == "settled":
                group.wait_settled()
                wait_beyond(installation, group, before)
                recovery_s.append(time.monotonic() - begun)
            else:
                group.wait_called_together()
    group.wait_settled()
    claims = group.finish()
    conclude(
        installation,
        scenario=f"10 by schedule, {pace}",
        fault="workers join, leave by SIGTERM and are killed under load, "
        + ("one change after the other" if pace == "settled" else "each in the recovery after the last change"),
        held="the laws; one owner a partition at every moment",
        faults=len(SCHEDULE),
        recovery_s=tuple(recovery_s),
        more={"claims to a partition": claims, "rebalances": group.rebalances()},
    )


@pytest.mark.timeout(600)
@pytest.mark.parametrize("membership", ["dynamic", "static"])
def test_a_rolling_restart_is_no_rebalance_storm(kafka, tmp_path, conclude, membership):
    """Each of three workers is restarted in turn, under load; a static member gets its partitions back by itself."""
    installation = Installation(kafka, tmp_path, CONSOLIDATOR_SESSION_TIMEOUT_S=SESSION_TIMEOUT_S)
    installation.create_topics()
    names = [f"instance-{number}" for number in range(ROLLED_WORKERS)]
    variables = [{"CONSOLIDATOR_INSTANCE_ID": name} if membership == "static" else {} for name in names]
    group = Group(installation)
    recovery_s = []
    try:
        for given in variables:
            group.start(**given)
        group.wait_settled()
        for worker in group.alive:
            worker.wait_ready()
        with load(installation, 111):
            before = group.rebalances()
            for given, worker in zip(variables, list(group.alive), strict=True):
                wait_beyond(installation, group, sum(installation.committed().values()))
                begun = time.monotonic()
                group.stop(worker)
                group.start(**given).wait_ready()
                group.wait_settled()
                recovery_s.append(time.monotonic() - begun)
            rebalances = group.rebalances() - before
        group.finish()
        conclude(
            installation,
            scenario=f"11 rolling restart, {membership}",
            fault=f"three workers restarted in turn under load, {membership} membership",
            held="the laws; one owner a partition; no rebalance storm",
            faults=ROLLED_WORKERS,
            recovery_s=tuple(recovery_s),
            more={"acquisitions of all workers": rebalances},
        )
        if membership == "static":
            assert rebalances == ROLLED_WORKERS
        else:
            # Without the one that is away two acquire, with it again three.
            assert rebalances <= ROLLED_WORKERS * (ROLLED_WORKERS - 1 + ROLLED_WORKERS)
    finally:
        installation.close()
