"""The sink at work: reads what the worker publishes, and writes cut after cut, until it is ended."""

import os
import socket
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Final

import structlog
from sqlalchemy import Engine

from models.errors import InfrastructureError
from streams.runtime.clock import system_ms
from streams.sink.failures import DatabaseAwayError
from streams.sink.lane import Cursor, Lane, most_waiting
from streams.sink.ownership import FencedError, Ownership, claim, touch
from streams.sink.pipeline import Pipeline
from streams.sink.ports import Assignment, Progress, Reading
from streams.sink.schema import CURRENT, Tables
from streams.sink.watching.figures import SinkFigures
from streams.sink.watching.waits import Waits
from streams.sink.writing import CutWriter
from topics.contract.declared import Topics
from topics.reading.following import Place

__all__ = ["CONNECTIONS", "CUT_RECORDS", "SinkService"]

CUT_RECORDS: Final = 16_000
"""Most events in one cut, of a sink that catches up: some 45,000 rows in one transaction, in up to a few seconds."""

_MUCH: Final = 1_000
"""A poll that gives so many records says that more are there."""

_READ_AHEAD: Final = 16_000
"""So many more are read then, in some 50 ms, before anything is written."""

_CLOSE_S: Final = 5.0
"""How long a sink that is ended waits for a transaction that is being written."""

_FENCED: Final = "another process has the partition: nothing was written"

_ASK_S: Final = 0.1
"""So often it is asked how far the worker is, where everything that is known of is written."""

_STALE_S: Final = 1.0
"""And where it is not: a transaction that stays open may not keep what is known later from being shown."""

CONNECTIONS: Final = 2
"""How many partitions' cuts PostgreSQL writes at the same time."""

_IDLE_POLL_S: Final = 0.05
_AGAIN_S: Final = 1.0
_TOUCH_S: Final = 60.0

_log = structlog.get_logger()


