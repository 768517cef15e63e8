"""``consolidator replay`` from Kafka."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from consolidator.keys import partition_of
from streams.audit.live_ruleset import catalogue_in_force
from streams.audit.made_changes import published_form
from streams.cli.kafka import connection_of
from streams.cli.output.console import note, progress, write_lines
from streams.cli.output.pairs import print_pairs
from streams.cli.output.parquet import change_rows, pair_rows, require_parquet, write_parquet
from streams.cli.output.record_lines import heading, readable_line
from streams.cli.output.summary import adoption_lines, summary_members, write_summary
from streams.configuration.connection import topics_of
from streams.configuration.settings import Settings
from streams.core.fold import Pair
from streams.core.pair_summary import summary_json, summary_of
from streams.core.rules import Rules
from streams.replay.log_replay import LogReplay, Selection, ShownChange
from streams.rulesets.rule_book import RuleBook, book_of
from topics.contract.declared import Topics
from topics.records.record import Record

__all__ = ["replay_log"]

_KIND: Final = "factor-changes"


def replay_log(
    settings: Settings,
    selection: Selection,
    *,
    changes: bool,
    output_format: str,
    output: Path | None,
    summary: Path | None,
) -> None:
    """Replay the log and print the resulting pairs, or the changes.

    Args:
        settings: the settings.
        selection: the selected range and applications.
        changes: print the changes instead of the resulting pairs.
        output_format: ``table``, ``json``, or ``parquet`` into ``output``.
        output: the Parquet file.
        summary: a file for offsets and digests, as JSON.
    """
    if output is not None:
        require_parquet()
    topics = topics_of(settings)
    config = connection_of(settings).librdkafka()
    book = book_of(catalogue_in_force(settings, config, topics), config, topics, settled=range(topics.partitions))
    with progress() as display:
        task = display.add_task("replaying", total=0)
        replay = LogReplay(
            config,
            topics,
            book,
            selection,
            max_event_bytes=settings.max_event_bytes,
            on_progress=lambda offsets: display.advance(task, offsets),
        )
        with replay:
            display.update(task, total=sum(span.end - span.first for span in replay.ranges.values()))
            found = replay.run()
            if changes:
                _print_changes(found, topics, output_format, output)
            for _ in found:
                pass
            display.stop()
            if not changes:
                _print_pairs(replay.pairs(), book, topics, output_format, output)
            standings = replay.standings()
    if replay.hidden:
        note(f"{replay.hidden:,} changes of applications that were erased later are not shown")
    rules = book.configured
    note(f"stands on {topics.executions.name}, ruleset {rules.name} ({rules.digest})")
    for standing in standings:
        note(f"  {standing}")
        for line in adoption_lines(book, standing):
            note(f"    {line}")
    write_summary(summary, summary_members(topics, rules, selection, standings))


def _print_changes(found: Iterator[ShownChange], topics: Topics, output_format: str, output: Path | None) -> None:
    if output is not None:
        write_parquet(output, change_rows(published_form(one.made) for one in found))
    elif output_format == "json":
        write_lines((one.sent.value or b"").decode() for one in found)
    else:
        note(heading(_KIND))
        write_lines(readable_line(_KIND, _record(one, topics)) for one in found)


def _record(change: ShownChange, topics: Topics) -> Record:
    """The change as a record at the place and the time of its cause."""
    sent = change.sent
    return Record(
        topics.executions.name, sent.partition, change.offset, change.timestamp_ms, sent.key, sent.value, headers=()
    )


def _print_pairs(
    pairs: Iterator[Pair], book: RuleBook, topics: Topics, output_format: str, output: Path | None
) -> None:
    if output is not None:
        write_parquet(output, pair_rows(pairs, book, topics.partitions))
    elif output_format == "json":
        write_lines(_pair_json(pair, book.of_row(pair.row), topics.partitions) for pair in pairs)
    else:
        print_pairs(summary_of(pair, book.of_row(pair.row)) for pair in pairs)


def _pair_json(pair: Pair, rules: Rules, partitions: int) -> str:
    partition = partition_of(pair.row.application_id, partitions)
    return summary_json(summary_of(pair, rules), f'"version":{{"partition":{partition},"offset":{pair.row.version}}}')
