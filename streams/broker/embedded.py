"""The embedded broker: one Kafka node below a directory, started, found again and stopped.

It goes on by itself after the program that started it has ended, and keeps its data and its port from run to run.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from models.errors import ContractError, InfrastructureError
from streams.broker.config import PID_FILE, BrokerConfig
from streams.broker.jars import ensure_jars
from streams.broker.java import require_extra
from streams.broker.node import format_node, launch_node, new_cluster_id, wait_until_ready
from streams.broker.ports import Ports, choose_ports, remember_ports, remembered_ports
from streams.broker.process import exclusive, running_pid, terminate

# The broker starts in 3 s on an idle machine; a busy one with two cores needs several times that.
_READY_LIMIT_S = 90.0
# An orderly stop takes 1 to 2 s; after a kill Kafka checks its logs at the next start.
_STOP_GRACE_S = 30.0
# Another process may be starting the broker for the first time, and downloading the jars over a slow line.
_TURN_LIMIT_S = 900.0
_OWNER_ONLY = 0o700
_NO_PROPERTIES: Mapping[str, str] = MappingProxyType({})


@contextmanager
def _private_files() -> Iterator[None]:
    """Make files of the broker readable for their owner only; it inherits the umask of the process that starts it."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


@dataclass(frozen=True, slots=True)
class BrokerInfo:
    """A running embedded broker: its address for clients (``host:port``) and its process id."""

    bootstrap_servers: str
    pid: int


def start_broker(
    data_dir: Path,
    cache_dir: Path,
    port: int | None = None,
    *,
    properties: Mapping[str, str] | None = None,
    on_progress: Callable[[str], None] | None = None,
) -> BrokerInfo:
    """Start the embedded broker and return when it answers; a running broker is returned as it is.

    1. Wait for this directory's turn: of two starts at the same time, the second finds the first's broker.
    2. Return the broker if it is running.
    3. Make sure of Java and of the jars, downloading these if this is the first start.
    4. Choose the ports: the requested one, else the last ones, else free ones.
    5. Write the properties, format the storage if it is new, launch.
    6. Wait until it answers; a broker that does not answer is stopped again.

    Args:
        data_dir: everything of this broker: topics, properties, log, pid file.
        cache_dir: where the jars are kept; shared by any number of brokers.
        port: the port for clients on 127.0.0.1; None: the last one if it is free.
        properties: Kafka properties that win over the chosen ones; without effect on a broker that is running.
        on_progress: called with a text about the step that takes time.

    Raises:
        ContractError: the port is taken, the broker is running on another one, or the extra with Java is not installed.
        InfrastructureError: no download, no disk, or the broker ended or did not answer in time.
    """
    tell = on_progress or (lambda _: None)
    data_dir = data_dir.absolute()
    data_dir.mkdir(_OWNER_ONLY, parents=True, exist_ok=True)
    # Step 1.
    with exclusive(data_dir / "start.lock", limit_s=_TURN_LIMIT_S):
        # Step 2.
        running = broker_status(data_dir)
        if running is not None:
            _refuse_other_port(running, port)
            # The process that started it may have been killed while it waited for the broker.
            wait_until_ready(_remembered_config(data_dir), limit_s=_READY_LIMIT_S)
            return running
        # Step 3.
        require_extra()
        jars = ensure_jars(cache_dir.absolute(), on_progress)
        with _private_files():
            # Step 4.
            ports = choose_ports(port, remembered_ports(_ports_file(data_dir)), tell)
            remember_ports(_ports_file(data_dir), ports)
            # Step 5.
            config = _config(data_dir, ports, properties or _NO_PROPERTIES)
            tell(f"Starting Kafka on {config.bootstrap_servers}")
            format_node(config, jars, new_cluster_id())
            pid = launch_node(config, jars)
        # Step 6.
        try:
            wait_until_ready(config, limit_s=_READY_LIMIT_S)
        except BaseException:
            terminate(config.pid_file, grace_s=0, on_progress=None)
            raise
        return BrokerInfo(config.bootstrap_servers, pid)


def stop_broker(data_dir: Path, *, on_progress: Callable[[str], None] | None = None) -> bool:
    """Stop the embedded broker of this directory; True if one was running. Its data stays.

    Args:
        data_dir: as given to :func:`start_broker`.
        on_progress: called when an orderly stop takes too long and the process is killed.

    Raises:
        InfrastructureError: it cannot be stopped.
    """
    data_dir = data_dir.absolute()
    if not data_dir.exists():
        return False
    with exclusive(data_dir / "start.lock", limit_s=_TURN_LIMIT_S):
        pid_file = data_dir / PID_FILE
        return terminate(pid_file, grace_s=_STOP_GRACE_S, on_progress=on_progress)


def broker_status(data_dir: Path) -> BrokerInfo | None:
    """The embedded broker of this directory if its process is alive, else None. Waits for nothing.

    Raises:
        InfrastructureError: it is alive, but its files are damaged.
    """
    data_dir = data_dir.absolute()
    pid = running_pid(data_dir / PID_FILE)
    if pid is None:
        return None
    return BrokerInfo(_remembered_config(data_dir).bootstrap_servers, pid)


def _config(data_dir: Path, ports: Ports, properties: Mapping[str, str] = _NO_PROPERTIES) -> BrokerConfig:
    return BrokerConfig(data_dir, ports.port, ports.controller_port, properties=properties)


def _remembered_config(data_dir: Path) -> BrokerConfig:
    ports = remembered_ports(_ports_file(data_dir))
    if ports is None:
        raise InfrastructureError(
            f"a broker is running, but {_ports_file(data_dir)} does not tell its port: stop it, then start it again"
        )
    return _config(data_dir, ports)


def _ports_file(data_dir: Path) -> Path:
    return data_dir / "ports.json"


def _refuse_other_port(running: BrokerInfo, port: int | None) -> None:
    if port is not None and not running.bootstrap_servers.endswith(f":{port}"):
        raise ContractError(
            f"the broker is already running on {running.bootstrap_servers}: stop it first to give it port {port}"
        )
