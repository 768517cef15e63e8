"""What every command shares: data on stdout, chatter on stderr, progress only on a terminal."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from streams.cli.output.escaping import escaped

# Columns; wider than any table of ours.
_UNBOUNDED = 10_000

format_option = click.option(
    "--format",
    "output_format",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="table for people, json (one object a line) for programs.",
)


def stdout() -> Console:
    """The console for data. Made per call, so that a redirected ``sys.stdout`` is honoured."""
    return Console(soft_wrap=False)


def stderr() -> Console:
    """The console for chatter: progress, hints, errors."""
    return Console(stderr=True)


def print_table(table: Table) -> None:
    """Print a table on stdout: folded into a terminal's width; a pipe has none, there it is as wide as it has to be."""
    console = stdout()
    if not console.is_terminal:
        console.width = console.measure(table, options=console.options.update(max_width=_UNBOUNDED)).maximum
    console.print(table)


def print_json(value: Any) -> None:
    """Print one JSON object on one line of stdout."""
    click.echo(escaped(json.dumps(value, ensure_ascii=False, separators=(",", ":"))))


def say(text: str = "") -> None:
    """Print lines on stdout, what could steer a terminal escaped."""
    click.echo(_lines_escaped(text))


def note(text: str) -> None:
    """Print lines on stderr: what is no data."""
    click.echo(_lines_escaped(text), err=True)


def warn(text: str) -> None:
    """Print a warning on stderr."""
    note(f"warning: {text}")


def complain(message: str, *, as_json: bool = False, code: int | None = None) -> None:
    """Print an error on stderr, without markup: the message may quote foreign text.

    Args:
        message: what is wrong.
        as_json: print one JSON object, its members ``error`` and ``exit_code``.
        code: the exit code.
    """
    if as_json:
        click.echo(escaped(json.dumps({"error": message, "exit_code": code}, ensure_ascii=False)), err=True)
    else:
        note(f"error: {message}")


def _lines_escaped(text: str) -> str:
    return "\n".join(map(escaped, text.split("\n")))


class _RateColumn(ProgressColumn):
    """How many a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f}/s")


def progress() -> Progress:
    """A progress display on stderr that is silent when stderr is not a terminal."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _RateColumn(),
        TimeRemainingColumn(),
        console=stderr(),
        transient=True,
        disable=not sys.stderr.isatty(),
    )


@contextmanager
def told_progress() -> Iterator[Callable[[str], None]]:
    """A function that shows on stderr what takes time: one changing line on a terminal, plain lines elsewhere."""
    if not sys.stderr.isatty():
        yield lambda text: click.echo(text, err=True)
        return
    with stderr().status("") as status:
        yield status.update
