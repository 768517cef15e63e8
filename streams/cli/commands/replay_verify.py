"""``consolidator replay --verify``."""

import json
import time
from pathlib import Path

from streams.audit.live_ruleset import catalogue_in_force
from streams.audit.verification.in_kafka import KafkaVerification
from streams.cli.kafka import connection_of
from streams.cli.output.console import note, progress, say
from streams.cli.output.summary import write_summary
from streams.cli.output.verification import note_owner, report_lines
from streams.configuration.connection import topics_of
from streams.configuration.settings import Settings
from streams.replay.log_replay import Selection
from streams.rulesets.rule_book import book_of
from streams.runtime.exit_codes import FOUND

__all__ = ["replay_verify"]


def replay_verify(
    settings: Settings,
    selection: Selection,
    *,
    output_format: str,
    summary: Path | None,
    metrics_file: Path | None,
) -> None:
    """Verify the published records, and print every difference.

    Args:
        settings: the settings.
        selection: the selected range and applications.
        output_format: ``table`` or ``json``.
        summary: a file for the report, as JSON.
        metrics_file: a file for metrics.
    """
    topics = topics_of(settings)
    config = connection_of(settings).librdkafka()
    book = book_of(catalogue_in_force(settings, config, topics), config, topics, settled=range(topics.partitions))
    rules = book.configured
    with progress() as display:
        task = display.add_task("verifying", total=None)
        verification = KafkaVerification(
            config,
            topics,
            book,
            selection,
            group=settings.app_id,
            max_event_bytes=settings.max_event_bytes,
            on_progress=lambda offsets: display.advance(task, offsets),
        )
        with verification:
            display.update(task, total=verification.total)
            for finding in verification.run():
                line = json.dumps(finding.members(), ensure_ascii=False) if output_format == "json" else str(finding)
                say(line)
            report = verification.report()
    members = {
        "kind": "summary",
        "topic": topics.executions.name,
        "ruleset": {"name": rules.name, "digest": rules.digest},
        "application": selection.application_id,
        "processor": selection.processor,
        **report.members(),
    }
    if output_format == "json":
        say(json.dumps(members, ensure_ascii=False))
    else:
        for line in report_lines(report):
            say(line)
    write_summary(summary, members)
    if metrics_file is not None:
        # Imported here: it takes longer than the help.
        from streams.cli.output.operations.metrics_file import verification_metrics, write_metrics  # noqa: PLC0415

        write_metrics(metrics_file, verification_metrics(report.differences, time.time()))
    note_owner(config, topics, settings.app_id)
    if selection.application_id is not None and not (report.changes.total or report.factors.total):
        note(f"note: nothing that was published in this range is about application {selection.application_id}")
    if report.differences:
        raise SystemExit(FOUND)
