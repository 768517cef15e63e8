"""Brokers of a cluster of three die under load; the worker goes on by itself, and every law holds.

The load is published at a steady rate for as long as the faults go on, so each of them lands in the middle of work. A
pause is measured from the kill (of an outage: from its end) until *every* partition has committed work that was
published after it; the controller alone takes ``BROKER_SESSION_TIMEOUT_MS`` to notice a killed broker.
"""

import time
from dataclasses import dataclass, field

import pytest

from tests.fault_runs.scale import SEED, scale
from tests.fault_runs.steady_load import SteadyLoad
from tests.real_kafka.cluster import BROKER_SESSION_TIMEOUT_MS, NODES, Cluster
from tests.real_kafka.installation import Installation
from tests.real_kafka.installed import installed
from tests.real_kafka.worker_process import WorkerProcess

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

KILLS = scale("LEADER_KILLS", short=1, long=5)
ROLLED = scale("ROLLED_BROKERS", short=1, long=len(NODES))
OUTAGE_S = scale("OUTAGE_S", short=10, long=90)
RATE = scale("RATE", short=100, long=200)

APPLICATIONS_OF_TOPICS = 5
PAUSE_LIMIT_S = 120.0
"""For a start, an election, a new coordinator and the first commit after them, on a machine that is very busy."""
DRAIN_LIMIT_S = 120.0
SESSION_TIMEOUT_S = "10"
"""The worker's default: what a restart of its coordinator must not outlast."""

STALLED = "a transaction waits for Kafka: are the brokers up, and enough replicas in sync?"


@dataclass
class Scene:
    """A cluster, a worker under load on it, and the pauses that were seen."""

    cluster: Cluster
    installation: Installation
    worker: WorkerProcess
    load: SteadyLoad
    pauses_s: list[float] = field(default_factory=list)

    def settle(self) -> None:
        """Wait until all replicas are in sync and work is being committed, so that the next fault is the only one."""
        self.cluster.wait_in_sync(topic.name for topic in self.installation.topics)
        self.wait_folded(time.monotonic())

    def kill(self, node: int) -> None:
        """Kill a node in the middle of work, measure the pause, and start it again."""
        self.settle()
        moment = time.monotonic()
        self.cluster.kill(node)
        self.pauses_s.append(self.wait_folded(moment))
        self.cluster.start(node)

    def wait_folded(self, moment: float) -> float:
        """See :meth:`SteadyLoad.wait_folded`."""
        return self.load.wait_folded(moment, self.worker, limit_s=PAUSE_LIMIT_S)


@pytest.fixture
def scene(cluster, tmp_path):
    """A worker on the cluster, and a load that ends with the test's last fault."""
    with installed(
        cluster.bootstrap_servers,
        tmp_path,
        CONSOLIDATOR_REPLICATION_FACTOR="3",
        CONSOLIDATOR_SESSION_TIMEOUT_S=SESSION_TIMEOUT_S,
    ) as installation:
        worker = installation.start().wait_ready(installation.partitions)
        yield Scene(cluster, installation, worker, SteadyLoad(installation, RATE, SEED))


@pytest.fixture
def laws(scene, conclude):
    """Ends a scenario: the same worker drains what is left and stops in order, and every law holds."""

    def check(scenario, *, fault, held):
        conclude(
            scene.installation,
            scene.worker,
            scenario=scenario,
            fault=fault,
            held=f"{held}; the laws",
            faults=len(scene.pauses_s),
            recovery_s=tuple(scene.pauses_s),
            seeds=(SEED,),
            more={"load, events/s": RATE, "broker session timeout, s": BROKER_SESSION_TIMEOUT_MS / 1000},
            state=scene.worker.state(),
            limit_s=DRAIN_LIMIT_S,
        )

    return check


def test_topics_are_applied_although_brokers_hear_of_them_one_by_one(cluster, tmp_path):
    """Whichever broker is asked after the creation, ``topics apply`` finds all seven topics as declared."""
    for number in range(APPLICATIONS_OF_TOPICS):
        installation = Installation(
            cluster.bootstrap_servers, tmp_path / str(number), CONSOLIDATOR_REPLICATION_FACTOR="3"
        )
        try:
            installation.create_topics()
        finally:
            installation.close()


@pytest.mark.timeout(240 + KILLS * 180)
def test_leaders_are_killed(scene, laws):
    """The leader of a busy partition is killed again and again: the same worker goes on after a bounded pause."""
    executions = scene.installation.topics.executions.name
    with scene.load:
        for number in range(KILLS):
            scene.kill(scene.cluster.leader(executions, number % scene.installation.partitions))
    laws("leader killed", fault="kill -9 of the broker that leads a busy partition", held="no worker restarted")


@pytest.mark.timeout(600)
def test_coordinators_are_killed(scene, laws):
    """The group's and the transactions' coordinator die: the worker finds the new ones, the dead broker still down."""
    with scene.load:
        scene.kill(scene.cluster.group_coordinator(scene.installation.name))
        scene.kill(scene.cluster.transaction_coordinator(f"{scene.installation.name}-0"))
    laws(
        "coordinator killed",
        fault="kill -9 of the broker that coordinates the group, then of the one that coordinates a transactional id",
        held="no worker restarted, while the broker was still down",
    )


@pytest.mark.timeout(900)
def test_all_brokers_are_restarted(scene, laws):
    """Restarted one by one in order, and then killed all at once: the same worker goes on."""
    with scene.load:
        for node in NODES[:ROLLED]:
            scene.settle()
            moment = time.monotonic()
            scene.cluster.stop(node)
            scene.cluster.start(node)
            scene.pauses_s.append(scene.wait_folded(moment))
        scene.settle()
        moment = time.monotonic()
        scene.cluster.kill(*NODES)
        scene.cluster.start()
        scene.pauses_s.append(scene.wait_folded(moment))
    laws(
        "all brokers restarted",
        fault=f"orderly restart of {ROLLED} of 3 brokers in turn; then kill -9 of all at once, and a start",
        held="no worker restarted",
    )


@pytest.mark.timeout(480 + OUTAGE_S)
def test_two_of_three_brokers_are_down(scene, laws):
    """Without a majority nothing is committed and nothing lost; with it the same worker goes on by itself."""
    down = (1 + SEED % len(NODES), 1 + (SEED + 1) % len(NODES))
    with scene.load:
        scene.settle()
        began = time.monotonic()
        scene.cluster.kill(*down)
        scene.worker.wait(
            lambda: time.monotonic() - began >= OUTAGE_S and scene.worker.entries(STALLED),
            "the outage's end, and the worker to say that it waits",
            limit_s=OUTAGE_S + PAUSE_LIMIT_S,
        )
        restored = time.monotonic()
        scene.cluster.start(*down)
        scene.pauses_s.append(scene.wait_folded(restored))
    laws(
        "2 of 3 brokers down",
        fault=f"kill -9 of two brokers at once, both back after {OUTAGE_S:.0f} s",
        held="stalls, goes on by itself, no worker restarted",
    )
