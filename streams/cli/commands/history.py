"""``consolidator history``."""

from pathlib import Path
from typing import Final

import click
import msgspec

from models.events import rfc3339
from streams.audit.history.answers import change_members
from streams.audit.history.timeline import Entry, Fate
from streams.cli.answers import Source, answers_of
from streams.cli.options import (
    catalogue_option,
    format_option,
    order_option,
    processor_option,
    servers_option,
    source_option,
)
from streams.cli.output.console import note, progress, write_lines
from streams.cli.output.record_json import rfc3339_of
from streams.cli.output.timeline import entry_lines
from streams.configuration.connection import topics_of
from streams.configuration.settings import load_settings
from streams.runtime.exit_codes import FOUND
from topics.reading.positions import offsets_text

_encode: Final = msgspec.json.Encoder().encode


@click.command(
    epilog="""\b
Examples:
  consolidator history app-1
  consolidator history app-1 --processor bank_statement --order occurred
  consolidator history app-1 --format json | jq 'select(.changes != [])'

Exit codes: 0 shown; 1 the log has nothing of the application; 2 wrong usage or settings, or no such topic; 3 Kafka
failed.

Words: docs/glossary.md
"""
)
@click.argument("application")
@processor_option
@order_option
@catalogue_option
@servers_option
@source_option
@format_option
def history(
    *,
    application: str,
    processor: str | None,
    order: str,
    catalogue: Path | None,
    bootstrap_servers: str | None,
    source: str,
    output_format: str,
) -> None:
    """Show the whole timeline of an application: its executions' events, and what each of them changed.

    The source is folded again by the worker's own rules. It is read from the database of consolidator sink, if there
    is one with all records of the application; else from Kafka, without a consumer group.

    JSON is one object a line for each record: topic, partition, offset, recorded_at (by the broker), fate (folded,
    copy, tombstone, erased, erasure, ruleset, refused, published_again), event_id (null where there is none), event
    (null where there is none: execution_id, processor, status, attempt, code, supersedes, occurred_at), reason (of a
    refusal; of an erasure, what is not shown for it), and changes, as in "factors". What is from before the
    application's erasure is not shown.
    """
    settings = load_settings(bootstrap_servers=bootstrap_servers, catalogue=catalogue)
    topics = topics_of(settings)
    answers = answers_of(
        settings,
        application,
        Source(source),
        servers_given=bootstrap_servers is not None,
        as_json=output_format == "json",
    )
    with progress() as display:
        task = display.add_task("reading", total=None)
        book, inquiry = answers.inquiry((), lambda count, total: display.update(task, total=total, advance=count))
    if inquiry.log.forgotten is not None:
        note(f"application {application}: {inquiry.log.forgotten}; what is from before the erasure is not shown")
    entries = [entry for entry in inquiry.timeline() if processor is None or _is_about(entry, processor)]
    # An adoption concerns all applications. If there are only adoptions that changed nothing here, nothing is known
    # about this application.
    if all(entry.fate is Fate.RULESET and not entry.changes for entry in entries):
        note(f"{topics.executions.name} has nothing of this about application {application}")
        raise SystemExit(FOUND)
    if order == "occurred":
        entries.sort(key=_happened)
    if output_format == "json":
        write_lines(_json(entry) for entry in entries)
    else:
        for entry in entries:
            write_lines(entry_lines(entry, book))
    log = inquiry.log
    gone = f"; what was before offset {log.first} is gone" if log.first else ""
    ruleset = book.last(log.partition, log.end).name
    note(f"from {log.log.topic} partition {log.partition}, {offsets_text(log.first, log.end)}, ruleset {ruleset}{gone}")


def _is_about(entry: Entry, processor: str) -> bool:
    if entry.event is not None:
        return entry.event.processor == processor
    return any(change.processor == processor for change in entry.changes)


def _happened(entry: Entry) -> tuple[int, int]:
    """The time of a record; for a tombstone or a record without an event, the time at which the broker took it."""
    happened = entry.record.timestamp_ms * 1000 if entry.event is None else entry.event.occurred_at
    return happened, entry.record.offset


def _json(entry: Entry) -> str:
    record, event = entry.record, entry.event
    members = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "recorded_at": rfc3339_of(record.timestamp_ms),
        "fate": entry.fate.value,
        "event_id": entry.event_id or None,
        "event": None
        if event is None
        else {
            "execution_id": event.execution_id,
            "processor": event.processor,
            "status": event.status.text,
            "attempt": event.attempt,
            "code": event.code,
            "supersedes": event.supersedes,
            "occurred_at": rfc3339(event.occurred_at),
        },
        "reason": entry.reason or None,
        "changes": [{"processor": change.processor} | change_members(change) for change in entry.changes],
    }
    return _encode(members).decode()
