"""The offsets and digests of a replay: as lines, and as a JSON file."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import click

from streams.core.rules import Rules
from streams.replay.basis import PartitionStanding
from streams.replay.log_replay import Selection
from streams.rulesets.rule_book import RuleBook
from topics.contract.declared import Topics

__all__ = ["adoption_lines", "summary_members", "write_summary"]


def summary_members(
    topics: Topics, rules: Rules, selection: Selection, standings: list[PartitionStanding]
) -> Mapping[str, object]:
    """The offsets and digests of a replay, as members of a JSON object."""
    return {
        "topic": topics.executions.name,
        "ruleset": {"name": rules.name, "digest": rules.digest},
        "application": selection.application_id,
        "processor": selection.processor,
        "partitions": [standing.members() for standing in standings],
    }


def write_summary(path: Path | None, members: Mapping[str, object]) -> None:
    """Write a summary to its file, if one is wanted.

    Raises:
        click.UsageError: the file cannot be written.
    """
    if path is None:
        return
    try:
        path.write_text(json.dumps(members, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise click.UsageError(f"cannot write {path}: {error.strerror}") from error


def adoption_lines(book: RuleBook, standing: PartitionStanding) -> Iterator[str]:
    """The rulesets that a partition adopted in the range."""
    for adoption in book.adoptions(standing.partition):
        if adoption.offset < standing.end:
            yield f"from offset {adoption.offset} on ruleset {book.of_digest(adoption.after).name} ({adoption.after})"
