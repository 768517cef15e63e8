"""The report of ``consolidator demo``: a page for people, or one JSON object."""

import shlex
from collections.abc import Iterable, Iterator

import msgspec
from rich.table import Column, Table
from rich.text import Text

from streams.cli.output.changes import change_lines
from streams.cli.output.console import cell, print_table, say, say_heading
from streams.core.pair_summary import summary_json
from streams.demo.installation import Installation
from streams.demo.report import DemoReport, Example, ProcessorFigures, ScenarioResult
from streams.runtime.escaping import escaped

__all__ = ["demo_json", "next_steps", "print_demo"]

_SAMPLE_EVENT = (
    '{"application_id":"a1","execution_id":"e1","processor":"credit_check","status":"completed",'
    '"occurred_at":"2025-03-04T09:00:00Z","output":{"factors":{"f_credit_score":710}}}'
)
# Every command can be run as it is, in this order.
_FIRST_STEPS = (
    "consolidator demo --keep      # the same, and everything stays to be looked at",
    "consolidator catalogue show   # which factors each processor yields, and how",
    f"event='{_SAMPLE_EVENT}'",
    'echo "$event" | consolidator replay --input -   # consolidated at once, without Kafka',
    "consolidator topics apply && consolidator run   # a worker of your own; then, in another terminal:",
    'echo "$event" | consolidator publish -',
    "consolidator factors a1 --why",
)
_OUTCOMES = ("consolidated", "partial", "cleared", "in_progress", "withdrawn")
_TITLE_WIDTH = 30
_RIGHT, _WRONG = "✓", "✗"


def print_demo(report: DemoReport) -> None:
    """Print the page on stdout."""
    _heading("The strategy's three scenarios: expected, and what came out of Kafka")
    print_table(_scenarios(report.scenarios))
    _heading("A day of processors (a failed execution is active and contributes no factors)")
    print_table(_processors(report.processors))
    _heading("Some changes, and why")
    for line in _examples(report.examples):
        say(line)
    _heading("Dead letters: what could not be read is kept, and holds nothing up")
    for letter in report.dead_letters:
        place = f"{letter.topic} partition {letter.partition} offset {letter.offset}"
        say(f"  {place}  {letter.error_class}: {letter.message}")
    _heading("In figures")
    for line in _figures(report):
        say(f"  {line}")


def demo_json(report: DemoReport, installation: Installation, *, kept: bool) -> str:
    """The report as one JSON object on one line."""
    told = {
        "ok": report.is_right,
        "scenarios": [
            {
                "title": result.scenario.title,
                "ok": result.is_right,
                "expected": {
                    "outcome": result.scenario.outcome,
                    "factors": {name: msgspec.Raw(text) for name, text in result.scenario.factors.items()},
                },
                "actual": None if result.actual is None else msgspec.Raw(summary_json(result.actual)),
            }
            for result in report.scenarios
        ],
        "processors": [
            {
                "processor": one.processor,
                "processor_type": one.processor_type,
                "active": one.active,
                "failed": one.failed,
                "outcomes": {name: one.outcomes[name] for name in _OUTCOMES},
            }
            for one in report.processors
        ],
        "examples": [{"title": one.title, "change": one.journalled.value} for one in report.examples],
        "dead_letters": report.dead_letters,
        "changes": report.changes,
        "pairs": report.pairs,
        "unequal_pairs": report.unequal_pairs,
        "timing": report.timing,
        "told": dict(report.told),
        "kept": _kept(installation) if kept else None,
    }
    return escaped(msgspec.json.encode(told).decode())


