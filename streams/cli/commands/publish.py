"""``consolidator publish``."""

import json
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Final

import click

from models.catalogue import Catalogue
from models.errors import BadEventError, Defect
from streams.cli.input_files import rereadable
from streams.cli.kafka import connection_of
from streams.cli.options import (
    catalogue_option,
    dry_run_option,
    format_option,
    servers_option,
    skip_invalid_option,
    strict_option,
)
from streams.cli.output.console import complain, hint, note, print_json, progress, say, warn
from streams.configuration.connection import topics_of
from streams.configuration.settings import load_settings
from streams.replay.event_lines import BadLine, EventLine, read_event_lines
from streams.rulesets.catalogue_file import load_catalogue
from streams.rulesets.typing_errors import typing_errors
from streams.runtime.exit_codes import REFUSED
from topics.cluster.authorization import require_permissions
from topics.cluster.provisioning import require
from topics.contract.permissions import Role, permissions
from topics.records.json_strict import parse_object
from topics.writing.publishing import publish_events, record_bytes

_LOOKED_AT: Final = 1_024
"""How many bytes of a file's first line are used to recognise the kind of file."""

_WANTED: Final = "an event a line is wanted (JSON Lines)"
_ROUNDS: Final = "(jq before 1.7 rounds long numbers)"

_MOST_WARNED: Final = 100
"""The greatest number of lines whose warnings are printed; a mistake in every line would hide all other output."""


