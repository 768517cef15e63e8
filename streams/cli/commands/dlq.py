"""``consolidator dlq``."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice

import click

from models.errors import ContractError
from streams.cli.kafka import connection_of
from streams.cli.option_types import PlaceType
from streams.cli.options import (
    again_option,
    all_option,
    application_option,
    format_option,
    from_beginning_option,
    limit_option,
    raw_option,
    reason_option,
    servers_option,
    yes_option,
)
from streams.cli.output.console import note, progress, say, write_bytes
from streams.cli.output.dead_letters import HEADING, decision_line, letter_json, letter_line, shown_json, shown_lines
from streams.cli.output.record_json import is_about
from streams.configuration.connection import topics_of
from streams.configuration.settings import load_settings
from streams.operations.redrive import Choice, Decision, Redrive, decide
from streams.rulesets.binding import require_not_anothers
from streams.runtime.exit_codes import FOUND
from topics.contract.declared import Topics
from topics.reading.dead_letter_list import Listed, Place, list_letters, require_place
from topics.reading.originals import Originals
from topics.reading.positions import AtOffset, Beginning, Start
from topics.reading.reader import TopicReader
from topics.records.dead_letter_format import parse_dead_letter, with_original
from topics.records.record import Record

Config = Mapping[str, str | int]


@click.group(
    epilog="""\b
Examples:
  consolidator dlq list
  consolidator dlq show 2:1500
  consolidator dlq redrive --reason unknown_status
  consolidator dlq redrive --reason unknown_status --yes

Words: docs/glossary.md
"""
)
def dlq() -> None:
    """List, show and redrive dead letters: events that could not be read, untouched, and why.

    A dead letter is named by its place in the dead letters' topic, PARTITION:OFFSET.
    """


@dlq.command(
    name="list",
    epilog="""\b
Examples:
  consolidator dlq list
  consolidator dlq list --reason invalid_time --from 2026-03-01T00:00:00Z
  consolidator dlq list --format json | jq -r .error_class | sort | uniq -c

Exit codes: 0 listed, or there are none; 1 listed, but the topic has records that are no dead letters; 2 wrong usage or
settings, or no such topic; 3 Kafka failed.

Words: docs/glossary.md
""",
)
@from_beginning_option
@application_option
@reason_option
@limit_option
@servers_option
@format_option
def list_command(
    *,
    start: Start,
    application: str | None,
    reasons: tuple[str, ...],
    limit: int | None,
    bootstrap_servers: str | None,
    output_format: str,
) -> None:
    """List the dead letters, one a line: where each stands, where it came from, and why. Never its value.

    The state is open; redriven, once it was put back; or came_back, where it was put back and is bad again.

    JSON is one object a line: dlq and source (topic, partition, offset), timestamp, error_class, message, size (bytes
    of the value, null for a tombstone), state, redrive_of and content (held: in the dead letter; in_source: it was too
    large, and the source keeps it).
    """
    settings = load_settings(bootstrap_servers=bootstrap_servers)
    topic = topics_of(settings).dlq.name
    letters, strangers = _listed(connection_of(settings).librdkafka(), topic, start, application)
    wanted = [letter for letter in letters if not reasons or letter.error_class in reasons]
    if not wanted:
        note(f"no dead letters{' like that' if letters else ''} in {topic}")
    elif output_format == "table":
        note(HEADING)
    for letter in islice(wanted, limit):
        if output_format == "json":
            say(letter_json(letter, topic))
        else:
            say(letter_line(letter))
    _tell_strangers(strangers, topic)


@dlq.command(
    epilog="""\b
Examples:
  consolidator dlq show 2:1500
  consolidator dlq show 2:1500 --raw > event.json
  consolidator dlq show 2:1500 --format json | jq .headers

Exit codes: 0 shown; 2 wrong usage or settings, or there is no dead letter at that place (any more); 3 Kafka failed.

