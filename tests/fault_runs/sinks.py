"""The sinks of one database: started, killed, frozen and ended, and watched by what stands in the database."""

import sys
from collections.abc import Mapping
from pathlib import Path

from tests.databases.snapshots import AWAY, Reader
from tests.fault_runs import signing_sink
from tests.real_kafka.installation import Installation
from tests.real_kafka.worker_process import CONSOLIDATOR, WorkerProcess, tails, wait_until

__all__ = ["LIMIT_S", "Sinks"]

LIMIT_S = 90.0

AWAY_TEXT = "database is away: waiting for it"
FENCED_TEXT = "another process has the partition: nothing was written"


class Sinks:
    """The sinks of one database, those that ended too.

    Args:
        installation: whose they are.
        reader: the database.
    """

    def __init__(self, installation: Installation, reader: Reader) -> None:
        self._installation = installation
        self.reader = reader
        self.started: list[WorkerProcess] = []
        self.frozen: WorkerProcess | None = None

    @property
    def alive(self) -> list[WorkerProcess]:
        """Those that run, the frozen one too."""
        return [sink for sink in self.started if sink.exit_code is None]

    def start(self) -> WorkerProcess:
        """Start a sink; it dies with the installation."""
        return self._started(str(CONSOLIDATOR), url=self.reader.url)

    def start_signing(self, url: str, freeze: Path) -> WorkerProcess:
        """Start a sink that says who it is, and freezes itself where that file is; see ``signing_sink.py``."""
        program = str(Path(signing_sink.__file__))
        return self._started(sys.executable, program, url=url, **{signing_sink.FREEZE: str(freeze)})

    def _started(self, *program: str, url: str, **variables: str) -> WorkerProcess:
        sink = self._installation.start_program(*program, "sink", "run", CONSOLIDATOR_SINK_URL=url, **variables)
        self.started.append(sink)
        return sink

    def positions(self) -> dict[int, int]:
        """The cut of each partition; 0 where there is none, or the database is away."""
        try:
            found = self.reader.positions() if self.reader.has_tables() else {}
        except AWAY:
            found = {}
        return dict.fromkeys(range(self._installation.partitions), 0) | found

    def owned(self, sink: WorkerProcess) -> set[int]:
        """The partitions that stand in the database as this process's."""
        if not self.reader.has_tables():
            return set()
        return {partition for partition, owner in self.reader.owners().items() if owner.pid == sink.pid}

    def takeovers(self) -> int:
        """How often a partition was taken over."""
        return sum(owner.epoch for owner in self.reader.owners().values())

    def wait_shared(self, *, limit_s: float = LIMIT_S) -> None:
        """Wait until the living have all partitions between them, and each has one."""
        living = {sink.pid for sink in self.alive if sink is not self.frozen}

        def shared() -> bool:
            self.check_alive()
            if not self.reader.has_tables():
                return False
            owners = self.reader.owners()
            return len(owners) == self._installation.partitions and {one.pid for one in owners.values()} == living

        self._wait(shared, f"partitions to be shared by {living}", limit_s)

    def wait_at_work(self) -> None:
        """Wait until the partitions are shared, and rows of each are being written: before that nothing can be hurt."""
        self.wait_shared()
        self.wait_beyond(dict.fromkeys(range(self._installation.partitions), 0))

    def wait_beyond(self, before: Mapping[int, int], *, limit_s: float = LIMIT_S) -> None:
        """Wait until the rows of every partition are beyond an earlier cut."""

        def moved() -> bool:
            self.check_alive()
            now = self.positions()
            return all(now[partition] > offset for partition, offset in before.items())

        self._wait(moved, f"every partition to be beyond {before}", limit_s)

    def wait_through(self, *, limit_s: float = LIMIT_S) -> None:
        """Wait until the rows are where the workers are."""
        committed = self._installation.committed()

        def through() -> bool:
            self.check_alive()
            now = self.positions()
            return all(now[partition] >= offset for partition, offset in committed.items())

        self._wait(through, f"rows at {committed}", limit_s)

    def check_alive(self) -> None:
        """No sink has ended by itself: its exit code would be one of the program's own."""
        ended = [sink for sink in self.started if sink.exit_code is not None and sink.exit_code > 0]
        assert not ended, tails(ended)

    def stop(self) -> None:
        """End all of them, in order."""
        for sink in self.alive:
            sink.stop()

    def entries(self, event: str) -> int:
        """How often all of them logged something."""
        return sum(len(sink.entries(event)) for sink in self.started)

    def _wait(self, condition, what: str, limit_s: float) -> None:
        wait_until(condition, what, limit_s=limit_s, details=lambda: f"{self.positions()}\n{tails(self.alive)}")
