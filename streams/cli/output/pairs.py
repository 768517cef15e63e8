"""Pairs of application and processor for people: a table, foreign text escaped."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from rich.table import Table
from rich.text import Text

from streams.cli.output.console import cell, print_table, write_lines
from streams.core.pair_summary import PairSummary
from streams.runtime.escaping import escaped

_STYLES = {"consolidated": "green", "partial": "yellow", "cleared": "red", "in_progress": "cyan", "withdrawn": "dim"}
_UNKNOWN_TYPE = "merge"
"""How a processor that the catalogue does not know is consolidated: the mission's own ``consolidate()``."""


def pair_table(summaries: Iterable[PairSummary]) -> Table:
    """A table with a row for each pair and a line for each factor. An application's id is in its first row."""
    table = Table()
    for heading in ("application", "processor", "type", "outcome", "executions", "factors"):
        table.add_column(heading, overflow="fold")
    last = None
    for summary in summaries:
        if summary.application_id != last:
            table.add_section()
        shown = summary.application_id if summary.application_id != last else ""
        last = summary.application_id
        table.add_row(
            cell(shown),
            cell(summary.processor),
            cell(summary.processor_type or _UNKNOWN_TYPE),
            outcome_text(summary.outcome),
            cell(executions_text(summary)),
            cell(factors_text(summary)),
        )
    return table


def pair_lines(summaries: Sequence[PairSummary]) -> Iterator[str]:
    """Pairs as plain lines, one a pair: drawing a table of very many pairs would take minutes."""
    cells = [
        (
            escaped(one.application_id),
            escaped(one.processor),
            escaped(one.outcome),
            executions_text(one),
            factors_text(one).replace("\n", ", "),
        )
        for one in summaries
    ]
    headings = ("APPLICATION", "PROCESSOR", "OUTCOME", "EXECUTIONS", "FACTORS")
    widths = [max(map(len, column)) for column in zip(headings, *cells, strict=True)]
    for row in (headings, *cells):
        yield "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()


def outcome_text(outcome: str) -> Text:
    """An outcome in its colour."""
    return cell(outcome, _STYLES.get(outcome, ""))


def executions_text(summary: PairSummary) -> str:
    """The counts in words; failed executions are active as well."""
    counts = summary.counts
    if not counts.active:
        return "none active"
    text = f"{counts.completed} completed, {counts.failed} failed"
    idle = counts.completed - counts.contributing
    return f"{text}, {idle} without factors" if idle else text


def factors_text(summary: PairSummary) -> str:
    """The factors, one a line; their values as JSON writes them."""
    return "\n".join(escaped(f"{name} = {text}") for name, text in summary.factors.items()) or "(no factors)"


# A table of this many rows is drawn in half a second.
_MOST_IN_A_TABLE = 500


# Column widths are computed for blocks of lines, because all lines together need not fit into memory.
_LINES_ALIGNED = 10_000


def print_pairs(summaries: Iterable[PairSummary]) -> None:
    """Print pairs for people."""
    rest = iter(summaries)
    first = list(islice(rest, _MOST_IN_A_TABLE + 1))
    if len(first) <= _MOST_IN_A_TABLE:
        print_table(pair_table(first))
        return
    block = first + list(islice(rest, _LINES_ALIGNED))
    while block:
        write_lines(pair_lines(block))
        block = list(islice(rest, _LINES_ALIGNED))
