"""A real Kafka cluster of three nodes on one machine, whose nodes are killed, stopped and started again one by one."""

import os
import signal
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from confluent_kafka.admin import AdminClient, TopicMetadata

from streams.broker.config import BrokerConfig
from streams.broker.jars import ensure_jars
from streams.broker.node import format_node, launch_node, new_cluster_id, wait_until_ready
from streams.broker.ports import free_port
from streams.broker.process import ended_within, running_pid, terminate
from tests.real_kafka.admin_calls import asked
from tests.real_kafka.worker_process import wait_until

NODES = (1, 2, 3)
LIMIT_S = 90.0
"""For a start, an election or a replica that catches up: seconds on an idle machine."""
STOP_GRACE_S = 30.0
HEAP = "384m"
"""Half of the embedded broker's: three JVMs share the machine with the worker and the oracle."""
BROKER_SESSION_TIMEOUT_MS = 6_000
"""After which a killed node's partitions get other leaders. Kafka's default, 9 s, would be most of each pause."""
BROKER_HEARTBEAT_MS = 1_000


class Cluster:
    """Three nodes, each broker and controller; replication 3, two replicas in sync suffice.

    Args:
        directory: for the nodes' data.
        cache_dir: where the jars are kept.
        broker_session_timeout_ms: the time after which the partitions of a silent node get other leaders.
        properties: further settings of every node.
    """

    def __init__(
        self,
        directory: Path,
        cache_dir: Path,
        *,
        broker_session_timeout_ms: int = BROKER_SESSION_TIMEOUT_MS,
        properties: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._jars = ensure_jars(cache_dir)
        ports: list[int] = []
        while len(ports) < 2 * len(NODES):
            ports.append(free_port(other_than=frozenset(ports)))
        voters = dict(zip(NODES, ports[len(NODES) :], strict=True))
        self._configs = {
            node: BrokerConfig(
                directory / f"node-{node}",
                port,
                voters[node],
                node_id=node,
                voters=voters,
                properties={
                    "broker.session.timeout.ms": str(broker_session_timeout_ms),
                    "broker.heartbeat.interval.ms": str(BROKER_HEARTBEAT_MS),
                    **properties,
                },
                heap=HEAP,
            )
            for node, port in zip(NODES, ports, strict=False)
        }
        self._cluster_id = new_cluster_id()
        self.bootstrap_servers = ",".join(config.bootstrap_servers for config in self._configs.values())
        self._admin = AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 2})

    def start(self, *nodes: int) -> None:
        """Start nodes, all by default, and wait until each answers; a majority has to be up then."""
        for node in nodes or NODES:
            format_node(self._configs[node], self._jars, self._cluster_id)
            launch_node(self._configs[node], self._jars)
        for node in nodes or NODES:
            wait_until_ready(self._configs[node], limit_s=LIMIT_S)

    def kill(self, *nodes: int) -> None:
        """``kill -9``, all at once."""
        pids = {node: running_pid(self._configs[node].pid_file) for node in nodes}
        for node, pid in pids.items():
            assert pid is not None, f"node {node} is not running"
            os.kill(pid, signal.SIGKILL)
        for node, pid in pids.items():
            assert ended_within(self._configs[node].pid_file, LIMIT_S), f"node {node} survived SIGKILL"
            os.waitpid(pid or 0, 0)

    @contextmanager
    def frozen(self, node: int) -> Iterator[None]:
        """SIGSTOP for the time of a ``with`` block: the node does not answer, but its connections stay open."""
        pid = running_pid(self._configs[node].pid_file)
        assert pid is not None, f"node {node} is not running"
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def stop(self, *nodes: int) -> None:
        """SIGTERM, one after the other: a node hands its partitions over before it goes, if it can."""
        for node in nodes:
            terminate(self._configs[node].pid_file, grace_s=STOP_GRACE_S, on_progress=None)

    def close(self) -> None:
        """Kill the nodes that still run."""
        self.kill(*(node for node in NODES if running_pid(self._configs[node].pid_file) is not None))

    # -- roles of nodes

    def leader(self, topic: str, partition: int) -> int:
        """The node that leads a partition."""
        return int(self._metadata(topic).partitions[partition].leader)

    def group_coordinator(self, group: str) -> int:
        """The node that coordinates a consumer group: the leader of the offsets partition that its name hashes to."""
        return self._leader_for("__consumer_offsets", group)

    def transaction_coordinator(self, transactional_id: str) -> int:
        """The node that coordinates a producer's transactions."""
        return self._leader_for("__transaction_state", transactional_id)

    def wait_in_sync(self, topics: Iterable[str]) -> None:
        """Wait until every partition of the topics, and of Kafka's own, has all its replicas in sync and a leader."""
        wanted = [*topics, "__consumer_offsets", "__transaction_state"]

        def behind() -> list[str]:
            found = asked(lambda ask_s: self._admin.list_topics(timeout=ask_s)).topics
            return [
                f"{topic} {number}: leader {part.leader}, in sync {part.isrs}"
                for topic in wanted
                if topic in found
                for number, part in found[topic].partitions.items()
                if part.leader not in NODES or len(part.isrs) < len(NODES)
            ]

        wait_until(
            lambda: not behind(), "all replicas to be in sync", limit_s=LIMIT_S, details=lambda: "\n".join(behind())
        )

    def _leader_for(self, topic: str, key: str) -> int:
        partitions = self._metadata(topic).partitions
        return int(partitions[_java_hash(key) % len(partitions)].leader)

    def _metadata(self, topic: str) -> TopicMetadata:
        return asked(lambda ask_s: self._admin.list_topics(topic, timeout=ask_s)).topics[topic]


def _java_hash(text: str) -> int:
    """``String.hashCode`` of an ASCII text without its sign, by which Kafka chooses a coordinator's partition."""
    value = 0
    for character in text:
        value = (31 * value + ord(character)) & 0xFFFFFFFF
    return value & 0x7FFFFFFF
