"""Builds a second set of tables beside the running sink, compares both sets, and switches to the new one."""

import os
import socket
from collections.abc import Iterator, Mapping
from typing import Final

from sqlalchemy import Engine, insert

from models.errors import ContractError
from streams.sink.database import transaction
from streams.sink.ownership import require_continuable, require_database
from streams.sink.schema import CURRENT, NEXT
from streams.sink.sets.positions import Position, positions
from streams.sink.sets.table_sets import create_set, drop_set, highest_epoch, present
from streams.sink.upkeep.building import Builder, Phases, Targets, target_of
from streams.sink.upkeep.comparison import Comparison, Difference, Side
from streams.sink.upkeep.explanations import Explanations
from streams.sink.upkeep.forgotten import ForgottenLetters, carry_over
from streams.sink.upkeep.log import Log
from streams.sink.upkeep.report import Report, report_of
from streams.sink.upkeep.switching import hold, switch

__all__ = ["Rebuild"]

_TRIES: Final = 10
"""So many times the running sink may take its partitions over before the new tables have come to its cuts."""


class Rebuild:
    """One rebuilding; started again, it goes on where the last one was.

    Args:
        engine: the database, see :func:`~streams.sink.database.open_for_writing`.
        snapshots: the same, see :func:`~streams.sink.database.open_for_snapshots`.
        log: what Kafka has.
    """

    def __init__(self, engine: Engine, snapshots: Engine, log: Log) -> None:
        self._engine = engine
        self._snapshots = snapshots
        self._log = log
        self._letters = ForgottenLetters(snapshots, log.topics, log.first, log.now_ms())
        self._builder = Builder(engine, NEXT, log, self._letters)
        self._report: Report | None = None

    def close(self) -> None:
        """End the threads that write; what they have not committed is built again by the next one."""
        self._builder.close()

    def begin(self, *, restart: bool) -> bool:
        """Make the new tables, if they are not there.

        Args:
            restart: drop those that are there.

        Returns:
            Whether it begins at the beginning.

        Raises:
            ContractError: the database is of another schema or installation, or what was built before has rested for
                too long.
            DatabaseAwayError: the database does not answer.
        """
        log = self._log
        with transaction(self._engine) as connection:
            require_database(connection, log.installed)
            # Above all existing epochs: a process that built an earlier set of this name cannot write into this one.
            epoch = highest_epoch(connection) + 1
            if restart:
                drop_set(connection, NEXT)
            if present(connection, NEXT):
                if not self._is_continuable(positions(connection, NEXT)):
                    raise ContractError(
                        "what was built before has rested for longer than Kafka keeps tombstones, or the log was cut "
                        "off behind it: run `consolidator sink rebuild --restart`"
                    )
                return False
            create_set(connection, NEXT)
            for partition, place in sorted(log.first.items()):
                row = (partition, *place, epoch, "", "", -1, log.now_ms(), place.next)
                connection.execute(insert(NEXT.sink_position).values(row))
            return True

    def run(self, phases: Phases) -> Iterator[Difference]:
        """Every difference between the running sink's tables and the new ones; afterwards there is a :meth:`report`.

        1. Build up to where the running sink is now. That may take long, and holds nobody up.
        2. Look at the database at one moment, and build up to there.
        3. Take over what the log has forgotten.
        4. Compare, at the same cut of each partition. The running sink moves on meanwhile.

        Args:
            phases: shows how far it is.

        Raises:
            ContractError: another process builds, or what was built is beyond the running sink's cuts.
            DatabaseAwayError: the database does not answer.
            InfrastructureError: Kafka does not.
        """
        # 1.
        with transaction(self._snapshots) as connection:
            found = positions(connection, CURRENT)
        self._build(found, phases)
        # 2.
        with transaction(self._snapshots) as connection:
            found = positions(connection, CURRENT)
            left_out = self._build(found, phases)
            # 3.
            compared = sorted(found.keys() - left_out)
            carried = sum(carry_over(connection, self._engine, NEXT, one, self._letters) for one in compared)
            self._builder.begin_again()
            # 4.
            with transaction(self._snapshots) as other:
                ours, theirs = Side(connection, CURRENT), Side(other, NEXT)
                explanations = Explanations(ours, theirs, self._log, self._letters)
                comparison = Comparison(ours, theirs, explanations, left_out)
                yield from comparison.run(phases("comparing", None))
        self._report = report_of(comparison, {part: one.cursor for part, one in found.items()}, carried=carried)

    def report(self) -> Report:
        """What came of the comparison, once it has run."""
        if self._report is None:
            raise AssertionError("nothing was compared yet")
        return self._report

    def switch(self, phases: Phases) -> bool:
        """Let the new tables take the old ones' place.

        1. Hold the running sink: it is fenced, and takes its partitions over again after a session's timeout.
        2. Come to where it stands.
        3. Switch. If the sink has taken a partition over before that, begin again with 1. The sink takes the new tables
           over by itself.

        Args:
            phases: shows how far it is.

        Returns:
            Whether the old tables are kept. They are dropped where they cannot be gone on with: they may have missed
            erasures, and nothing would ever bring these to them.

        Raises:
            ContractError: the running sink always takes its partitions over first, or as
                :func:`~streams.sink.upkeep.switching.switch`.
            DatabaseAwayError: the database does not answer.
            InfrastructureError: Kafka does not.
        """
        for _ in range(_TRIES):
            # 1.
            held = hold(self._engine, f"rebuild on {socket.gethostname()}:{os.getpid()}")
            # 2.
            self._build(held, phases)
            # 3.
            keep = self._is_continuable(held)
            if switch(self._engine, held, keep=keep):
                return keep
        raise ContractError(
            f"the running sink took its partitions over {_TRIES} times before the new tables had come to its cuts. "
            "Raise its CONSOLIDATOR_SESSION_TIMEOUT_S, or stop it for the switch"
        )

    def _build(self, found: Mapping[int, Position], phases: Phases) -> frozenset[int]:
        """Build up to these places; returns the partitions for which the log does not begin early enough."""
        first = self._log.first
        # Nothing can be compared there. So the new tables need not stop at the running sink's cut.
        left_out = {partition for partition, one in found.items() if one.next_offset < first[partition].next}
        targets: Targets = {partition: target_of(one.cursor) for partition, one in found.items()}
        if left_out:
            published = self._log.progress.published()
            targets = {**targets, **{partition: published[partition] for partition in left_out}}
        total = sum(one.consolidated - first[partition].next for partition, one in targets.items())
        self._builder.build(targets, phases("building", total))
        return frozenset(left_out)

    def _is_continuable(self, found: Mapping[int, Position]) -> bool:
        """Whether the log goes on from these places, and no tombstone can have left it since."""
        first = self._log.first
        try:
            for partition, one in found.items():
                require_continuable(one, first[partition], now_ms=self._log.now_ms(), absence_ms=self._log.absence_ms)
        except ContractError:
            return False
        return True
