"""``consolidator compare``."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import IO

import click

from models.catalogue import Catalogue
from streams.audit.comparison.report import Report, Thresholds
from streams.audit.comparison.side_by_side import FileComparison, LogComparison
from streams.audit.live_ruleset import live_catalogue, live_digests
from streams.cli.input_files import rereadable
from streams.cli.kafka import connection_of
from streams.cli.options import (
    application_option,
    current_option,
    drop_option,
    examples_option,
    format_option,
    input_option,
    max_different_option,
    max_unexpected_option,
    new_catalogue_option,
    processor_option,
    servers_option,
    strategy_option,
    to_bounds_option,
)
from streams.cli.output.comparison import comparison_lines
from streams.cli.output.console import note, progress, say
from streams.configuration.connection import topics_of
from streams.configuration.settings import Settings, load_settings
from streams.core.rules import Rules
from streams.replay.event_lines import BadLine
from streams.replay.file_replay import replay_lines
from streams.replay.in_memory import ReplayFold
from streams.replay.log_replay import LogReplay, Selection
from streams.rulesets.catalogue_file import catalogue_json, load_catalogue
from streams.rulesets.rule_book import RuleBook
from streams.runtime.exit_codes import FOUND
from topics.reading.erasures import ConfirmedErasures
from topics.reading.positions import Start
from topics.reading.ranges import require_bounds
from topics.reading.rulesets import read_rulesets
from topics.records.adoptions import KnownRulesets
from topics.writing.catalogues import require_one_content

# If most results differ, the catalogue is mostly not the intended one. A user who means it can raise the limit.
_MOST_DIFFERENT = Decimal(50)
# Every pair with a failed execution has another result under the old strategy, so all pairs may differ.
_MOST_DIFFERENT_OF_LEGACY = Decimal(100)


@click.command(
    epilog="""\b
Examples:
  consolidator compare --catalogue underwriting-2026.2.toml
  consolidator compare --catalogue underwriting-2026.2.toml --processor bank_statement --examples 10
  consolidator compare --catalogue underwriting-2026.2.toml --max-different 5 --format json > differences.jsonl
  consolidator compare --catalogue underwriting-2026.2.toml --drop fraud_check
  consolidator compare --strategy legacy
  consolidator compare --strategy legacy --input events.jsonl

Exit codes: 0 go; 1 no-go, the reasons are listed; 2 wrong usage, settings or catalogue, or no such topic, partition or
offset; 3 Kafka or the disk failed.

