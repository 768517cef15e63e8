"""A scene for subscribers' fault scenarios: a load on the two topics, processes that subscribe, what they come to."""

import contextlib
import json
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

from confluent_kafka import Consumer, KafkaError, TopicPartition

from consolidator.connecting.ends import ends_of
from consolidator.subscribing.cluster import COMMITTED
from tests.fault_runs.figures import Figures
from tests.fault_runs.keeping_subscriber import connect
from tests.inputs.repository import ROOT
from tests.real_kafka.installation import LIMIT_S
from tests.real_kafka.published_topics import Published
from tests.real_kafka.worker_process import wait_until

__all__ = ["SubscriberScene"]

APPLICATIONS = 60
PROCESSORS = ("bank_statement", "credit_check")
PAUSE_S = 0.03
ERASED, ABORTED = 0.02, 0.05
"""Shares of the load's steps that erase an application, and that are somebody's aborted transaction."""


class SubscriberScene:
    """The load, the subscribers and their database.

    Args:
        published: the topics.
        directory: for the database and logs.
        seed: of everything that is random.
        start: as for the program.
        is_group: the subscribers share the partitions.
    """

    def __init__(self, published: Published, directory: Path, seed: int, *, start: str, is_group: bool) -> None:
        self.published = published
        self.rng = random.Random(seed)
        self.seed = seed
        self._load = random.Random(seed + 1)
        self._directory = directory
        self.database = directory / "subscriber.db"
        connect(self.database).close()
        self.start = start
        self._group = f"group-{uuid4().hex}" if is_group else None
        self.running: list[subprocess.Popen[bytes]] = []
        self._ended = threading.Event()
        self._error: BaseException | None = None
        self._publisher = threading.Thread(target=self._publish)

    # -- the load

    @contextlib.contextmanager
    def load(self) -> Iterator[None]:
        """Publish for as long as the ``with`` block takes."""
        self._publisher.start()
        try:
            yield
        finally:
            self._ended.set()
            self._publisher.join(LIMIT_S)
        if self._error is not None:
            raise self._error

    def _publish(self) -> None:
        try:
            while not self._ended.wait(PAUSE_S):
                self._step()
        except BaseException as error:  # noqa: BLE001 - raised where the test waits
            self._error = error

    def _step(self) -> None:
        rng, published = self._load, self.published
        chance = rng.random()
        if chance < ERASED and published.expected:
            published.erase(rng.choice(sorted(published.expected))[0])
        elif chance < ERASED + ABORTED:
            with published.stranger(rng.choice(published.names), rng.randrange(published.partitions)):
                time.sleep(PAUSE_S)
        else:
            for _ in range(rng.randint(1, 12)):
                change = published.make(f"app-{rng.randrange(APPLICATIONS)}", rng.choice(PROCESSORS))
                published.publish(change)

    # -- the subscribers

    def begin(self) -> subprocess.Popen[bytes]:
        """Start a subscriber."""
        installation = self.published.installation
        command = [sys.executable, "-m", "tests.fault_runs.keeping_subscriber"]
        servers = str(installation.config["bootstrap.servers"])
        command += [servers, f"{installation.name}.", str(self.database), self.start]
        command += [] if self._group is None else [self._group]
        environment = {"PYTHONPATH": f"{ROOT}:{ROOT / 'clients' / 'python'}", "PATH": ""}
        log = (self._directory / f"subscriber-{uuid4().hex[:6]}.log").open("wb")
        with log:
            running = subprocess.Popen(command, stderr=log, stdout=log, env=environment, cwd=ROOT)
        self.running.append(running)
        return running

    def kill(self, running: subprocess.Popen[bytes]) -> None:
        """``kill -9``; it must still run."""
        self.require_running()
        running.kill()
        running.wait(LIMIT_S)
        self.running.remove(running)

    def leave(self, running: subprocess.Popen[bytes]) -> None:
        """SIGTERM: a member leaves its group."""
        self.require_running()
        running.send_signal(signal.SIGTERM)
        running.wait(LIMIT_S)
        self.running.remove(running)

    def require_running(self) -> None:
        """No subscriber has ended by itself: a record that came twice would end it."""
        if any(one.poll() is not None for one in self.running):
            raise AssertionError(self.logs())

    def logs(self) -> str:
        """What the subscribers have written."""
        return "\n".join(path.read_text() for path in sorted(self._directory.glob("*.log")) if path.stat().st_size)

    def close(self) -> None:
        """Kill those that still run."""
        for running in [*self.running]:
            running.kill()
            running.wait(LIMIT_S)

    def wait_moment(self, most_s: float) -> None:
        """Wait for a random time."""
        time.sleep(self.rng.random() * most_s)

    # -- what they come to

    def _rows(self, question: str) -> list[tuple[object, ...]]:
        with contextlib.closing(sqlite3.connect(self.database, timeout=LIMIT_S)) as database:
            return database.execute(question).fetchall()

    def view(self) -> dict[tuple[str, str], tuple[int, str]]:
        """The version and the factors of each pair."""
        rows = self._rows("SELECT application, processor, version, factors FROM view")
        return {(str(one), str(other)): (int(str(version)), str(text)) for one, other, version, text in rows}

    def expected(self) -> dict[tuple[str, str], tuple[int, str]]:
        """What was published last of each pair, as the subscriber writes it."""
        return {
            pair: (change.version.offset, json.dumps(change.values(), default=str))
            for pair, change in self.published.expected.items()
        }

    def journal(self) -> set[tuple[object, ...]]:
        """The places of all committed records of the journal, read by a consumer of its own."""
        topic, config = self.published.names[0], self.published.installation.config
        starts = dict.fromkeys(range(self.published.partitions), 0)
        ends = ends_of(self.published.installation.admin, topic, starts, COMMITTED, limit_s=LIMIT_S)
        consumer = Consumer({**config, "group.id": "oracle", "enable.partition.eof": True})
        found: set[tuple[object, ...]] = set()
        reached = dict(starts)
        try:
            consumer.assign([TopicPartition(topic, one, offset) for one, offset in starts.items()])
            while any(reached[one] < ends[one] for one in starts):
                for message in consumer.consume(1_000, timeout=1.0):
                    error, partition, offset = message.error(), message.partition(), message.offset()
                    assert error is None or error.code() == KafkaError._PARTITION_EOF
                    assert partition is not None
                    assert offset is not None
                    reached[partition] = offset + (error is None)
                    if error is None:
                        found.add(("changes", partition, offset))
        finally:
            consumer.close()
        return found

    def wait_view(self) -> float:
        """Wait until the view is what was published; in seconds."""
        began = time.monotonic()

        def agrees() -> bool:
            self.require_running()
            return self.view() == self.expected()

        wait_until(agrees, "the oracle's view", limit_s=2 * LIMIT_S, details=self._differing)
        return time.monotonic() - began

    def _differing(self) -> str:
        view, expected = self.view(), self.expected()
        differing = [pair for pair in view.keys() | expected.keys() if view.get(pair) != expected.get(pair)]
        return f"{len(differing)} pairs differ: {differing[:5]}; {self.logs()[-2_000:]}"

    def shown(self) -> set[tuple[object, ...]]:
        """The places of the journal's records that the subscribers have shown."""
        return set(self._rows("SELECT topic, partition, offset FROM shown WHERE topic = 'changes'"))

    def figures(self, scenario: str, fault: str, faults: int, recovery_s: tuple[float, ...]) -> Figures:
        """The figures, when everything was published and shown."""
        view, expected = self.view(), self.expected()
        return Figures(
            scenario,
            fault,
            "the subscriber's table is what was published; no record was shown twice",
            events=len(self.published.changes),
            faults=faults,
            lost=len(expected.keys() - view.keys()),
            duplicated=0,
            wrong=sum(view[pair] != expected[pair] for pair in view.keys() & expected.keys()),
            state_mismatches=len(view.keys() - expected.keys()),
            recovery_s=recovery_s,
            seeds=(self.seed,),
        )
