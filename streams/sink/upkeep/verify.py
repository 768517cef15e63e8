"""Verifies a database: the same rows are built from Kafka in a scratch database, and both are compared."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.engine import URL

from streams.sink.database import disposed, migrate, open_for_snapshots, open_for_writing, transaction, url_of
from streams.sink.ownership import require_database
from streams.sink.schema import CURRENT
from streams.sink.sets.positions import Position, positions
from streams.sink.upkeep.building import Builder, Phases, target_of
from streams.sink.upkeep.comparison import Comparison, Difference, Side
from streams.sink.upkeep.explanations import Explanations
from streams.sink.upkeep.forgotten import ForgottenLetters
from streams.sink.upkeep.log import Log
from streams.sink.upkeep.report import Report, report_of

__all__ = ["Verification"]


class Verification:
    """Compares a database with the log; nothing is written into it.

    Args:
        snapshots: the database, see :func:`~streams.sink.database.open_for_snapshots`.
        log: what Kafka has.
        directory: an empty one on a disk; the rows of the log are built in it.
    """

    def __init__(self, snapshots: Engine, log: Log, directory: Path) -> None:
        self._snapshots = snapshots
        self._log = log
        self._directory = directory
        self._report: Report | None = None

    def run(self, phases: Phases) -> Iterator[Difference]:
        """Every difference; afterwards there is a :meth:`report`.

        1. Build the rows up to where the database is now. That may take long, and holds nobody up.
        2. Look at the database at one moment, and build up to there.
        3. Compare, at the same cut of each partition. The running sink moves on meanwhile.

        Args:
            phases: shows how far it is.

        Raises:
            ContractError: the database is of another schema or installation.
            DatabaseAwayError: the database does not answer.
            InfrastructureError: Kafka does not.
        """
        log = self._log
        url = url_of(f"sqlite:///{self._directory / 'log.db'}")
        letters = ForgottenLetters(self._snapshots, log.topics, log.first, log.now_ms())
        with disposed(open_for_writing(url)) as scratch:
            migrate(scratch)
            with closing(Builder(scratch, CURRENT, log, letters)) as builder:
                yield from self._compared(builder, url, letters, phases)

    def _compared(self, builder: Builder, url: URL, letters: ForgottenLetters, phases: Phases) -> Iterator[Difference]:
        log = self._log
        # 1.
        with transaction(self._snapshots) as connection:
            require_database(connection, log.installed)
            found = positions(connection, CURRENT)
        self._build(builder, found, phases)
        # 2.
        with transaction(self._snapshots) as connection:
            found = positions(connection, CURRENT)
            left_out = self._build(builder, found, phases)
            # 3.
            with disposed(open_for_snapshots(url)) as built, transaction(built) as other:
                ours, theirs = Side(connection, CURRENT), Side(other, CURRENT)
                builder.begin_again()
                comparison = Comparison(ours, theirs, Explanations(ours, theirs, log, letters), left_out)
                yield from comparison.run(phases("comparing", None))
        self._report = report_of(comparison, {partition: one.cursor for partition, one in found.items()})

    def report(self) -> Report:
        """What came of it, once everything was compared."""
        if self._report is None:
            raise AssertionError("nothing was compared yet")
        return self._report

    def _build(self, builder: Builder, found: Mapping[int, Position], phases: Phases) -> frozenset[int]:
        """Build up to these places; returns the partitions for which the log does not begin early enough."""
        first = self._log.first
        left_out = {partition for partition, one in found.items() if one.next_offset < first[partition].next}
        wanted = {partition: target_of(one.cursor) for partition, one in found.items() if partition not in left_out}
        total = sum(one.consolidated - first[partition].next for partition, one in wanted.items())
        builder.build(wanted, phases("building", total))
        return frozenset(left_out)
