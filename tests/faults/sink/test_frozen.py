"""A sink that is frozen, replaced and thawed: triggers in the database note who writes what, and it writes nothing."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from tests.databases.audit import Audit
from tests.fault_runs.scale import scale
from tests.fault_runs.sink_scene import SinkScene
from tests.fault_runs.sinks import AWAY_TEXT, FENCED_TEXT
from tests.real_kafka.worker_process import WorkerProcess, wait_until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

FREEZES = scale("SINK_FREEZES", short=2, long=10)
LIMIT_S = 120.0
MOMENT_S = 0.5
TRIES = 400
"""So often a sink is frozen and thawed until it was in the middle of a transaction, or was not."""

IDLE_S = 10.0
"""After so long PostgreSQL ends a frozen sink's transaction (decision 28)."""


class SignedSinks:
    """Sinks that say who they are, and what each of them wrote."""

    def __init__(self, scene: SinkScene) -> None:
        self.scene = scene
        self._writers: dict[str, WorkerProcess] = {}
        self._freeze: dict[int, Path] = {}
        self._audit: Audit | None = None

    def start(self) -> WorkerProcess:
        """Start one."""
        reader, name = self.scene.reader, f"sink_{uuid4().hex[:12]}"
        url, freeze = reader.url, self.scene.installation.directory / name
        if not reader.is_sqlite:
            reader.change(f"CREATE ROLE {name} LOGIN SUPERUSER")
            url = url.replace("//postgres@", f"//{name}@")
        sink = self.scene.sinks.start_signing(url, freeze)
        self._writers[str(sink.pid) if reader.is_sqlite else name] = sink
        self._freeze[sink.pid] = freeze
        return sink

    def freeze_before_a_write(self, sink: WorkerProcess) -> None:
        """Let a sink freeze itself where it has a cut in hand and is about to begin its transaction."""
        self._freeze[sink.pid].touch()
        sink.wait(sink.is_frozen, "the sink to freeze itself", limit_s=LIMIT_S)

    @property
    def audit(self) -> Audit:
        """What is noted, from the first time that it is asked for."""
        if self._audit is None:
            self._audit = Audit(self.scene.reader)
        return self._audit

    def role_of(self, sink: WorkerProcess) -> str:
        """Under which name it writes."""
        return next(name for name, one in self._writers.items() if one is sink)

    def rows_of(self, sink: WorkerProcess, after: int = 0) -> int:
        """How many rows one wrote into partitions of its own, after a note."""
        return sum(
            one.rows
            for one in self.audit.written(after)
            if self._writers[one.writer] is sink and one.owner_pid == sink.pid
        )

    def rows_into_anothers(self) -> int:
        """How many rows were written into a partition that was another process's at that moment."""
        return sum(one.rows for one in self.audit.written() if self._writers[one.writer].pid != one.owner_pid)

    def is_in_transaction(self, frozen: WorkerProcess, *, wait_s: float) -> bool:
        """Whether a frozen process is in the middle of a transaction.

        Args:
            frozen: the process.
            wait_s: how long others may hold SQLite's lock.
        """
        reader = self.scene.reader
        if reader.is_sqlite:
            with closing(sqlite3.connect(reader.file, isolation_level=None, timeout=wait_s)) as connection:
                try:
                    connection.execute("BEGIN IMMEDIATE")
                except sqlite3.OperationalError:
                    return True
                connection.execute("ROLLBACK")
                return False
        found = reader.ask(f"SELECT state FROM pg_stat_activity WHERE usename = '{self.role_of(frozen)}'")
        return any(state in {"idle in transaction", "idle in transaction (aborted)"} for (state,) in found)


@pytest.fixture
def signed(scene) -> Iterator[SignedSinks]:
    """Sinks of the scenario; none is started yet."""
    return SignedSinks(scene)


def freeze(signed: SignedSinks, victim: WorkerProcess, *, inside: bool, wait_s: float = 2.0) -> None:
    """Freeze a sink that is at work, in the middle of a transaction or outside of one."""
    for _ in range(TRIES):
        victim.wait(lambda: signed.scene.is_at_work(victim), "the sink to be at work", limit_s=LIMIT_S)
        signed.scene.wait_moment(MOMENT_S)
        victim.freeze()
        wait_until(victim.is_frozen, "the sink to be frozen", limit_s=LIMIT_S)
        # PostgreSQL is not frozen: it finishes the statement that it was given.
        signed.scene.wait_moment(0.1)
        if signed.is_in_transaction(victim, wait_s=wait_s) == inside:
            return
        victim.cont()
    pytest.fail(f"never {'inside' if inside else 'outside'} of a transaction")


