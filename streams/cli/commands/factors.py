"""``consolidator factors``."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, tzinfo
from pathlib import Path

import click
import msgspec

from consolidator.records import CurrentFactors
from models.errors import AuthorizationError
from streams.audit.history.answers import change_members
from streams.audit.history.current import Journalled
from streams.audit.history.inquiry import Moment
from streams.audit.history.published_reasons import PublishedReason, explain_published
from streams.audit.history.sources import AnswerSource
from streams.audit.published import published_summary
from streams.cli.answers import Source, answers_of
from streams.cli.commands.factors_as_of import answer_as_of, moment_of, question_of, require_a_day
from streams.cli.options import (
    as_of_option,
    at_offset_option,
    at_option,
    catalogue_option,
    compare_option,
    format_option,
    processor_option,
    servers_option,
    source_option,
    timezone_option,
    why_option,
)
from streams.cli.output.changes import change_lines, why_lines
from streams.cli.output.console import note, print_table, write_lines
from streams.cli.output.erased import nothing_but_erased
from streams.cli.output.explanation import explanation_lines, unexplained_lines
from streams.cli.output.pairs import pair_table
from streams.configuration.connection import topics_of
from streams.configuration.settings import load_settings
from streams.core.pair_summary import summary_json
from streams.runtime.exit_codes import FOUND
from topics.contract.declared import Topics
from topics.reading.positions import AtOffset

_ENCODER = msgspec.json.Encoder()


@click.command(
    epilog="""\b
Examples:
  consolidator factors app-1
  consolidator factors app-1 --processor bank_statement --why
  consolidator factors app-1 --format json | jq '{processor, factors}'
  consolidator factors app-1 --at 2026-03-01T09:30:00Z --why
  consolidator factors app-1 --at 2026-03-01 --timezone Europe/Berlin
  consolidator factors app-1 --at-offset 2:1500
  consolidator factors app-1 --at 2026-03-01T09:30:00Z --as-of true
  consolidator factors app-1 --at-offset 2:1500 --compare now

Exit codes: 0 shown; 1 nothing is, or was, known of the application or of its processor; 2 wrong usage or settings, or
no such topic or offset; 3 Kafka failed.

