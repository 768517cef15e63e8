"""The installation of one demonstration: its own topics, group, worker and directory.

Everything that it created is deleted again, even after a failure. Only processes that it started are stopped.
"""

import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from consolidator.connecting.addresses import Servers, require_listener
from consolidator.connecting.connection import Connection
from models.errors import InfrastructureError
from streams.broker.embedded import broker_status, stop_broker
from streams.broker.process import running_pid, spawn, terminate
from streams.configuration.broker_choice import data_dir
from streams.configuration.connection import connection_of, topics_of
from streams.configuration.settings import Settings, variable_of
from streams.runtime.signals import deferred_signals
from topics.cluster.provisioning import apply

__all__ = ["Installation", "kept"]

Tell = Callable[[str], None]

# The worker needs 30 s at most to finish its transactions (streams.worker.runner), then it ends by itself.
_WORKER_GRACE_S: Final = 40.0
_DELETE_LIMIT_S: Final = 30.0
_LAST_LINES: Final = 15
_KEPT: Final = re.compile(r"demo-[0-9]{4}-[0-9]{6}-[0-9a-f]{2}")

# The worker's settings besides the user's. The numbers of the scenarios belong to the sample catalogue. The group
# instance id of the user's own worker must not be used.
_UNSET_FOR_THE_WORKER: Final = ("catalogue", "instance_id")


def kept(settings: Settings) -> list[str]:
    """The names of the demonstrations that were kept, or whose process was killed, below the state directory."""
    try:
        found = [*settings.state_dir.iterdir()]
    except FileNotFoundError:
        return []
    return sorted(one.name for one in found if _KEPT.fullmatch(one.name) and one.is_dir() and not one.is_symlink())