Words: docs/glossary.md
"""
)
@click.argument("place", type=PlaceType())
@raw_option
@servers_option
@format_option
def show(*, place: Place, raw: bool, bootstrap_servers: str | None, output_format: str) -> None:
    """Show one dead letter: the reason, where it came from, and the original key, headers and value.

    What could steer a terminal is escaped. JSON is one object: the members of "dlq list", then key, headers (pairs of
    name and value) and value, each a string: UTF-8 text, or base64: and the bytes.

    A dead letter above 1 MiB does not hold its content: key, headers and value are read from the source. Once they are
    gone from there too, size and SHA-256 of the value remain.
    """
    settings = load_settings(bootstrap_servers=bootstrap_servers)
    config, topics = connection_of(settings).librdkafka(), topics_of(settings)
    topic = topics.dlq.name
    record, listed = _found(config, topic, place)
    letter = parse_dead_letter(record)
    if letter is None:  # pragma: no cover - it was listed as one
        raise _no_letter(topic, place)
    value, is_gone = record.value, False
    if letter.original is not None:
        with Originals(config, topics.executions.name) as originals:
            original = originals.find(letter.original)
        is_gone = original is None
        if original is not None:
            letter, value = with_original(letter, original), original.value
    if raw and is_gone:
        raise ContractError(
            f"the value of dead letter {place[0]}:{place[1]} was too large to be kept with it, and its record is gone "
            f"from {letter.topic}: nothing was written"
        )
    if raw:
        _write_raw(value)
    elif output_format == "json":
        say(shown_json(listed, letter, value, topic, is_gone=is_gone))
    else:
        for line in shown_lines(listed, letter, value, topic, is_gone=is_gone):
            say(line)


@dlq.command(
    epilog="""\b
Examples:
  consolidator dlq redrive 2:1500 2:1501
  consolidator dlq redrive --reason far_future --yes
  consolidator dlq redrive --all --limit 1000 --yes

Exit codes: 0 done, or nothing to do; 1 done, but the topic has records that are no dead letters; 2 wrong usage or
settings, a place without a dead letter, topics of another application id, or a refusal: nothing was redriven; 3 Kafka
failed, and the message says whether anything was redriven.

