"""The status of a database: how far it is behind the workers and the log, who writes it, and what is wrong."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import Connection, func, select

from streams.sink.schema import CURRENT, Tables
from streams.sink.sets.positions import Position, positions
from streams.sink.sets.table_sets import sets_beside

__all__ = ["NOBODY_S", "PartitionStatus", "Pending", "Status", "with_log", "written"]

NOBODY_S: Final = 180.0
"""A sink notes at least each minute that it is at a partition. After three minutes without a note none is there."""


@dataclass(frozen=True, slots=True)
class Pending:
    """What a partition's log has and its rows have not.

    Attributes:
        end: the log's end, after its last committed record.
        consolidated: how far the workers are.
        first_offset: of the first record that is not in the rows; None: there is none, whatever offsets there are.
        first_time_ms: the broker's time of that record.
    """

    end: int
    consolidated: int
    first_offset: int | None
    first_time_ms: int | None


@dataclass(frozen=True, slots=True)
class PartitionStatus:
    """One partition.

    Attributes:
        partition: which one.
        next_offset: the cut; None: no sink was ever there.
        owner: who took it over last.
        epoch: of that.
        seen_s: seconds since a sink was last at it.
        quarantined: rows that the database has refused.
        lag_workers: offsets that the workers are ahead; None: Kafka was not asked, or has not answered.
        lag_log: offsets that the log is ahead.
        lag_s: seconds since the oldest record that is not in the rows was written; 0: there is none.
    """

    partition: int
    next_offset: int | None
    owner: str
    epoch: int
    seen_s: float | None
    quarantined: int
    lag_workers: int | None = None
    lag_log: int | None = None
    lag_s: float | None = None

    def problems(self) -> Iterator[str]:
        """What is wrong with it."""
        if self.next_offset is None:
            yield f"partition {self.partition}: no sink was ever at it"
        elif self.seen_s is not None and self.seen_s > NOBODY_S:
            yield f"partition {self.partition}: no sink was at it for {self.seen_s:,.0f} s"
        if self.quarantined:
            yield f"partition {self.partition}: {self.quarantined:,} rows in sink_quarantine"

    def members(self) -> dict[str, object]:
        """As a JSON object; what is not known is null."""
        return {
            "partition": self.partition,
            "next_offset": self.next_offset,
            "owner": self.owner or None,
            "owner_epoch": self.epoch,
            "seen_seconds_ago": self.seen_s,
            "quarantined": self.quarantined,
            "lag_behind_workers": self.lag_workers,
            "lag_behind_log": self.lag_log,
            "lag_seconds": self.lag_s,
        }


@dataclass(frozen=True, slots=True)
class Status:
    """A database.

    Attributes:
        partitions: each partition.
        beside: the cuts of the sets beside the current one, by the prefix of their tables.
        strays: rows in quarantine whose record is not known.
    """

    partitions: tuple[PartitionStatus, ...]
    beside: Mapping[str, Mapping[int, int]]
    strays: int = 0

    def problems(self) -> list[str]:
        """What is wrong."""
        found = [problem for one in self.partitions for problem in one.problems()]
        return found + ([f"{self.strays:,} rows in sink_quarantine of no known record"] if self.strays else [])

    def members(self) -> dict[str, object]:
        """As a JSON object."""
        return {
            "kind": "summary",
            "problems": self.problems(),
            "beside": {prefix: dict(cuts) for prefix, cuts in self.beside.items()},
        }


def written(connection: Connection, partitions: int, now_ms: int) -> Status:
    """The status as far as the database alone says it.

    Args:
        connection: the database, at one moment.
        partitions: how many there are.
        now_ms: this machine's clock, in milliseconds since the epoch.
    """
    found = positions(connection, CURRENT)
    table = CURRENT.sink_quarantine
    counted = connection.execute(select(table.c.partition, func.count()).group_by(table.c.partition))
    refused = {row[0]: row[1] for row in counted}
    everything = sorted({*range(partitions), *found})
    return Status(
        tuple(_status(one, found.get(one), refused.pop(one, 0), now_ms) for one in everything),
        {tables.prefix: _cuts(connection, tables) for tables in sets_beside(connection)},
        sum(refused.values()),
    )


def _cuts(connection: Connection, tables: Tables) -> dict[int, int]:
    return {partition: one.next_offset for partition, one in positions(connection, tables).items()}


def _status(partition: int, position: Position | None, quarantined: int, now_ms: int) -> PartitionStatus:
    if position is None:
        return PartitionStatus(partition, None, "", 0, None, quarantined)
    seen_s = max(0, now_ms - position.seen_at_ms) / 1_000
    return PartitionStatus(partition, position.next_offset, position.owner, position.owner_epoch, seen_s, quarantined)


def with_log(status: Status, pending: Callable[[int, int], Pending], now_ms: int) -> Status:
    """The status with what Kafka says.

    Args:
        status: what the database says.
        pending: given a partition and its cut, what is behind that in the log.
        now_ms: this machine's clock, in milliseconds since the epoch.

    Raises:
        InfrastructureError: Kafka does not answer.
    """
    found = []
    for one in status.partitions:
        place = one.next_offset or 0
        log = pending(one.partition, place)
        first = log.first_offset
        # Offsets without a record are those of transaction markers: they are no lag.
        to_log = 0 if first is None else log.end - place
        to_workers = 0 if first is None or first >= log.consolidated else log.consolidated - place
        waited_s = 0.0 if log.first_time_ms is None else max(0, now_ms - log.first_time_ms) / 1_000
        found.append(replace(one, lag_log=to_log, lag_workers=to_workers, lag_s=waited_s))
    return replace(status, partitions=tuple(found))