Words: docs/glossary.md
"""
)
@new_catalogue_option
@strategy_option
@current_option
@input_option
@to_bounds_option
@application_option
@processor_option
@max_unexpected_option
@max_different_option
@drop_option
@examples_option
@format_option
@servers_option
def compare(
    *,
    new: Path | None,
    strategy: str | None,
    current: Path | None,
    file: str | None,
    ends: tuple[Start, ...],
    application: str | None,
    processor: str | None,
    max_unexpected: int,
    max_different: float | None,
    dropped: tuple[str, ...],
    examples: int,
    output_format: str,
    bootstrap_servers: str | None,
) -> None:
    """Run another ruleset side by side over history, and say what differs and whether to go.

    Every event is folded under both; for each application and processor outcome, counts and factors are compared. What
    differs is expected by the declarations that were changed, which are named, or it is unexpected. Beside live
    workers: no consumer group is touched, nothing is written.

    JSON is one object a line: each difference (application_id, processor, expected, version, the members that differ
    with their values before and after and the rules that expect them, an explanation), and last a summary with counts,
    examples and the verdict.
    """
    if (new is None) == (strategy is None):
        raise click.UsageError("give --catalogue NEW or --strategy legacy")
    if file is not None and (ends or application or processor or bootstrap_servers):
        raise click.UsageError("--input reads a file: --to, --application, --processor are about Kafka's log")
    try:
        require_bounds(ends)
    except ValueError as error:
        raise click.UsageError(f"--to: {error}") from None
    settings = load_settings(catalogue=current, bootstrap_servers=bootstrap_servers)
    in_force, other = _sides(settings, new, in_file=file is not None, is_given=current is not None)
    report = Report(examples, dropped=[] if other is None else sorted({*in_force.processors} - {*other.processors}))
    with _comparison(file, settings, Selection((), ends, application, processor), report) as side:
        for difference in side.legacy(in_force) if other is None else side.catalogues(in_force, other):
            report.add(difference)
            if difference is not None and output_format == "json":
                say(difference.json(side.place(difference)))
        standings = side.standings()
        over = side.name
    objections = report.objections(_thresholds(max_unexpected, max_different, dropped, is_legacy=other is None))
    if output_format == "json":
        members = {
            "kind": "summary",
            "over": over,
            "before": "legacy" if other is None else _ruleset(in_force),
            "after": _ruleset(other or in_force),
            **report.members(),
            "partitions": [standing.members() for standing in standings],
            "go": not objections,
            "objections": objections,
        }
        say(json.dumps(members, ensure_ascii=False))
    else:
        before = "the old platform's strategy" if other is None else in_force.ruleset.name
        say(f"{over}: {before} compared with {(other or in_force).ruleset.name}")
        for line in comparison_lines(report, objections):
            say(line)
        for standing in standings:
            note(f"  {standing}")
    if objections:
        raise SystemExit(FOUND)


def _sides(
    settings: Settings, new: Path | None, *, in_file: bool, is_given: bool
) -> tuple[Catalogue, Catalogue | None]:
    """The catalogue in force and the new one. If the catalogue in force is not the settings', a note is printed.

    Args:
        settings: the settings.
        new: the new catalogue's file; None: the old strategy is compared.
        in_file: whether the events are in a file, so that there are no live partitions.
        is_given: whether the command line names the catalogue in force.

    Raises:
        ContractError: another catalogue has the new one's name and version already.
    """
    configured = load_catalogue(settings.catalogue)
    in_force, known = (configured, KnownRulesets()) if in_file else _live(settings, configured, is_given=is_given)
    if new is None:
        return in_force, None
    other = load_catalogue(new)
    kept = {in_force.digest: catalogue_json(in_force).encode(), **known.catalogues}
    require_one_content(kept, other.digest, catalogue_json(other))
    return in_force, other


def _live(settings: Settings, configured: Catalogue, *, is_given: bool) -> tuple[Catalogue, KnownRulesets]:
    config, topics = connection_of(settings).librdkafka(), topics_of(settings)
    known = read_rulesets(config, topics, settled=range(topics.partitions))
    book = RuleBook(Rules(configured), lambda: known)
    if not is_given:
        found = live_catalogue(config, topics, configured, book)
        if found.digest != configured.digest:
            note(f"note: compared with {found.ruleset.name}, which the live partitions have")
        return found, known
    others = set(live_digests(config, topics, book).values()) - {configured.digest}
    if others:
        note(f"note: live partitions have the ruleset with digest {', '.join(sorted(others))}, --current is another")
    return configured, known


def _thresholds(
    max_unexpected: int, max_different: float | None, dropped: tuple[str, ...], *, is_legacy: bool
) -> Thresholds:
    if max_different is not None:
        return Thresholds(max_unexpected, Decimal(str(max_different)), frozenset(dropped))
    most = _MOST_DIFFERENT_OF_LEGACY if is_legacy else _MOST_DIFFERENT
    return Thresholds(max_unexpected, most, frozenset(dropped), "; --max-different sets another limit")


@contextmanager
def _comparison(
    file: str | None, settings: Settings, selection: Selection, report: Report
) -> Iterator[LogComparison | FileComparison]:
    """Open the comparison. Bad lines of a file are reported, and counted in the report."""
    if file is not None:
        with rereadable(file) as lines:
            yield FileComparison(file, _Lines(lines, file, settings.max_event_bytes, report))
        return
    topics = topics_of(settings)
    erasures = ConfirmedErasures(connection_of(settings).librdkafka(), topics)
    with progress() as display:
        task = display.add_task("folding", total=None)

        def open_replay(rules: Rules, selection: Selection) -> LogReplay:
            return LogReplay(
                connection_of(settings).librdkafka(),
                topics,
                RuleBook(rules, erasures=erasures),
                selection,
                max_event_bytes=settings.max_event_bytes,
                on_progress=lambda offsets: display.advance(task, offsets),
            )

        with LogComparison(open_replay, topics, selection) as log:
            yield log


@dataclass
class _Lines:
    """Folds the lines of a file, once for each side."""

    lines: IO[bytes]
    name: str
    max_event_bytes: int
    report: Report
    complained: set[int] = field(default_factory=set)

    def __call__(self, fold: ReplayFold) -> None:
        """Fold every line; a line that is bad on several sides is reported once."""
        self.lines.seek(0)
        replay_lines(self.lines, fold, source=self.name, max_event_bytes=self.max_event_bytes, on_bad=self._complain)

    def _complain(self, line: BadLine) -> None:
        if line.number not in self.complained:
            self.complained.add(line.number)
            self.report.bad_lines += 1
            note(str(line))


def _ruleset(catalogue: Catalogue) -> dict[str, str]:
    return {"name": catalogue.ruleset.name, "digest": catalogue.digest}
