"""What came of a comparison: each partition's cut and both digests, what differs, and what is no difference."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from streams.sink.lane import Cursor
from streams.sink.upkeep.comparison import COMPARED, Comparison
from streams.sink.upkeep.explanations import REASONS

__all__ = ["PartitionReport", "Report", "report_of"]


@dataclass(frozen=True, slots=True)
class PartitionReport:
    """One partition.

    Attributes:
        partition: which one.
        next_offset: the cut at which both sides were compared; None: they could not be.
        rows: how many the database has.
        digest: of the database's rows.
        log_digest: of those that the log comes to.
        tables: for each table the rows and both digests.
    """

    partition: int
    next_offset: int | None
    rows: int = 0
    digest: str = ""
    log_digest: str = ""
    tables: Mapping[str, tuple[int, str, str]] | None = None

    def members(self) -> dict[str, object]:
        """As a JSON object."""
        found: dict[str, object] = {"partition": self.partition, "next_offset": self.next_offset}
        if self.tables is None:
            return found | {"compared": False}
        tables = {
            name: {"rows": rows, "digest": ours, "log_digest": theirs}
            for name, (rows, ours, theirs) in self.tables.items()
        }
        return found | {
            "compared": True,
            "rows": self.rows,
            "digest": self.digest,
            "log_digest": self.log_digest,
            "tables": tables,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """A whole comparison.

    Attributes:
        partitions: each partition.
        differences: how many there are, by table.
        explained: how many rows are different for a known reason, and so no difference, by reason.
        carried: rows that the new set has of the running one, as the log has forgotten them.
    """

    partitions: tuple[PartitionReport, ...]
    differences: Mapping[str, int]
    explained: Mapping[str, int]
    carried: int = 0

    @property
    def is_equal(self) -> bool:
        """Whether nothing differs."""
        return not self.differences

    def members(self) -> dict[str, object]:
        """As a JSON object."""
        return {
            "kind": "summary",
            "differences": sum(self.differences.values()),
            "differences_by_table": dict(self.differences),
            "explained": dict(self.explained),
            "carried_over": self.carried,
            "partitions": [one.members() for one in self.partitions],
        }

    def lines(self) -> Iterator[str]:
        """For people."""
        for one in self.partitions:
            if one.tables is None:
                yield f"partition {one.partition}: not compared, the log no longer comes to where its rows are"
                continue
            same = "as the log says" if one.digest == one.log_digest else f"the log says {one.log_digest}"
            yield f"partition {one.partition}: at {one.next_offset}, {one.rows:,} rows, digest {one.digest}, {same}"
        for reason, number in sorted(self.explained.items()):
            yield f"no difference: {number:,} {REASONS[reason]}"
        if self.carried:
            yield f"{self.carried:,} rows were taken over that the log has forgotten"
        for table, number in self.differences.items():
            yield f"{table}: {number:,} differences"
        if self.is_equal:
            yield "0 differences"


def report_of(comparison: Comparison, cuts: Mapping[int, Cursor], *, carried: int = 0) -> Report:
    """The report of a comparison that has run.

    Args:
        comparison: it.
        cuts: where the database's rows were.
        carried: see :class:`Report`.
    """
    ours, theirs = comparison.database_digests, comparison.log_digests
    partitions = []
    for partition, cursor in sorted(cuts.items()):
        if partition in comparison.left_out:
            partitions.append(PartitionReport(partition, None))
            continue
        tables = {
            name: (ours.rows[name, partition], ours.of_table(name, partition), theirs.of_table(name, partition))
            for name in COMPARED
        }
        digests = ours.of_partition(partition), theirs.of_partition(partition)
        partitions.append(PartitionReport(partition, cursor.next, ours.count(partition), *digests, tables))
    return Report(tuple(partitions), dict(comparison.differences), dict(comparison.explained), carried)