@click.command(
    epilog="""\b
Examples:
  consolidator publish events.jsonl
  consolidator publish --strict --dry-run events.jsonl
  cat events.jsonl | consolidator publish -
  consolidator publish <(zcat events.jsonl.gz)

Exit codes: 0 all published and acknowledged; 2 bad lines, or with --strict mistyped ones, nothing published; 3 Kafka,
the file or the disk failed.
"""
)
@click.argument("file", metavar="FILE|-")
@skip_invalid_option
@dry_run_option
@strict_option
@catalogue_option
@servers_option
@format_option
def publish(
    file: str,
    *,
    skip_invalid: bool,
    dry_run: bool,
    strict: bool,
    catalogue: Path | None,
    bootstrap_servers: str | None,
    output_format: str,
) -> None:
    """Publish lifecycle events from JSON Lines, one event a line.

    The whole input is checked first. Each bad line is printed with its number and reason, and nothing is published
    unless --skip-invalid is given. Publishing the same file twice changes nothing the second time.

    A good line may lose something without a word: a member whose name is nearly one that is read, a field or a
    processor that the catalogue does not have, a value that its factor does not take, white space around an id. Each
    gets a warning with its number, and --strict publishes nothing then.

    JSON is one object: published, skipped and topic; mistyped, how many lines got a warning, where any did; and with
    --dry-run would_publish. On stderr are objects, too: bad lines with line, error_class and message; warnings with
    line (where it is one line's) and warning; and what else is worth knowing with note.
    """
    settings = load_settings(catalogue=catalogue, bootstrap_servers=bootstrap_servers)
    as_json = output_format == "json"
    topics = topics_of(settings)
    # Both passes use the same time, so that they accept the same lines.
    check = Check(settings.max_event_bytes, int(topics.executions.config["max.message.bytes"]), time.time_ns() // 1_000)
    with rereadable(file) as lines:
        good, bad, mistyped = _tell(check(lines), load_catalogue(settings.catalogue), as_json=as_json)
        if mistyped and settings.catalogue is None:
            hint("names were looked up in the built-in sample; --catalogue names yours", as_json=as_json)
        if bad and not good:
            lines.seek(0)
            for what in _what_file(lines, file):
                hint(what, as_json=as_json)
        if bad and not skip_invalid:
            raise _refused(f"{bad} of {good + bad} events are bad, nothing was published", as_json=as_json)
        if mistyped and strict:
            raise _refused(f"{mistyped} of {good + bad} events look mistyped, nothing was published", as_json=as_json)
        if dry_run:
            _tell_dry_run(good, bad, mistyped, topics.executions.name, as_json=as_json)
            return
        connection = connection_of(settings)
        require_permissions(permissions(Role.PUBLISHER, topics, settings.app_id), connection.librdkafka())
        require(topics, connection.librdkafka(), only=topics.executions)
        lines.seek(0)
        with progress() as display:
            task = display.add_task("publishing", total=good)
            published = publish_events(
                (line.content for line in check(lines) if not isinstance(line, BadLine)),
                topics.executions.name,
                topics.partitions,
                connection.librdkafka(),
                on_acknowledged=lambda count: display.update(task, completed=count),
            )
    if as_json:
        warned = {"mistyped": mistyped} if mistyped else {}
        print_json({"published": published, "skipped": bad, "topic": topics.executions.name} | warned)
    else:
        say(f"published {published} events to {topics.executions.name}" + (f", skipped {bad}" if bad else ""))


def _tell_dry_run(good: int, bad: int, mistyped: int, topic: str, *, as_json: bool) -> None:
    if as_json:
        told = {"published": 0, "would_publish": good, "skipped": bad, "topic": topic}
        print_json(told | ({"mistyped": mistyped} if mistyped else {}))
    else:
        say(f"dry run: {good} events would be published to {topic}" + (f", {bad} skipped" if bad else ""))


def _what_file(lines: IO[bytes], name: str) -> Iterator[str]:
    """A hint for a file without any event: its probable format, and how to convert it."""
    start = lines.readline(_LOOKED_AT).lstrip()
    if start.startswith(b"\x1f\x8b"):
        yield f"this is a gzip file: consolidator publish <(zcat {name})"
    elif start.startswith((b"\xff\xfe", b"\xfe\xff")):
        yield f"this is UTF-16: iconv -f UTF-16 -t UTF-8 {name} | consolidator publish -"
    elif start.startswith(b"["):
        yield f"{_WANTED}, no array: jq -c '.[]' {name} | consolidator publish - {_ROUNDS}"
    elif start.strip() == b"{":
        yield f"{_WANTED}: jq -c . {name} | consolidator publish - {_ROUNDS}"


def _refused(complaint: str, *, as_json: bool) -> SystemExit:
    """Print that nothing was published, and end the command."""
    if as_json:
        complain(complaint, as_json=True, code=REFUSED)
    else:
        note(complaint)
    return SystemExit(REFUSED)


class Check:
    """All lines of a file, good and bad; they can be read twice.

    Args:
        max_event_bytes: a longer line is bad.
        max_record_bytes: a line whose record would be larger is bad, too.
        recorded_at: about the time at which the broker takes the records, in microseconds. An event that happened more
            than a day later is bad, too. None: times are not checked.
    """

    def __init__(self, max_event_bytes: int, max_record_bytes: int, recorded_at: int | None = None) -> None:
        self._max_event_bytes = max_event_bytes
        self._max_record_bytes = max_record_bytes
        self._recorded_at = recorded_at

    def __call__(self, lines: IO[bytes]) -> Iterator[EventLine | BadLine]:
        """Read lines; a line whose record would be too large is bad, too."""
        for line in read_event_lines(lines, max_event_bytes=self._max_event_bytes, recorded_at=self._recorded_at):
            yield line if isinstance(line, BadLine) else self._with_its_envelope(line)

    def _with_its_envelope(self, line: EventLine) -> EventLine | BadLine:
        size = record_bytes(line.event, line.raw)
        if size <= self._max_record_bytes:
            return line
        reason = f"with its key and headers it takes {size} bytes, the topic takes {self._max_record_bytes}"
        return BadLine(line.number, BadEventError(Defect.TOO_LARGE, reason))


def _tell(lines: Iterable[EventLine | BadLine], catalogue: Catalogue, *, as_json: bool) -> tuple[int, int, int]:
    """Print every bad and every mistyped line on stderr; return the counts of good, bad, and mistyped good lines."""
    good = bad = mistyped = 0
    with progress() as display:
        task = display.add_task("checking", total=None)
        for line in lines:
            if isinstance(line, BadLine):
                bad += 1
                note(json.dumps(line.members(), ensure_ascii=False) if as_json else str(line))
            else:
                good += 1
                mistyped += _warn(line, catalogue, silent=mistyped >= _MOST_WARNED, as_json=as_json)
            display.advance(task)
    if mistyped > _MOST_WARNED:
        warn(f"{mistyped - _MOST_WARNED} more lines look mistyped", as_json=as_json)
    return good, bad, mistyped


def _warn(line: EventLine, catalogue: Catalogue, *, silent: bool, as_json: bool) -> bool:
    """Whether a good line looks mistyped; each reason is printed."""
    found = list(typing_errors(parse_object(line.raw), line.event, catalogue))
    if not silent:
        for what in found:
            warn(what, line=line.number, as_json=as_json)
    return bool(found)
