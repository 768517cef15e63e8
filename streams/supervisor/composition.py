"""Which processes a supervisor starts, with which environment: from the settings of ``consolidator up``."""

import hashlib
import os
import shlex
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from consolidator.connecting.secret_files import FILE_SUFFIX
from streams.broker.ports import free_port
from streams.configuration.settings import Settings, name_of, variable_of
from streams.supervisor.children import CommandProcess

__all__ = ["SINK", "WORKER", "command_processes", "instance_of", "looked_at_with"]

WORKER: Final = "worker"
SINK: Final = "sink"

_COMMANDS: Final = {WORKER: ("run",), SINK: ("sink", "run")}

_PASSED_ON: Final = (
    "bootstrap_servers",
    "state_dir",
    "topic_prefix",
    "app_id",
    "catalogue",
    "processes",
    "adopt_ruleset",
    "log_level",
    "sink_url",
)
"""The settings that a flag of ``up``, or its demonstration, may have set; the others are in the environment already."""


def command_processes(
    settings: Settings, servers: str, directory: Path, *, with_sink: bool
) -> tuple[list[CommandProcess], dict[str, int]]:
    """The worker and the sink, not started.

    Args:
        settings: of the installation.
        servers: the brokers.
        directory: for pid files and logs.
        with_sink: whether there is a sink.

    Returns:
        The processes in the order of their start; and the ports of their health addresses, by name.
    """
    names = [WORKER, SINK] if with_sink else [WORKER]
    ports = _health_ports(names)
    processes = [
        CommandProcess(
            name,
            # -P: without it, Python would import a folder called "streams" in the user's working directory. The last
            # argument identifies the process.
            [sys.executable, "-P", "-m", "streams.cli", *_COMMANDS[name], "--app-id", settings.app_id],
            _environment(name, settings, servers, ports),
            directory,
        )
        for name in names
    ]
    return processes, ports


def instance_of(state_dir: Path) -> str:
    """The instance id of the worker of a state directory: a restarted one has its partitions back at once.

    Another machine's, and another directory's, is another one.
    """
    place = f"{socket.gethostname()} {state_dir.absolute()}"
    return f"up-{hashlib.sha256(place.encode(errors='surrogateescape')).hexdigest()[:12]}"


def looked_at_with(user: Settings, settings: Settings, command: str) -> str:
    """A command with the variables that make it look at an installation, as one line for a shell.

    Args:
        user: what the user's environment and flags say.
        settings: of the installation.
        command: the name of the command.
    """
    # A flag of ``up`` is not in the environment of other commands.
    fields = [name for name in ("bootstrap_servers", "state_dir") if name_of(user, name) != variable_of(name)]
    values = {name: getattr(settings, name) for name in ("topic_prefix", "app_id", *fields)}
    if settings.sink_url is not None and settings.sink_url != user.sink_url:
        # The installation's own, which has no password; the user's stays in the environment.
        values["sink_url"] = settings.sink_url.get_secret_value()
    words = [f"{variable_of(name)}={shlex.quote(str(value))}" for name, value in values.items()]
    return " ".join([*words, "consolidator", command])


def _health_ports(names: list[str]) -> dict[str, int]:
    ports: dict[str, int] = {}
    for name in names:
        ports[name] = free_port(other_than=frozenset(ports.values()))
    return ports


def _environment(name: str, settings: Settings, servers: str, ports: Mapping[str, int]) -> dict[str, str]:
    values = {field: getattr(settings, field) for field in _PASSED_ON}
    values |= {"bootstrap_servers": servers, "log_format": "json", "health_address": f"127.0.0.1:{ports[name]}"}
    values["instance_id"] = (settings.instance_id or instance_of(settings.state_dir)) if name == WORKER else None
    environment = dict(os.environ)
    for field, value in values.items():
        variable = variable_of(field)
        # A secret may also be in a file; the setting has its content.
        environment.pop(f"{variable}{FILE_SUFFIX}", None)
        if value is None:
            environment.pop(variable, None)
        else:
            environment[variable] = value.get_secret_value() if field == "sink_url" else str(value)
    return environment
