"""The properties of one Kafka node, as a pure function of a frozen configuration."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

LOOPBACK = "127.0.0.1"

# More partitions help large clusters; here each one only costs start-up time and open files.
_INTERNAL_TOPIC_PARTITIONS = 4
# Kafka's default, 6 s, would refuse workers that want a killed member's partitions moved quickly.
_MIN_SESSION_TIMEOUT_MS = 1_000
# Kafka deletes the offsets of a group that was idle for 7 days, and a developer may be on holiday for longer.
_OFFSETS_RETENTION_MINUTES = 365 * 24 * 60
_MAX_REPLICAS = 3
# Enough for tens of thousands of events a second; a developer's machine needs its memory for other programs, too.
_HEAP = "768m"

PID_FILE = "broker.pid"


@dataclass(frozen=True, slots=True)
class BrokerConfig:
    """One node that is broker and controller in one process (KRaft, combined mode).

    Args:
        data_dir: the directory that holds everything of this node; absolute.
        port: where clients connect, on the loopback interface.
        controller_port: where the controllers of the quorum talk to each other, on the loopback interface.
        node_id: unique in the cluster.
        voters: the controller quorum as node id → controller port; empty: this node alone.
        properties: Kafka properties that win over the ones chosen here.
        heap: the JVM's greatest heap, as ``-Xmx`` takes it.
    """

    data_dir: Path
    port: int
    controller_port: int
    node_id: int = 1
    voters: Mapping[int, int] = field(default_factory=lambda: MappingProxyType({}))
    properties: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    heap: str = _HEAP

    @property
    def bootstrap_servers(self) -> str:
        """The node's own address, as clients want it: ``host:port``."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def log_dir(self) -> Path:
        """Kafka's own data: topic partitions and the metadata log."""
        return self.data_dir / "data"

    @property
    def properties_file(self) -> Path:
        """Where the rendered properties are written."""
        return self.data_dir / "server.properties"

    @property
    def pid_file(self) -> Path:
        """The file whose lock the running node holds; see :mod:`streams.broker.process`."""
        return self.data_dir / PID_FILE

    @property
    def log_file(self) -> Path:
        """The node's log: its stdout and stderr since its last start."""
        return self.data_dir / "broker.log"


def broker_properties(config: BrokerConfig) -> dict[str, str]:
    """The Kafka properties of a node, in the order in which they are written.

    The internal topics have as many replicas as the quorum has nodes, at most three, and survive the loss of one node
    where there are three.
    """
    voters = config.voters or {config.node_id: config.controller_port}
    replicas = min(len(voters), _MAX_REPLICAS)
    in_sync = max(1, replicas - 1)
    chosen = {
        "process.roles": "broker,controller",
        "node.id": str(config.node_id),
        # Static voters: the node reads them from here at every start, so the controller's port may change between two
        # starts.
        "controller.quorum.voters": ",".join(f"{node}@{LOOPBACK}:{port}" for node, port in sorted(voters.items())),
        "listeners": f"PLAINTEXT://{LOOPBACK}:{config.port},CONTROLLER://{LOOPBACK}:{config.controller_port}",
        "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{config.port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": str(config.log_dir),
        # Topics are declared and created by `consolidator topics apply`: a misspelt name must fail.
        "auto.create.topics.enable": "false",
        "default.replication.factor": str(replicas),
        "min.insync.replicas": str(in_sync),
        "offsets.topic.replication.factor": str(replicas),
        "offsets.topic.num.partitions": str(_INTERNAL_TOPIC_PARTITIONS),
        "offsets.retention.minutes": str(_OFFSETS_RETENTION_MINUTES),
        "transaction.state.log.replication.factor": str(replicas),
        "transaction.state.log.min.isr": str(in_sync),
        "transaction.state.log.num.partitions": str(_INTERNAL_TOPIC_PARTITIONS),
        "share.coordinator.state.topic.replication.factor": str(replicas),
        "share.coordinator.state.topic.min.isr": str(in_sync),
        "share.coordinator.state.topic.num.partitions": str(_INTERNAL_TOPIC_PARTITIONS),
        # Kafka waits 3 s for more members of a new group; on one machine, all members start at the same time.
        "group.initial.rebalance.delay.ms": "0",
        "group.min.session.timeout.ms": str(_MIN_SESSION_TIMEOUT_MS),
    }
    return chosen | dict(config.properties)


def render_properties(properties: Mapping[str, str]) -> str:
    """The text of a Java properties file.

    Java reads such a file as Latin-1 and takes a backslash as an escape, so both are written as Java expects them: a
    home directory may have any name.
    """
    return "".join(f"{key}={_escaped(value)}\n" for key, value in properties.items())


def _escaped(value: str) -> str:
    # Java needs two escapes for a character beyond the basic plane, one for each of its UTF-16 code units.
    units = memoryview(value.replace("\\", "\\\\").encode("utf-16-be")).cast("B")
    codes = [units[i] << 8 | units[i + 1] for i in range(0, len(units), 2)]
    text = "".join(chr(code) if ord(" ") <= code <= ord("~") else f"\\u{code:04x}" for code in codes)
    return "\\" + text if text.startswith(" ") else text
