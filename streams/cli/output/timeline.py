"""An application's timeline for people."""

from collections.abc import Iterator

from consolidator.records import FactorChange
from models.events import rfc3339
from streams.audit.history.timeline import Entry, Fate
from streams.cli.output.changes import difference_text
from streams.cli.output.record_json import rfc3339_of
from streams.rulesets.rule_book import RuleBook
from topics.records.erasures import parse_erasure

__all__ = ["entry_lines"]


def entry_lines(entry: Entry, book: RuleBook) -> Iterator[str]:
    """A source record with its fate, and below it the changes that it caused."""
    record, event = entry.record, entry.event
    place = f"{record.partition}:{record.offset}"
    time = rfc3339_of(record.timestamp_ms)
    if event is None:
        yield f"{place:>10}  {time}  {_control_text(entry, book)}"
    else:
        attempt = "all attempts" if event.attempt is None else f"attempt {event.attempt}"
        code = f" ({event.code})" if event.code else ""
        again = ", a copy" if entry.fate == "copy" else ""
        what = f"{event.execution_id} {event.status.text}, {attempt}{code}{again}"
        yield f"{place:>10}  {time}  {event.processor}  {what}, happened {rfc3339(event.occurred_at)}"
    for change in entry.changes:
        yield from _change_lines(change)


def _control_text(entry: Entry, book: RuleBook) -> str:
    """The text of a record that is no event, or that was not folded."""
    if entry.fate is Fate.RULESET:
        rules = book.adopted_at(entry.record.partition, entry.record.offset)
        return "a ruleset was adopted" if rules is None else f"ruleset {rules.name} was adopted"
    if entry.fate is Fate.ERASURE:
        erasure = parse_erasure(entry.record.key or b"", entry.record.value or b"")
        what = "the application's erasure was lifted" if erasure.lifted else "the application was erased"
        return f"{what}; {entry.reason}" if entry.reason else what
    event = f", event {entry.event_id}" if entry.event_id else ""
    reason = f": {entry.reason}" if entry.reason else ""
    return f"{entry.fate.replace('_', ' ')}{event}{reason}"


def _change_lines(change: FactorChange) -> Iterator[str]:
    executions = change.executions
    yield (
        f"{'':>12}{change.processor}: {change.previous_outcome} → {change.outcome} "
        f"({executions.completed} completed, {executions.failed} failed)"
    )
    for difference in change.changed:
        yield f"{'':>14}{difference_text(difference)}"
    for note in change.quality:
        yield f"{'':>14}quality: {note.issue}" + (f" ({note.factor})" if note.factor else "")