class Installation:
    """One demonstration's own topics, group, worker and directory.

    Args:
        settings: the user's settings; prefix, application id and catalogue are the demonstration's own.
        name: the name of a demonstration that was kept; None: a new one.

    Attributes:
        settings: the demonstration's settings.
        topics: its topics.
        directory: its state and logs.
        events_file: where the published events are kept, for a replay.
        connection: how to reach Kafka; after :meth:`open`.
        started_broker: whether the embedded broker was started for this demonstration.
    """

    connection: Connection

    def __init__(self, settings: Settings, name: str | None = None) -> None:
        # The time is for people who find it later; the random part tells apart two that start in the same second.
        name = name or f"demo-{datetime.now(UTC):%m%d-%H%M%S}-{token_hex(1)}"
        own = {"topic_prefix": f"{name}-", "app_id": name, "catalogue": None, "instance_id": None}
        self.settings = settings.model_copy(update=own)
        self.topics = topics_of(self.settings)
        self.directory = settings.state_dir / name
        self.events_file = self.directory / "events.jsonl"
        self.started_broker = False
        self._cleanup = ExitStack()

    @property
    def config(self) -> dict[str, str | int]:
        """The configuration for Kafka clients."""
        return self.connection.librdkafka()

    def open(self, tell: Tell) -> None:
        """Start the broker if there is none, create the topics, start the worker.

        Args:
            tell: called with a text about the step that takes time.

        Raises:
            ContractError: settings or the cluster do not allow it.
            InfrastructureError: the broker or the worker cannot be started, or Kafka does not answer.
        """
        self.prepare(tell)
        tell("Starting a worker")
        self._start_worker()

    def prepare(self, tell: Tell) -> None:
        """Do what :meth:`open` does, without a worker: its caller runs one."""
        self._open_broker(tell)
        tell("Creating the topics")
        self._cleanup.callback(self._delete_topics)
        apply(self.topics, self.config)
        self.directory.mkdir(parents=True)
        self._servers_file.write_text(json.dumps(self.settings.bootstrap_servers), encoding="utf-8")
        self._cleanup.callback(shutil.rmtree, self.directory, ignore_errors=True)

    def take_over(self, tell: Tell) -> None:
        """Find a demonstration that was kept, so that :meth:`close` can delete it.

        Args:
            tell: called with a text about the step that takes time.

        Raises:
            ContractError: settings do not allow it.
            InfrastructureError: its broker cannot be started, or does not accept connections.
        """
        with suppress(OSError, ValueError):
            # Use the broker on which it was made, even if another one is set today.
            servers = json.loads(self._servers_file.read_text(encoding="utf-8"))
            self.settings = self.settings.model_copy(update={"bootstrap_servers": servers})
        self._open_broker(tell)
        require_listener(Servers(self.connection.bootstrap_servers, self.connection.servers_from))
        self._cleanup.callback(shutil.rmtree, self.directory, ignore_errors=True)
        self._cleanup.callback(self._delete_topics)
        self._cleanup.callback(self._stop_worker)

    def close(self, tell: Tell) -> None:
        """Stop and delete everything that :meth:`open` started and created, even if it failed. May be called twice.

        Args:
            tell: called with a text about the step that takes time.
        """
        # Signals are deferred; otherwise a second Ctrl-C would leave half of it running.
        with deferred_signals():
            tell("Cleaning up: stopping what was started, deleting the demonstration's topics")
            self._cleanup.close()

    def worker_pid(self) -> int:
        """The worker's process id.

        Raises:
            InfrastructureError: it has ended; the message has the last lines of its log.
        """
        pid = running_pid(self._pid_file)
        if pid is None:
            raise InfrastructureError(f"the worker has ended; the last lines of its log:\n{self.last_log_lines()}")
        return pid

    def last_log_lines(self) -> str:
        """The end of the worker's log, for an error's message."""
        text = self.log_file.read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-_LAST_LINES:])

    @property
    def log_file(self) -> Path:
        """The worker's log."""
        return self.directory / "worker.log"

    @property
    def _servers_file(self) -> Path:
        return self.directory / "bootstrap-servers.json"

    @property
    def _pid_file(self) -> Path:
        return self.directory / "worker.pid"

    def _open_broker(self, tell: Tell) -> None:
        data = data_dir(self.settings)
        if self.settings.bootstrap_servers is None and broker_status(data) is None:
            self.started_broker = True
            self._cleanup.callback(stop_broker, data)
        self.connection = connection_of(self.settings, start_broker=True, on_progress=tell)

    def _start_worker(self) -> None:
        environment = {**os.environ, **self._variables()}
        for field in _UNSET_FOR_THE_WORKER:
            environment.pop(variable_of(field), None)
        self._cleanup.callback(self._stop_worker)
        spawn(
            # -P: without it, Python would import a folder called "streams" in the user's working directory. The last
            # argument identifies the process.
            [sys.executable, "-P", "-m", "streams.cli", "run", "--app-id", self.settings.app_id],
            pid_file=self._pid_file,
            log_file=self.log_file,
            environment=environment,
        )

    def _variables(self) -> dict[str, str]:
        own = {
            "bootstrap_servers": self.connection.bootstrap_servers,
            "state_dir": str(self.settings.state_dir),
            "topic_prefix": self.settings.topic_prefix,
            "log_level": "info",
            "log_format": "json",
        }
        return {variable_of(field): value for field, value in own.items()}

    def _stop_worker(self) -> None:
        terminate(self._pid_file, grace_s=_WORKER_GRACE_S)

    def _delete_topics(self) -> None:
        """Delete topics and group; errors about ones that were never created are ignored."""
        # Kept in a variable until every answer is there: librdkafka drops the requests of a client that is
        # garbage-collected.
        admin = AdminClient({**self.config, "log_level": 2})
        futures = [
            *admin.delete_topics([topic.name for topic in self.topics], request_timeout=_DELETE_LIMIT_S).values(),
            *admin.delete_consumer_groups([self.settings.app_id], request_timeout=_DELETE_LIMIT_S).values(),
        ]
        for future in futures:
            with suppress(KafkaException):
                future.result(_DELETE_LIMIT_S + 1)
