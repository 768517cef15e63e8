"""A simulated worker: the product's store on a disk that survives it, with steps that a test controls."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import faust
from yarl import URL

from streams.worker.lane import Lane
from streams.worker.round import Membership
from streams.worker.table.store import BatchStore, BatchTable
from tests.simulation.kafka import SimulatedTransactions

__all__ = ["PARTITIONS", "POINTS", "WORKERS", "Killed", "Seat", "SimulatedStore", "StepExecutor", "Worker"]

PARTITIONS = 2
WORKERS = 2

POINTS = ("fenced", "begin", "produce", "offsets", "flush", "commit", "committed", "written")
"""What a worker reaches, in this order: of its own fence, of a batch; ``written`` of a recovery, too."""


class Killed(Exception):  # noqa: N818 - no error: it was planned
    """The process died at this point."""


class SimulatedStore(BatchStore):
    """The product's store, which reports when a batch is written."""

    def __init__(self, directory: Path, reach: Callable[[str], None]) -> None:
        table = _faust_table()
        super().__init__(
            URL(f"rocksdb://{directory}/rows"),
            table.app,
            table,
            table_name=table.name,
            key_type=bytes,
            value_type=bytes,
        )
        self.reach = reach

    def write_rows(self, partition: int, rows: Any, changelog_offset: int) -> None:
        super().write_rows(partition, rows, changelog_offset)
        self.reach("written")

    def stored(self, partition: int) -> dict[bytes, bytes]:
        """Every row of a partition."""
        ours = {self.offset_key, self.as_of_key}
        return {key: value for key, value in self.rows(partition).scan(b"") if key not in ours}

    def close(self) -> None:
        """Close every database."""
        for partition in list(self._dbs):
            self._close(partition)


@lru_cache
def _faust_table() -> Any:
    """A Faust application for the store; it is never started."""
    app = faust.App("simulation", store="rocksdb://", Table=BatchTable, web_enabled=False, autodiscover=False)
    return app.Table("rows", partitions=PARTITIONS, key_type=bytes, value_type=bytes)


class StepExecutor(Executor):
    """An executor that runs submitted calls only on request."""

    def __init__(self) -> None:
        self._submitted: list[tuple[Future[Any], Callable[[], Any]]] = []

    def submit(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self._submitted.append((future, lambda: call(*args, **kwargs)))
        return future

    def run(self) -> bool:
        """Run the next call; False: there is none."""
        if not self._submitted:
            return False
        future, call = self._submitted.pop(0)
        try:
            result = call()
        except Exception as error:  # noqa: BLE001 - whoever waits for the future gets it
            future.set_exception(error)
        else:
            future.set_result(result)
        return True


@dataclass(eq=False)
class Seat:
    """A partition at a worker: its lane, and its consumer's position.

    Attributes:
        next: the start of the next batch; before the position if only invisible records were polled since.
        processing: the lane's task for its last batch.
        unfinished: the starts of the batches that are not acknowledged.
        leader: the seat whose producer and executor the last round is committed with; None: this one.
    """

    lane: Lane
    transactions: SimulatedTransactions
    executor: StepExecutor
    membership: Membership
    next: int
    processing: asyncio.Task[None] | None = None
    unfinished: list[int] = field(default_factory=list)
    leader: "Seat | None" = None

    @property
    def committer(self) -> "Seat":
        """Whose producer and executor the last round is committed with."""
        return self.leader or self


@dataclass(eq=False)
class Worker:
    """A worker's process, and the disk that survives it.

    Attributes:
        doom: the point at which the process will die, and how often it passes it before.
        meanwhile: called when the process reaches a point.
        failure: the error that it gave to ``on_fatal``.
    """

    name: str
    directory: Path
    store: SimulatedStore | None = None
    seats: dict[int, Seat] = field(default_factory=dict)
    doom: tuple[str, int] | None = None
    meanwhile: tuple[str, Callable[[], None]] | None = None
    failure: BaseException | None = None

    def reach(self, point: str) -> None:
        """Called at each point: die, or call ``meanwhile``, if that was planned."""
        if self.failure is not None:
            raise Killed
        if self.meanwhile is not None and self.meanwhile[0] == point:
            _, happen = self.meanwhile
            self.meanwhile = None
            happen()
        if self.doom is not None and self.doom[0] == point:
            self.doom = (point, self.doom[1] - 1)
            if self.doom[1] < 0:
                self.doom = None
                # Of several batches under way it may be one that nobody looks at any more: the process is dead all the
                # same.
                self.failure = Killed()
                raise self.failure