Words: docs/glossary.md
"""
)
@click.argument("application")
@processor_option
@why_option
@at_option
@at_offset_option
@as_of_option
@compare_option
@timezone_option
@catalogue_option
@servers_option
@source_option
@format_option
def factors(
    *,
    application: str,
    processor: str | None,
    why: bool,
    at: int | date | None,
    at_offset: AtOffset | None,
    sense: str,
    compare: Moment | date | None,
    timezone: tzinfo | None,
    catalogue: Path | None,
    bootstrap_servers: str | None,
    source: str,
    output_format: str,
) -> None:
    """Show an application's factors, now or at a past moment, and why they are what they are.

    Read from the database of consolidator sink, if there is one with all records of the application. Else read from
    the factors topic, and with --why from factor-changes and the source, without a consumer group: this command
    changes nothing in Kafka.

    JSON is one object a line for each processor: the members of "consolidator replay" (application_id, processor,
    processor_type, outcome, factors, executions), then ruleset, version (partition and offset of the event that it
    stands on) and occurred_at; with --why also why: contributors, failures, truncated, last_change (null where the
    change was erased) and explanation: ruleset, factors (each with its rule, inputs and calculation), contributions,
    failures, rejected, left_out, refused, truncated; null where the source does not give what was published, with the
    reason as problem.

    What is from before an application's erasure is not shown. If there is nothing else, the command prints where the
    erasure is, and ends with exit code 1; JSON is one object: application_id and erased (topic, partition, offset,
    lifted).

    As of a time or an offset, the source is folded again by the worker's own rules, up to there; JSON has as_of as its
    last member, the offsets that the answer stands on. With --compare it is one object a line for each processor that
    differs: application_id, processor, before, after (null where it was not there), changed and as_of.
    """
    settings = load_settings(bootstrap_servers=bootstrap_servers, catalogue=catalogue)
    require_a_day(timezone, at, compare)
    question = question_of(
        at=moment_of("--at", at, timezone),
        at_offset=at_offset,
        sense=sense,
        compare=moment_of("--compare", compare, timezone),
    )
    if question is not None:
        answer_as_of(
            settings,
            application,
            question,
            Source(source),
            servers_given=bootstrap_servers is not None,
            processor=processor,
            why=why,
            output_format=output_format,
        )
        return
    topics = topics_of(settings)
    answers = answers_of(
        settings,
        application,
        Source(source),
        servers_given=bootstrap_servers is not None,
        as_json=output_format == "json",
    )
    known = answers.current()
    # Read the erasures after the factors: the workers may not have folded an erasure yet.
    forgotten = answers.forgotten()
    if forgotten is not None:
        known = [one for one in known if one.version.offset > forgotten.offset and forgotten.lifted]
        if not known:
            nothing_but_erased(application, topics.executions.name, forgotten, output_format)
    wanted = [one for one in known if processor in (None, one.processor)]
    if not wanted:
        note(_nothing_known(application, processor, known))
        raise SystemExit(FOUND)
    reasons = _reasons(answers, topics, wanted) if why else [None] * len(wanted)
    if output_format == "json":
        write_lines(_json(one, reason) for one, reason in zip(wanted, reasons, strict=True))
        return
    print_table(pair_table(published_summary(one) for one in wanted))
    for one, reason in zip(wanted, reasons, strict=True):
        if reason is not None:
            write_lines(_why_lines(one, reason))


@dataclass(frozen=True, slots=True)
class _Why:
    """The last change of a processor (None: it was erased), and the explanation of its factors."""

    change: Journalled | None
    reason: PublishedReason


def _reasons(answers: AnswerSource, topics: Topics, wanted: Sequence[CurrentFactors]) -> list[_Why | None]:
    changes = [answers.last_change(one) for one in wanted]
    try:
        book, inquiry = answers.published_inquiry(wanted)
    except AuthorizationError:
        # The user may be permitted to read factors, but not events.
        problem = f"this client may not read {topics.executions.name} and {topics.rulesets.name}, as an auditor may"
        reasons = [PublishedReason(None, problem)] * len(wanted)
    else:
        reasons = explain_published(inquiry, book, wanted)
    return [_Why(change, reason) for change, reason in zip(changes, reasons, strict=True)]


def _nothing_known(application: str, processor: str | None, known: list[CurrentFactors]) -> str:
    if not known:
        return f"nothing is known of application {application}: no event of it was consolidated yet"
    names = ", ".join(one.processor for one in known)
    return f"nothing is known of processor {processor} for application {application}; known: {names}"


def _json(current: CurrentFactors, why: _Why | None) -> str:
    more = {"ruleset": current.ruleset, "version": current.version, "occurred_at": current.occurred_at}
    members = msgspec.to_builtins(more)
    if why is not None:
        members["why"] = {
            "contributors": current.executions.contributors,
            "failures": current.executions.failures,
            "truncated": current.executions.truncated,
            "last_change": None if why.change is None else _last_change(why.change),
            "explanation": why.reason.explanation,
        }
        if why.reason.problem:
            members["why"]["problem"] = why.reason.problem
    text = _ENCODER.encode(members).decode()
    return summary_json(published_summary(current), text[1:-1])


def _last_change(journalled: Journalled) -> dict[str, object]:
    place = {"topic": journalled.topic, "partition": journalled.partition, "offset": journalled.offset}
    return change_members(journalled.value) | place


def _why_lines(current: CurrentFactors, why: _Why) -> Iterator[str]:
    if why.reason.explanation is None:
        yield from why_lines(current.processor, current.outcome, current.executions)
        yield from unexplained_lines(why.reason.problem)
    else:
        yield from explanation_lines(current.processor, current.outcome, why.reason.explanation)
    if why.change is None:
        yield "  last change: not in the journal any more"
        return
    yield "  last change:"
    for line in change_lines(why.change):
        yield f"    {line}"
