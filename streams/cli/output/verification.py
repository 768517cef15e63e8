"""A verification's report for people."""

from streams.audit.verification.verify import Report
from topics.reading.positions import offsets_text

__all__ = ["report_lines"]


def report_lines(report: Report) -> list[str]:
    """A report for people."""
    lines = []
    for name, count in (("factor-changes", report.changes), ("factors", report.factors)):
        told = [f"{number:,} {what.replace('_', ' ')}" for what, number in count.members().items() if number]
        lines.append(f"{name}: {', '.join(told) or 'nothing in this range'}")
    for partition in report.partitions:
        standing = partition.standing
        same = "as published" if standing.digest == partition.published else f"published {partition.published}"
        pending = f"; {partition.pending:,} offsets not consolidated yet" if partition.pending else ""
        lines.append(
            f"partition {standing.partition}: {offsets_text(standing.first, standing.end)}, compared from "
            f"{standing.start}, complete from {partition.complete_from}; {standing.records:,} records, "
            f"{standing.changes:,} changes, digest {standing.digest}, {same}{pending}"
        )
    lines.append("0 differences" if not report.differences else f"{report.differences:,} differences")
    return lines
