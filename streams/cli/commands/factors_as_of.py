"""``consolidator factors`` for an earlier moment: the source is folded again, up to that moment."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, tzinfo
from typing import Any, Final, TypeVar

import click
import msgspec

from models.events import rfc3339
from streams.audit.history.answers import (
    Difference,
    change_members,
    differences,
    standing_members,
    standing_text,
)
from streams.audit.history.as_of import AsOf, ProcessorAsOf
from streams.audit.history.explanation import explain
from streams.audit.history.inquiry import Inquiry, Moment
from streams.audit.made_changes import executions_of
from streams.cli.answers import Source, answers_of
from streams.cli.option_types import note_future
from streams.cli.output.changes import difference_text, folded_change_lines
from streams.cli.output.console import note, print_table, progress, say, write_lines
from streams.cli.output.erased import nothing_but_erased
from streams.cli.output.explanation import explanation_lines
from streams.cli.output.pairs import executions_text, pair_table
from streams.configuration.settings import Settings
from streams.core.pair_summary import PairSummary, summary_json, summary_of
from streams.core.rules import Rules
from streams.rulesets.rule_book import RuleBook
from streams.runtime.exit_codes import FOUND
from topics.reading.positions import AtOffset, End, end_of_day

__all__ = ["Question", "answer_as_of", "moment_of", "question_of", "require_a_day"]


_encode: Final = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Question:
    """A question about the past.

    Attributes:
        known: the moment up to which the log is read.
        true_at: the time of a *true* answer, in microseconds since the epoch; None: the answer is a *known* one.
        compare_known: like ``known``, for the second answer of a comparison.
        compare_true_at: like ``true_at``, for the second answer of a comparison.
    """

    known: Moment
    true_at: int | None = None
    compare_known: Moment | None = None
    compare_true_at: int | None = None


def question_of(*, at: int | None, at_offset: AtOffset | None, sense: str, compare: Moment | None) -> Question | None:
    """The question that the options ask; None: they ask for the current factors.

    Raises:
        click.UsageError: they contradict each other.
    """
    if sense == "true":
        if at is None:
            raise click.UsageError("--as-of true needs --at: the time by which events had happened")
        if compare is not None and not isinstance(compare, int):
            raise click.UsageError("with --as-of true, --compare needs a TIME")
        known = End() if at_offset is None else at_offset
        return Question(known, at, None if compare is None else known, compare)
    if at is not None and at_offset is not None:
        raise click.UsageError("--at and --at-offset both limit the log that is read: give one of them")
    first = at if at_offset is None else at_offset
    if first is None:
        if compare is not None:
            raise click.UsageError("--compare needs --at or --at-offset: compared with what?")
        return None
    return Question(first, compare_known=compare)


_Moment = TypeVar("_Moment", int, Moment)


def require_a_day(timezone: tzinfo | None, *given: object) -> None:
    """Refuse a time zone if no day is given: a time has its own offset, and the output is in UTC.

    Raises:
        click.UsageError: there is a time zone, but no day.
    """
    if timezone is not None and not any(isinstance(one, date) for one in given):
        raise click.UsageError("--timezone is for a DATE: neither --at nor --compare has one")


def moment_of(option: str, given: "_Moment | date | None", timezone: tzinfo | None) -> "_Moment | int | None":
    """The moment that an option means. A bare date means the end of that day, and the exact moment is printed.

    Raises:
        click.UsageError: a day is given without its time zone.
    """
    if not isinstance(given, date):
        return given
    if timezone is None:
        raise click.UsageError(
            f"{option} {given.isoformat()} is a whole day, and means its end: give its time zone, such as "
            "--timezone UTC"
        )
    try:
        moment = end_of_day(given, timezone)
    except ValueError as error:
        raise click.UsageError(f"{option}: {error}") from None
    note(f"{option} {given.isoformat()} ({timezone}): the end of that day, {rfc3339(moment)}")
    note_future(moment, rfc3339(moment))
    return moment


def answer_as_of(
    settings: Settings,
    application: str,
    question: Question,
    source: Source,
    *,
    servers_given: bool,
    processor: str | None,
    why: bool,
    output_format: str,
) -> None:
    """Fold the application's events up to a moment, and print the resulting factors."""
    moments = tuple(one for one in (question.known, question.compare_known) if one is not None)
    answers = answers_of(
        settings,
        application,
        source,
        servers_given=servers_given,
        as_json=output_format == "json",
        moments=moments,
    )
    with progress() as display:
        task = display.add_task("reading", total=None)
        book, inquiry = answers.inquiry(moments, lambda count, total: display.update(task, total=total, advance=count))
    answer = _asked(inquiry, question.known, question.true_at)
    if answer.log.is_forgotten and answer.log.forgotten is not None:
        nothing_but_erased(application, answer.log.log.topic, answer.log.forgotten, output_format)
    if question.compare_known is not None:
        other = _asked(inquiry, question.compare_known, question.compare_true_at)
        _print_comparison(answer, other, book, processor, output_format)
        return
    wanted = [one for name, one in answer.processors.items() if processor in {None, name}]
    if not wanted:
        known = f"; known: {', '.join(answer.processors)}" if answer.processors else ""
        what = "" if processor is None else f" of processor {processor}"
        note(f"nothing was known{what} for application {application}{known}", standing_text(answer))
        if isinstance(question.known, int) and not answer.processors:
            note("a time is compared with when the broker took a record: --as-of true goes by when it happened")
        raise SystemExit(FOUND)
    if output_format == "json":
        write_lines(_json(one, answer, book.of_row(one.pair.row), why=why) for one in wanted)
        return
    print_table(pair_table(summary_of(one.pair, book.of_row(one.pair.row)) for one in wanted))
    if why:
        for one in wanted:
            write_lines(_why(one, answer, book.of_row(one.pair.row)))
    note(standing_text(answer))


