"""One Kafka node as a process: format its storage, launch it, wait until it answers.

Nothing here knows how many nodes there are: a cluster is several configurations with the same quorum and cluster id.
"""

import logging
import socket
import subprocess
import time
from base64 import urlsafe_b64encode
from pathlib import Path
from uuid import uuid4

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from models.errors import InfrastructureError
from streams.broker.config import LOOPBACK, BrokerConfig, broker_properties, render_properties
from streams.broker.java import class_path, environment, java_program
from streams.broker.process import ended_within, spawn

_JVM_OPTIONS = (
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:+ExitOnOutOfMemoryError",
    "-Djava.awt.headless=true",
    # Only warnings and errors: informational lines would fill the log file of a broker that runs for weeks.
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
)

_FORMAT_LIMIT_S = 60.0
_POLL_S = 0.05
_METADATA_TIMEOUT_S = 1.0
_LAST_LINES = 15


def new_cluster_id() -> str:
    """A random cluster id: a UUID in URL-safe base 64 without padding, as Kafka's own tool makes it."""
    while True:
        text = urlsafe_b64encode(uuid4().bytes).decode().rstrip("=")
        # Kafka's tools would read a leading dash as an option.
        if not text.startswith("-"):
            return text


def format_node(config: BrokerConfig, jars: Path, cluster_id: str) -> None:
    """Write the node's properties, and format its storage unless that was done before.

    Args:
        config: the node.
        jars: the directory with the jars of Kafka.
        cluster_id: the cluster that a new node belongs to; a formatted one keeps the cluster that it has.

    Raises:
        ContractError: the extra with Java is not installed.
        InfrastructureError: the storage cannot be written or formatted.
    """
    config.log_dir.mkdir(parents=True, exist_ok=True)
    config.properties_file.write_text(render_properties(broker_properties(config)), encoding="ascii")
    if cluster_id_of(config) is not None:
        return
    # --ignore-formatted: an earlier attempt may have been interrupted half-way.
    command = _java(config, jars, "kafka.tools.StorageTool", "format", "--cluster-id", cluster_id)
    command += ["--ignore-formatted", "--config", str(config.properties_file)]
    try:
        done = subprocess.run(  # noqa: S603 - our own Java with our own arguments
            command, env=environment(), capture_output=True, text=True, timeout=_FORMAT_LIMIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InfrastructureError(f"the storage {config.log_dir} could not be formatted: {error}") from error
    if done.returncode != 0:
        raise InfrastructureError(
            f"the storage {config.log_dir} could not be formatted:\n{_last_lines(done.stderr or done.stdout)}"
        )


def cluster_id_of(config: BrokerConfig) -> str | None:
    """The cluster that the node's storage was formatted for; None if it is not formatted."""
    try:
        lines = (config.log_dir / "meta.properties").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return None
    return dict(line.split("=", 1) for line in lines if "=" in line).get("cluster.id")


def launch_node(config: BrokerConfig, jars: Path) -> int:
    """Start the node, which goes on by itself, and return its process id. It does not answer yet.

    Raises:
        ContractError: the extra with Java is not installed.
        InfrastructureError: it is already running, or Java cannot be started.
    """
    return spawn(
        _java(config, jars, "kafka.Kafka", str(config.properties_file)),
        pid_file=config.pid_file,
        log_file=config.log_file,
        environment=environment(),
    )


def wait_until_ready(config: BrokerConfig, *, limit_s: float) -> None:
    """Return when the node answers clients: it is a member of its cluster and names itself in the metadata.

    Raises:
        InfrastructureError: the node ended, or did not answer within the limit; the message has the last lines of its
            log.
    """
    deadline = time.monotonic() + limit_s
    while not _answers(config):
        if ended_within(config.pid_file, 0):
            raise InfrastructureError(f"the broker ended before it was ready. {_log_of(config)}")
        if time.monotonic() >= deadline:
            raise InfrastructureError(
                f"the broker did not answer on {config.bootstrap_servers} within {limit_s:.0f} s. {_log_of(config)}"
            )
        time.sleep(_POLL_S)


def _answers(config: BrokerConfig) -> bool:
    # A plain connection first: librdkafka would log each refused one and wait ever longer between two.
    try:
        socket.create_connection((LOOPBACK, config.port), timeout=_METADATA_TIMEOUT_S).close()
    except OSError:
        return False
    client = AdminClient({"bootstrap.servers": config.bootstrap_servers}, logger=_SILENT)
    try:
        metadata = client.list_topics(timeout=_METADATA_TIMEOUT_S)
    except KafkaException:
        return False
    # The cluster's id shows whether this broker answers, or another one that took its port.
    return config.node_id in metadata.brokers and metadata.cluster_id == cluster_id_of(config)


def _java(config: BrokerConfig, jars: Path, *arguments: str) -> list[str]:
    crash_file = f"-XX:ErrorFile={config.data_dir}/java-crash-%p.log"
    options = [f"-Xmx{config.heap}", *_JVM_OPTIONS, crash_file, "-cp", class_path(jars)]
    return [str(java_program()), *options, *arguments]


def _log_of(config: BrokerConfig) -> str:
    try:
        text = config.log_file.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        text = ""
    return f"Its log is {config.log_file}; the last lines:\n{_last_lines(text) or '(none)'}"


def _last_lines(text: str) -> str:
    return "\n".join(text.splitlines()[-_LAST_LINES:])


# A broker that is still starting closes connections. That is expected here, so nothing is logged about it.
_SILENT = logging.getLogger("streams.broker.ready")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False
