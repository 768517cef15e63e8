"""``consolidator replay``."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from streams.catalogue_file import load_catalogue
from streams.cli.console import format_option, print_table, progress
from streams.cli.escaping import escaped
from streams.cli.pair_table import pair_lines, pair_table
from streams.core.rules import Rules
from streams.event_lines import readable
from streams.file_replay import replay_lines
from streams.pair_summary import summary_json
from streams.replay_fold import ReplayFold
from streams.settings import load_settings

EXIT_BAD_LINES = 1

# Redrawing after every line would take longer than folding it.
_LINES_A_STEP = 1_000
# A table of so many rows is drawn in half a second.
_MOST_IN_A_TABLE = 500


@click.command(
    epilog="""\b
Examples:
  consolidator replay --input events.jsonl
  consolidator replay --input events.jsonl --catalogue rules.toml --format json | jq .factors
  zcat day.jsonl.gz | consolidator replay --input - --format json

Exit codes: 0 every line was folded; 1 there were bad lines, each told on stderr with its number, and the result is that
of the others; 2 wrong usage, settings or catalogue.
"""
)
@click.option("--input", "file", metavar="FILE|-", required=True, help="JSON Lines of lifecycle events; - reads stdin.")
@click.option("--catalogue", type=click.Path(path_type=Path), help="Processor catalogue file. [CONSOLIDATOR_CATALOGUE]")
@format_option
def replay(file: str, catalogue: Path | None, output_format: str) -> None:
    """Fold lifecycle events again, without a worker and without a broker.

    The same consolidation as the worker's, over a file: late, repeated and superseded executions come to the same. One
    line for each application and processor, sorted by both; those in progress or withdrawn are shown too.

    JSON is one object a line: application_id, processor, processor_type (null: not in the catalogue), outcome, factors,
    and executions with their counts active, completed, failed and contributing.
    """
    settings = load_settings(catalogue=catalogue)
    fold = ReplayFold(Rules(load_catalogue(settings.catalogue)))
    with readable(file) as lines, _progress_by_line() as advance:
        counts = replay_lines(
            lines,
            fold,
            source=file,
            max_event_bytes=settings.max_event_bytes,
            on_bad=lambda line: click.echo(escaped(str(line)), err=True),
            on_progress=advance,
        )
    _print(fold, output_format)
    if counts.bad:
        click.echo(f"{counts.bad} of {counts.folded + counts.bad} lines are bad and were left out", err=True)
        raise SystemExit(EXIT_BAD_LINES)


def _print(fold: ReplayFold, output_format: str) -> None:
    if output_format == "json":
        _write(summary_json(summary) for summary in fold.summaries())
    elif len(fold) <= _MOST_IN_A_TABLE:
        print_table(pair_table(fold.summaries()))
    else:
        _write(pair_lines(list(fold.summaries())))


def _write(lines: Iterable[str]) -> None:
    # Bytes, in blocks: UTF-8 whatever the locale, and no system call for every line.
    out = click.get_binary_stream("stdout")
    for line in lines:
        out.write(f"{escaped(line)}\n".encode())
    out.flush()


@contextmanager
def _progress_by_line() -> Iterator[Callable[[int], None]]:
    with progress() as display:
        task = display.add_task("folding", total=None)

        def advance(lines: int) -> None:
            if lines % _LINES_A_STEP == 0:
                display.update(task, completed=lines)

        yield advance