Words: docs/glossary.md
"""
)
@click.argument("places", metavar="[PARTITION:OFFSET]...", nargs=-1, type=PlaceType())
@reason_option
@all_option
@application_option
@again_option
@limit_option
@yes_option
@servers_option
@format_option
def redrive(
    *,
    places: tuple[Place, ...],
    reasons: tuple[str, ...],
    everything: bool,
    application: str | None,
    again: bool,
    limit: int | None,
    yes: bool,
    bootstrap_servers: str | None,
    output_format: str,
) -> None:
    """Put dead letters back into the source, as they were, so that the worker tries them again.

    For when the cause is mended: a limit was raised, or the code reads them now. A dry run unless --yes is given.

    All in one transaction: a redrive takes effect as a whole or not at all. A letter is put back once: redriving it
    again changes nothing. One that is bad again becomes a new dead letter, which is left alone unless --again is given.
    An event that was folded meanwhile is not folded twice.

    A letter that was too large to hold its content is put back from its source record. It is skipped if the source does
    not have that record any more.

    JSON is one object a line: the members of "dlq list", then action (redriven, would_redrive or skipped) and reason.
    """
    if sum(map(bool, (places, reasons, everything))) != 1:
        raise click.UsageError("say which: places, --reason or --all, and only one of them")
    if places and application is not None:
        raise click.UsageError("--application goes with --reason or --all")
    settings = load_settings(bootstrap_servers=bootstrap_servers)
    topics = topics_of(settings)
    config = connection_of(settings).librdkafka()
    require_not_anothers(config, topics, settings.app_id)
    choice = Choice(frozenset(places) or None, frozenset(reasons) or None, again, limit)
    decisions, strangers = _decisions(config, topics, choice, application)
    if yes and _to_put_back(decisions):
        # Read the letters again after fencing: another redrive may have put some of them back meanwhile.
        with Redrive(config, topics, settings.app_id) as redriving:
            decisions, strangers = _decisions(config, topics, choice, application)
            _put_back(redriving, config, topics, _to_put_back(decisions))
    _print_decisions(decisions, topics.dlq.name, done=yes, output_format=output_format)
    _tell_strangers(strangers, topics.dlq.name)


def _listed(config: Config, topic: str, start: Start, application: str | None) -> tuple[list[Listed], list[Place]]:
    def wanted(record: Record) -> bool:
        return application is None or is_about("dlq", record, application)

    with TopicReader(config, topic, start) as reader:
        return list_letters(_watched(reader, "reading"), wanted=wanted)


def _watched(reader: TopicReader, what: str) -> Iterator[Record]:
    """All records until the end, with a progress bar, which counts offsets: there may be fewer records."""
    with progress() as display:
        task = display.add_task(what, total=sum(span.end - span.start for span in reader.spans.values()))
        read = dict.fromkeys(reader.spans, 0)
        for record in reader.until_end():
            read[record.partition] = record.offset + 1 - reader.spans[record.partition].start
            display.update(task, completed=sum(read.values()))
            yield record


def _found(config: Config, topic: str, place: Place) -> tuple[Record, Listed]:
    """The dead letter at a place, with its state. The records about its state come after it in the partition."""
    with TopicReader(config, topic, Beginning()) as reader:
        require_place(reader, topic, place)
    with TopicReader(config, topic, AtOffset(*place)) as reader:
        records = reader.until_end()
        first = next(records, None)
        if first is None or (first.partition, first.offset) != place:
            raise _no_letter(topic, place)
        letters, _ = list_letters(chain([first], records))
    if not letters or letters[0].place != place:
        raise _no_letter(topic, place)
    return first, letters[0]


def _no_letter(topic: str, place: Place) -> ContractError:
    return ContractError(
        f"{topic} has no dead letter at {place[0]}:{place[1]}: a transaction's marker, the mark of a redrive or a "
        "stranger's record stands there; consolidator dlq list shows the letters"
    )


def _decisions(
    config: Config, topics: Topics, choice: Choice, application: str | None
) -> tuple[list[Decision], list[Place]]:
    topic = topics.dlq.name
    letters, strangers = _listed(config, topic, Beginning(), application)
    missing = sorted(set(choice.places or ()) - {letter.place for letter in letters})
    if missing:
        with TopicReader(config, topic, Beginning()) as reader:
            require_place(reader, topic, missing[0])
        raise _no_letter(topic, missing[0])
    with Originals(config, topics.executions.name) as originals:
        return decide(letters, choice, source=topics.executions.name, is_there=originals.has), strangers


def _to_put_back(decisions: Sequence[Decision]) -> list[Place]:
    return [decision.letter.place for decision in decisions if decision.reason is None]


def _put_back(redriving: Redrive, config: Config, topics: Topics, places: Sequence[Place]) -> None:
    if not places:
        return
    with (
        TopicReader(config, topics.dlq.name, Beginning()) as reader,
        Originals(config, topics.executions.name) as originals,
        progress() as display,
    ):
        task = display.add_task("redriving", total=len(places))
        redriving.put_back(
            reader.until_end(),
            places,
            on_progress=lambda count: display.update(task, completed=count),
            find=originals.find,
        )


def _write_raw(value: bytes | None) -> None:
    if value is None:
        note("the original has no value (a tombstone): nothing was written")
    else:
        write_bytes(value)


def _print_decisions(decisions: Sequence[Decision], topic: str, *, done: bool, output_format: str) -> None:
    for decision in decisions:
        action = "skipped" if decision.reason is not None else "redriven" if done else "would_redrive"
        if output_format == "json":
            say(letter_json(decision.letter, topic, action=action, reason=decision.reason))
        else:
            say(decision_line(decision.letter, action, decision.reason))
    chosen = len(_to_put_back(decisions))
    skipped = len(decisions) - chosen
    if done:
        text = f"{chosen} redriven, {skipped} skipped"
    elif chosen:
        text = f"dry run: {chosen} would be redriven, {skipped} skipped; --yes does it"
    else:
        text = f"dry run: nothing to redrive, {skipped} skipped"
    note(text)


def _tell_strangers(strangers: Sequence[Place], topic: str) -> None:
    if strangers:
        partition, offset = strangers[0]
        note(
            f"{topic} has {len(strangers)} records that are no dead letters of ours, the first at {partition}:{offset}"
        )
        raise SystemExit(FOUND)