def _asked(inquiry: Inquiry, known: Moment, true_at: int | None) -> AsOf:
    return inquiry.known(known) if true_at is None else inquiry.true(true_at, known)


def _json(one: ProcessorAsOf, answer: AsOf, rules: Rules, *, why: bool) -> str:
    executions = executions_of(one.pair.tally)
    members: dict[str, object] = {
        "ruleset": {"name": rules.name, "digest": rules.digest},
        "version": {"partition": answer.log.partition, "offset": one.pair.row.version},
        "occurred_at": one.last_change.occurred_at,
    }
    if why:
        members["why"] = {
            "contributors": executions.contributors,
            "failures": executions.failures,
            "truncated": executions.truncated,
            "last_change": change_members(one.last_change),
            "explanation": explain(one, answer, rules),
        }
    members["as_of"] = standing_members(answer)
    return summary_json(summary_of(one.pair, rules), _encode(members).decode()[1:-1])


def _why(one: ProcessorAsOf, answer: AsOf, rules: Rules) -> Iterator[str]:
    processor, outcome = one.pair.row.processor, one.pair.tally.outcome.value
    yield from explanation_lines(processor, outcome, explain(one, answer, rules))
    yield "  last change:"
    for line in folded_change_lines(one.last_change):
        yield f"    {line}"


def _print_comparison(before: AsOf, after: AsOf, book: RuleBook, processor: str | None, output_format: str) -> None:
    found = [one for one in differences(before, after, book) if processor in {None, one.processor}]
    if output_format == "json":
        write_lines(_difference_json(one, before, after) for one in found)
        return
    for one in found:
        write_lines(_difference_lines(one))
    if not found:
        say("no difference")
    note(f"before: {standing_text(before)}", f"after: {standing_text(after)}")


def _difference_json(one: Difference, before: AsOf, after: AsOf) -> str:
    members: dict[str, Any] = {
        "application_id": before.log.application_id,
        "processor": one.processor,
        "before": _summary_raw(one.before),
        "after": _summary_raw(one.after),
        "changed": one.changed,
        "as_of": {"before": standing_members(before), "after": standing_members(after)},
    }
    return _encode(members).decode()


def _summary_raw(summary: PairSummary | None) -> msgspec.Raw | None:
    return None if summary is None else msgspec.Raw(summary_json(summary).encode())


def _difference_lines(one: Difference) -> Iterator[str]:
    yield f"{one.processor}: {_told(one.before)} → {_told(one.after)}"
    for difference in one.changed:
        yield f"  {difference_text(difference)}"


def _told(summary: PairSummary | None) -> str:
    return "nothing" if summary is None else f"{summary.outcome} ({executions_text(summary)})"
