"""A verification's report for people."""

from collections.abc import Mapping

from streams.audit.verification.verify import Report
from streams.cli.output.console import note
from streams.rulesets.binding import bound_to
from topics.contract.declared import Topics
from topics.reading.positions import offsets_text

__all__ = ["note_owner", "report_lines"]


def note_owner(config: Mapping[str, str | int], topics: Topics, app_id: str) -> None:
    """Print a note if the topics belong to another application id, because their workers then use another group.

    Args:
        config: for librdkafka.
        topics: the declared topics.
        app_id: the application id whose group was asked.
    """
    binding = bound_to(config, topics)
    if binding is not None and binding.app_id != app_id:
        note(
            f"note: {topics.executions.name} belongs to the application id {binding.app_id}, CONSOLIDATOR_APP_ID is "
            f"{app_id}: what its workers have consolidated was taken from what is published"
        )


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
