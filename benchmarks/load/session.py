"""What all runs of one session share: the broker, the directories, and the topics whose sizes are asked for."""

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from streams.broker.embedded import start_broker, stop_broker
from streams.configuration.broker_choice import cache_dir
from streams.configuration.settings import load_settings

__all__ = ["REPOSITORY", "Session", "open_session", "say"]

REPOSITORY = Path(__file__).resolve().parents[2]
"""Where every side is started, so that it imports this tree and not an installed one."""

_ADMIN_LIMIT_S = 30

_BROKER_PROPERTIES = {"group.initial.rebalance.delay.ms": "3000"}
"""Kafka's own default. With the embedded broker's 0, the first of several processes has every partition, and much of
the workload, before the others are there."""


@dataclass(frozen=True, slots=True)
class Session:
    """One broker, one machine, one time.

    Attributes:
        name: begins the names of everything that the session makes in Kafka.
        servers: the broker.
        directory: for state, logs and the broker's data; removed at the end.
        cache: for what is made once: the peers' environments.
        broker_pid: of the embedded broker; None: another broker is used, and its CPU time and topic sizes are unknown.
        log_dir: the embedded broker's own data.
    """

    name: str
    servers: str
    directory: Path
    cache: Path
    broker_pid: int | None
    log_dir: Path | None

    @property
    def config(self) -> dict[str, str | int]:
        """For librdkafka."""
        return {"bootstrap.servers": self.servers, "log_level": 2}

    def topic_bytes(self, wanted: Callable[[str], bool]) -> int | None:
        """Bytes of the segments of all topics with a wanted name; None where the broker is not the embedded one."""
        if self.log_dir is None:
            return None
        partitions = [path for path in self.log_dir.iterdir() if path.is_dir() and wanted(path.name.rpartition("-")[0])]
        return sum(segment.stat().st_size for path in partitions for segment in path.glob("*.log"))

    def delete_topics(self, wanted: Callable[[str], bool]) -> None:
        """Delete what a run left, so that the disk does not fill; a topic that cannot be deleted stays."""
        admin = AdminClient({**self.config})
        names = [name for name in admin.list_topics(timeout=_ADMIN_LIMIT_S).topics if wanted(name)]
        for name, deletion in admin.delete_topics(names).items() if names else ():
            try:
                deletion.result(_ADMIN_LIMIT_S)
            except KafkaException as error:
                say(f"topic {name} was not deleted: {error}")


@contextmanager
def open_session() -> Iterator[Session]:
    """The broker that KAFKA_BOOTSTRAP_SERVERS names, or an embedded one with data in a temporary directory."""
    settings = load_settings()
    name = f"bench{os.getpid()}"
    with tempfile.TemporaryDirectory(prefix="consolidator-bench-", ignore_cleanup_errors=True) as temporary:
        directory = Path(temporary)
        cache = cache_dir(settings) / "benchmarks"
        if settings.bootstrap_servers is not None:
            yield Session(name, settings.bootstrap_servers, directory, cache, None, None)
            return
        data = directory / "kafka"
        try:
            broker = start_broker(data, cache_dir(settings), properties=_BROKER_PROPERTIES, on_progress=say)
            yield Session(name, broker.bootstrap_servers, directory, cache, broker.pid, data / "data")
        finally:
            stop_broker(data)


def say(text: str) -> None:
    """A line for whoever waits; results go to stdout, this does not."""
    print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)