def next_steps(installation: Installation, *, kept: bool) -> Iterator[str]:
    """Commands to try, ready to paste into a shell."""
    if not kept:
        yield from _FIRST_STEPS
        return
    settings = installation.settings
    yield f"export CONSOLIDATOR_TOPIC_PREFIX={settings.topic_prefix} CONSOLIDATOR_APP_ID={settings.app_id}"
    yield "consolidator factors scenario-1 --why"
    yield "consolidator tail factor-changes --from beginning --until-end --application scenario-3"
    yield "consolidator tail dlq --from beginning --until-end"
    yield f"consolidator replay --input {shlex.quote(str(installation.events_file))}"
    yield (
        f"kill {installation.worker_pid()}    # stops the worker; its log: {shlex.quote(str(installation.log_file))}; "
        "all of it is taken away by: consolidator demo --clean"
    )
    if installation.started_broker:
        yield "consolidator broker stop    # after the worker"


def _heading(text: str) -> None:
    say()
    say_heading(text)


def _scenarios(results: Iterable[ScenarioResult]) -> Table:
    table = Table("", Column("scenario", max_width=_TITLE_WIDTH), "expected", "actual", show_lines=True)
    for result in results:
        scenario, actual = result.scenario, result.actual
        mark = Text(_RIGHT, "bold green") if result.is_right else Text(_WRONG, "bold red")
        table.add_row(
            mark,
            cell(f"{scenario.title}: {scenario.processor} of {scenario.application_id}"),
            cell(_outcome(scenario.outcome, scenario.factors.items())),
            cell("nothing" if actual is None else _outcome(actual.outcome, actual.factors.items())),
        )
    return table


def _outcome(outcome: str, factors: Iterable[tuple[str, str]]) -> str:
    lines = [f"{name} = {text}" for name, text in factors] or ["{} (no factors)"]
    return "\n".join([outcome, *lines])


def _processors(figures: Iterable[ProcessorFigures]) -> Table:
    # Without lines between the columns, the table fits into most terminals.
    table = Table("processor", box=None, padding=(0, 2, 0, 0))
    for heading in ("executions", "failed", "rate", *(outcome.replace("_", " ") for outcome in _OUTCOMES)):
        table.add_column(heading, justify="right", overflow="fold")
    for one in figures:
        table.add_row(
            cell(one.processor),
            f"{one.active:,}",
            f"{one.failed:,}",
            f"{one.failure_rate:.1%}",
            *(f"{one.outcomes[outcome]:,}" for outcome in _OUTCOMES),
        )
    return table


def _examples(examples: Iterable[Example]) -> Iterator[str]:
    for example in examples:
        yield example.title
        for line in change_lines(example.journalled):
            yield f"  {line}"


def _figures(report: DemoReport) -> Iterator[str]:
    told, timing = report.told, report.timing
    yield (
        f"{timing.records:,} events of {told['applications']:,} applications: {told['executions']:,} executions, "
        f"{told['failures']:,} failures, {told['retries']:,} retries, {told['reruns']:,} reruns, {told['late']:,} late "
        f"events, {told['twice']:,} that came twice, {told['from_partner']:,} with foreign keys"
    )
    letters = len(report.dead_letters)
    yield f"{report.changes:,} changes, {report.pairs:,} current sets of factors, {letters:,} dead letters"
    agreement = "all are equal" if not report.unequal_pairs else f"{report.unequal_pairs:,} DIFFER"
    yield f"a replay of the same events, without Kafka, was compared with the current factors: {agreement}"
    yield (
        f"published in {timing.publish_s:.1f} s, consolidated in {timing.consolidate_s:.1f} s "
        f"({_rate(timing.records, timing.consolidate_s)}), {timing.total_s:.1f} s in all"
    )


def _rate(records: int, seconds: float) -> str:
    return f"{records / seconds:,.0f} events/s, a worker that has just started" if seconds else "at once"


def _kept(installation: Installation) -> dict[str, object]:
    settings = installation.settings
    return {
        "bootstrap_servers": installation.connection.bootstrap_servers,
        "topic_prefix": settings.topic_prefix,
        "app_id": settings.app_id,
        "worker_pid": installation.worker_pid(),
        "events_file": str(installation.events_file),
        "log_file": str(installation.log_file),
        "started_broker": installation.started_broker,
    }