@pytest.mark.timeout(240 + 60 * FREEZES)
def test_a_thawed_sink_writes_no_row(scene, signed, database):
    """Another one has its partitions by then: it writes 0 rows into them, and works for what it is assigned next."""
    sinks, rng, recovery_s = scene.sinks, scene.rng, []
    both = [signed.start(), signed.start()]
    sinks.wait_at_work()
    audit = signed.audit
    for number in range(FREEZES):
        victim = rng.choice(both)
        if number % 2:
            freeze(signed, victim, inside=False)
        else:
            victim.wait(lambda one=victim: scene.is_at_work(one), "the sink to be at work", limit_s=LIMIT_S)
            signed.freeze_before_a_write(victim)
        sinks.frozen, before, begun = victim, sinks.positions(), time.monotonic()
        sinks.wait_shared()
        sinks.wait_beyond(before)
        recovery_s.append(time.monotonic() - begun)
        if number == FREEZES // 2:
            scene.erase()
        note = audit.last()
        victim.cont()
        sinks.frozen = None
        sinks.wait_shared()
        victim.wait(
            lambda one=victim, note=note: signed.rows_of(one, note), "rows of its next partitions", limit_s=LIMIT_S
        )
        assert signed.rows_into_anothers() == 0
    other = next(one for one in both if one is not victim)
    other.stop()
    sinks.wait_shared()
    sinks.wait_beyond(sinks.positions())
    scene.conclude(
        f"sink frozen, {database}",
        "frozen (SIGSTOP) past its session, with a cut in hand or at a random moment; another sink takes over; SIGCONT",
        held="; the thawed one writes 0 rows into what another has, and works for what it is assigned next",
        faults=FREEZES,
        recovery_s=tuple(recovery_s),
        rows_by_whom_the_partition_was_not=signed.rows_into_anothers(),
        rows_noted=sum(one.rows for one in audit.written()),
        writes_that_met_the_fence=sinks.entries(FENCED_TEXT),
    )
    assert signed.rows_into_anothers() == 0
    assert sinks.entries(FENCED_TEXT) >= FREEZES - FREEZES // 2


@pytest.mark.timeout(420)
def test_a_sink_is_frozen_in_a_transaction(scene, signed, database):
    """PostgreSQL ends it after ten seconds, and another one goes on; SQLite's lock is held until the sink goes on."""
    sinks = scene.sinks
    frozen = signed.start()
    sinks.wait_at_work()
    audit = signed.audit
    freeze(signed, frozen, inside=True, wait_s=0.5)
    begun, sinks.frozen, before = time.monotonic(), frozen, sinks.positions()
    other = signed.start()
    scene.erase()
    if database == "SQLite":
        other.wait(lambda: other.entries(AWAY_TEXT), "the lock to be noticed", limit_s=LIMIT_S)
        assert sinks.positions() == before
        assert scene.reader.glance(0.5) == []
        held_s = time.monotonic() - begun
        frozen.cont()
        sinks.frozen = None
        sinks.wait_shared()
        how, held = "SQLite", "; nothing is written until it goes on, and everybody may read"
    else:
        sinks.wait_shared()
        sinks.wait_beyond(before)
        held_s = time.monotonic() - begun
        frozen.cont()
        sinks.frozen = None
        sinks.wait_shared()
        how, held = (
            "PostgreSQL",
            f"; another sink goes on when the server has ended the transaction, after {IDLE_S:.0f} s",
        )
    sinks.wait_beyond(before)
    assert signed.rows_into_anothers() == 0
    scene.conclude(
        f"sink frozen in a transaction, {how}",
        "frozen (SIGSTOP) in the middle of a transaction; another sink starts; SIGCONT",
        held=held,
        faults=1,
        rows_by_whom_the_partition_was_not=signed.rows_into_anothers(),
        rows_noted=sum(one.rows for one in audit.written()),
        **{"frozen, s": round(held_s, 1)},
    )