class SinkService:
    """Everything that one process serves.

    Args:
        engine: the database, at this version's schema.
        writer: writes cuts into it.
        topics: the declared topics.
        membership: says which partitions are this process's.
        follower: reads.
        progress: of the workers' group.
        beginnings: where the topics of partitions begin.
        absence_ms: how long a sink may have been away.
        fenced_s: how long a partition that another process has is let alone: within a heartbeat a thawed one knows it.
        tables: the set that is written.
        exact: bounds are the places of other rows: nothing behind them is moved over.
        now_ms: this machine's clock, in milliseconds since the epoch.
        figures: takes counts, and what is waited for; None: nobody looks at them.
    """

    def __init__(
        self,
        engine: Engine,
        writer: CutWriter,
        topics: Topics,
        membership: Assignment,
        follower: Reading,
        progress: Progress,
        *,
        beginnings: Callable[[int], Cursor],
        absence_ms: int,
        fenced_s: float,
        tables: Tables = CURRENT,
        exact: bool = False,
        now_ms: Callable[[], int] = system_ms,
        figures: SinkFigures | None = None,
    ) -> None:
        self._engine = engine
        self._writer = writer
        self._topics = topics
        self._membership = membership
        self._follower = follower
        self._progress = progress
        self._beginnings = beginnings
        self._absence_ms = absence_ms
        self._fenced_s = fenced_s
        self._tables = tables
        self._exact = exact
        self._now_ms = now_ms
        self._figures = figures or SinkFigures()
        self._waits = Waits(self._figures)
        self._owner = f"{socket.gethostname()}:{os.getpid()}"
        self._lanes: dict[int, tuple[Lane, Ownership]] = {}
        # SQLite has one writer.
        self._pipeline = Pipeline(
            lambda planned: writer.write(planned, now_ms()), 1 if engine.dialect.name == "sqlite" else CONNECTIONS
        )
        self._left_alone: dict[int, float] = {}
        self._asked = -_STALE_S
        self._touched = time.monotonic()

    def run(self, stop: threading.Event) -> None:
        """Serve until this process is asked to end; a database or brokers that are away are waited for.

        Args:
            stop: is set, by any thread, when it is asked to.

        Raises:
            ContractError: something agreed upon does not hold.
            InfrastructureError: what is in the log cannot be read.
        """
        try:
            while not stop.is_set():
                self._figures.turns()
                self._membership.poll()
                try:
                    self.follow_assignment()
                    if not self.step():
                        self._rest()
                except DatabaseAwayError as error:
                    self._wait_for_database(error)
        finally:
            self.close()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is being written; from any thread."""
        return self._pipeline.is_idle

    def close(self) -> None:
        """Write nothing more; a transaction that is under way has a moment to end."""
        self._pipeline.close(_CLOSE_S)

    @property
    def lanes(self) -> dict[int, Lane]:
        """The partitions that are served; from any thread."""
        return {partition: lane for partition, (lane, _) in dict(self._lanes).items()}

    @property
    def cursors(self) -> dict[int, Cursor]:
        """Where the rows of each partition are, once everything is written that was handed over."""
        return {partition: lane.at for partition, (lane, _) in self._lanes.items()}

    @property
    def place(self) -> tuple[int, int]:
        """Moves as long as anything is read or written."""
        return sum(map(sum, self.cursors.values())), sum(self._follower.positions.values())

    def ask_again(self) -> None:
        """Ask how far the rows may come with the next step."""
        self._asked = -_STALE_S

    def is_through(self) -> bool:
        """Whether everything up to the latest bounds was read and written, in every partition.

        Raises:
            ContractError, DatabaseAwayError: why a cut was not written.
        """
        if not all(lane.is_through and lane.next_cut(CUT_RECORDS) is None for lane, _ in self._lanes.values()):
            return False
        self._pipeline.settle()
        self._take_outcomes()
        return True

    def step(self) -> bool:
        """Ask, read, and have written what there is; whether anything was or is being written.

        Raises:
            ContractError, DatabaseAwayError: see :meth:`~streams.sink.writing.CutWriter.write`.
        """
        self._ask()
        self._read()
        return self._write()

    def follow_assignment(self) -> None:
        """Take over what was assigned, and leave what is gone.

        Raises:
            ContractError, DatabaseAwayError: see :func:`~streams.sink.ownership.claim`.
        """
        assigned = self._membership.assigned
        for partition in [*self._lanes]:
            if partition not in assigned:
                self._leave(partition)
                _log.info("partition left", partition=partition)
        now = time.monotonic()
        wanted = [one for one in sorted(assigned - self._lanes.keys()) if now >= self._left_alone.get(one, 0.0)]
        if not wanted:
            # A database that was lost took every lane with it: only a partition to be taken over asks it again.
            self._waits.database_unasked()
        for partition in wanted:
            try:
                beginning = self._figures.asking(partial(self._beginnings, partition))
            except InfrastructureError as error:
                self._wait_for_kafka(error)
                return
            self._take_over(partition, beginning)

    def _take_over(self, partition: int, beginning: Cursor) -> None:
        # SQLite's lock would be waited for beside this process's own transactions; and what became of them is known
        # before the place is read at which they left the rows.
        self._figures.asks_database()
        self._pipeline.settle()
        self._take_outcomes()
        owned = claim(
            self._engine,
            partition,
            owner=self._owner,
            beginning=beginning,
            now_ms=self._now_ms(),
            absence_ms=self._absence_ms,
            tables=self._tables,
        )
        place = owned.place
        lane = Lane(partition, place, place.next, place.changes, place.letters, exact=self._exact)
        self._follower.follow(dict(zip(self._places(partition), place, strict=True)))
        self._lanes[partition] = lane, owned
        self._figures.taken_over(partition)
        self._asked = -_STALE_S
        _log.info("partition taken over", partition=partition, offset=place.next, epoch=owned.epoch)
        self._waits.database_answered()

    def _leave(self, partition: int) -> None:
        del self._lanes[partition]
        self._figures.left(partition)
        self._follower.leave(self._places(partition))

    def _places(self, partition: int) -> tuple[Place, Place, Place]:
        topics = self._topics
        names = (topics.executions.name, topics.factor_changes.name, topics.dlq.name)
        events, changes, letters = ((name, partition) for name in names)
        return events, changes, letters

    def _ask(self) -> None:
        """How far the workers are, and where what they had published ends."""
        waited_s = time.monotonic() - self._asked
        if not self._lanes or waited_s < _ASK_S:
            return
        if waited_s < _STALE_S and not all(lane.is_done for lane, _ in self._lanes.values()):
            return
        try:
            bounds = self._figures.asking(self._progress.published)
        except InfrastructureError as error:
            self._wait_for_kafka(error)
            return
        self._asked = time.monotonic()
        for partition, (lane, _) in self._lanes.items():
            lane.bound = bounds[partition]

    def _read(self) -> None:
        """Take in what has arrived; positions move without records, too: behind markers and aborted ones."""
        waiting = any(lane.events or lane.changes for lane, _ in self._lanes.values())
        read = self._read_once(0.0 if waiting else _IDLE_POLL_S)
        # Where much has come, cuts are large.
        limit = read + _READ_AHEAD if read >= _MUCH else 0
        while read < limit and (more := self._read_once(0.0)):
            read += more

    def _read_once(self, timeout_s: float) -> int:
        """One poll; how many records came."""
        source, changes, letters = self._topics.executions.name, self._topics.factor_changes.name, self._topics.dlq.name
        records = self._follower.poll(timeout_s)
        for record in records:
            served = self._lanes.get(record.partition)
            if served is None:
                continue
            lane, _ = served
            if record.topic == source:
                lane.events.append(record)
            elif record.topic == changes:
                lane.take_change(record)
            elif record.topic == letters:
                lane.take_letter(record, source)
        positions = self._follower.positions
        most = most_waiting(len(self._lanes))
        for partition, (lane, _) in self._lanes.items():
            places = self._places(partition)
            lane.events_end, lane.changes_end, lane.letters_end = (positions[place] for place in places)
            waiting_records = (len(lane.events), len(lane.changes), len(lane.letters))
            for place, count in zip(places, waiting_records, strict=True):
                if count >= most:
                    self._follower.hold(place, held=True)
                elif count < most // 2:
                    self._follower.hold(place, held=False)
        return len(records)

    def _write(self) -> bool:
        """Take in what was written, and have one more cut written of each partition that has any.

        A lane is moved as soon as its cut is under way: one that is not written takes its lane with it.
        """
        progressed = self._take_outcomes()
        for partition, (lane, owned) in [*self._lanes.items()]:
            if not self._pipeline.has_room(partition):
                continue
            cut = lane.next_cut(CUT_RECORDS)
            if cut is None:
                continue
            try:
                planned = self._writer.plan(cut, owned)
            except InfrastructureError as error:
                # An erasure's entry, or a ruleset, is asked for: the same cut comes again.
                self._wait_for_kafka(error)
                break
            self._pipeline.put(planned)
            lane.moved(cut)
            progressed = True
        if not progressed:
            if self._pipeline.is_idle:
                return False
            self._pipeline.wait(_IDLE_POLL_S)
        return True

    def _take_outcomes(self) -> bool:
        """Take in what became of cuts; whether there was anything.

        Raises:
            ContractError, DatabaseAwayError: why one was not written.
        """
        outcomes = self._pipeline.take_finished()
        moved: dict[int, int] = {}
        failure: Exception | None = None
        for outcome in outcomes:
            cut, result = outcome.planned.cut, outcome.result
            partition = cut.partition
            lane, owned = self._lanes.get(partition, (None, None))
            if owned is not outcome.planned.owned:
                lane = None
            if isinstance(result, FencedError):
                if lane is not None:
                    self.fenced(partition)
                else:
                    # A thawed process may have lost the partition in its group before its cut met the fence.
                    _log.warning(_FENCED, partition=partition)
                continue
            if isinstance(result, Exception):
                failure = result
                continue
            moved[partition] = cut.after.next
            self._figures.written(outcome)
            if lane is not None:
                # Counted before: whoever sees that nothing is behind sees what was written as well.
                lane.has_written(cut)
            if result.refused:
                _log.error("rows quarantined", partition=partition, before_offset=cut.after.next, rows=result.refused)
        self._membership.commit(moved)
        if failure is not None:
            raise failure
        return bool(outcomes)

    def _rest(self) -> None:
        """Nothing was written: say now and then that somebody is here."""
        if time.monotonic() - self._touched < _TOUCH_S:
            return
        self._touched = time.monotonic()
        self._figures.asks_database()
        for partition, (_, owned) in [*self._lanes.items()]:
            try:
                touch(self._engine, owned, self._now_ms())
            except FencedError:
                self.fenced(partition)

    def fenced(self, partition: int) -> None:
        """Another process has a partition: it is let alone for a while."""
        _log.warning(_FENCED, partition=partition)
        self._leave(partition)
        self._left_alone[partition] = time.monotonic() + self._fenced_s

    def _wait_for_database(self, error: DatabaseAwayError) -> None:
        """What was read is dropped: where it goes on stands in the database."""
        self._waits.database_away(error)
        for partition in [*self._lanes]:
            self._leave(partition)
        self._pipeline.settle()
        self._pipeline.take_finished()
        self._engine.dispose()
        time.sleep(_AGAIN_S)

    def _wait_for_kafka(self, error: InfrastructureError) -> None:
        """Nothing is dropped: what was asked is asked again."""
        self._waits.kafka_silent(error)
        time.sleep(_AGAIN_S)
