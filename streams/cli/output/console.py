"""Output of all commands: data on stdout, messages on stderr, progress only on a terminal."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from shutil import get_terminal_size
from textwrap import wrap
from typing import TYPE_CHECKING, Any, Final

import click

from streams.runtime.escaping import escaped

# Rich is imported where something is drawn: its import takes as long as the rest of ``consolidator --help``.
if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress
    from rich.table import Table
    from rich.text import Text

# The width in columns for output without a terminal; no table of this program is wider.
_UNBOUNDED = 10_000

_FURTHER_IN = 4


def stdout() -> "Console":
    """The console for data. It is made for each call, so that a redirected ``sys.stdout`` is used."""
    from rich.console import Console  # noqa: PLC0415 - see above

    return Console(soft_wrap=False)


def stderr() -> "Console":
    """The console for messages: progress, hints, errors."""
    from rich.console import Console  # noqa: PLC0415 - see above

    return Console(stderr=True)


def cell(text: str, style: str = "") -> "Text":
    """The text of a table's cell: without markup, and with control characters escaped."""
    from rich.text import Text  # noqa: PLC0415 - see above

    return Text("\n".join(map(escaped, text.split("\n"))), style=style)


def fits(table: "Table", console: "Console") -> bool:
    """Whether a table can be printed without wrapping. A pipe has no width, so every table fits."""
    return not console.is_terminal or natural_width(table, console) <= console.width


def natural_width(table: "Table", console: "Console") -> int:
    """The width of a table in columns, without wrapping."""
    return console.measure(table, options=console.options.update(max_width=_UNBOUNDED)).maximum


def print_table(table: "Table") -> None:
    """Print a table on stdout, or a list if the terminal is too narrow: wrapped names cannot be read or copied."""
    console = stdout()
    if not fits(table, console):
        write_lines(_listed(table))
        return
    # A pipe has no width, so the table gets the width that it needs.
    console.width = max(console.width, natural_width(table, console))
    console.print(table)


def print_rows(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """Print a table of plain texts; control characters are escaped."""
    from rich.table import Table  # noqa: PLC0415 - see above

    table = Table(*headings)
    for row in rows:
        table.add_row(*map(cell, row))
    print_table(table)


def _listed(table: "Table") -> Iterator[str]:
    headings = [str(column.header) for column in table.columns]
    for row in zip(*(column.cells for column in table.columns), strict=True):
        told = [(heading, _plain(one)) for heading, one in zip(headings, row, strict=True) if _plain(one)]
        for number, (heading, text) in enumerate(told):
            indent = "  " if number else ""
            first, *rest = text.split("\n")
            if rest:
                yield f"{indent}{heading}"
                yield from (f"{indent}  {line}" for line in (first, *rest))
            else:
                yield f"{indent}{heading} {first}".rstrip() if heading else f"{indent}{first}"


def _plain(one: Any) -> str:
    from rich.text import Text  # noqa: PLC0415 - see above

    return one.plain if isinstance(one, Text) else Text.from_markup(str(one)).plain


def print_json(value: Any) -> None:
    """Print one JSON object on one line of stdout."""
    say(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def say(*lines: str) -> None:
    """Print lines on stdout, with control characters escaped. Without lines, print an empty one.

    On a narrow terminal, a line for people is wrapped between words, and its continuation is indented.
    """
    for line in lines or ("",):
        for part in _parts(line):
            click.echo(escaped(part))


def write_lines(lines: Iterable[str]) -> None:
    """Print many lines on stdout, with control characters escaped."""
    # Write bytes in blocks, and not with a system call for every line.
    out = click.get_binary_stream("stdout")
    for line in lines:
        for part in _parts(line):
            out.write(f"{escaped(part)}\n".encode())
    out.flush()


def write_bytes(data: bytes) -> None:
    """Write bytes to stdout unchanged, such as a dead letter's original value for a file or a program."""
    out = click.get_binary_stream("stdout")
    out.write(data)
    out.flush()


def print_document(text: str) -> None:
    """Print a text that users copy or programs read: lines are not wrapped, control characters are escaped."""
    for line in text.split("\n"):
        click.echo(escaped(line))


def note(*lines: str) -> None:
    """Print messages on stderr, with control characters escaped."""
    for line in lines:
        click.echo(escaped(line), err=True)


def new_screen() -> None:
    """Begin a new screen: on a terminal the old one is wiped, elsewhere nothing separates the lines."""
    if is_read_by_people():
        click.clear()


def is_read_by_people() -> bool:
    """Whether stdout is a terminal, and not a file or a pipe."""
    return sys.stdout.isatty()


def is_watched() -> bool:
    """Whether stderr is a terminal. A progress display would fill a file."""
    return sys.stderr.isatty()


def _parts(line: str) -> list[str]:
    # A line of JSON is for programs, so it is not wrapped.
    if not is_read_by_people() or line.startswith("{"):
        return [line]
    width = get_terminal_size().columns
    if len(line) <= width:
        return [line]
    further = " " * (len(line) - len(line.lstrip()) + _FURTHER_IN)
    return wrap(
        line,
        width,
        subsequent_indent=further,
        break_long_words=False,
        break_on_hyphens=False,
        replace_whitespace=False,
        expand_tabs=False,
    )


def say_heading(text: str) -> None:
    """Print a heading: bold on a terminal."""
    click.secho(escaped(text), bold=True)


def hint(text: str, *, as_json: bool = False) -> None:
    """Print a note on stderr; for programs, an object with the member ``note``."""
    note(json.dumps({"note": text}, ensure_ascii=False) if as_json else f"note: {text}")


def warn(text: str, *, line: int | None = None, as_json: bool = False) -> None:
    """Print a warning on stderr.

    Args:
        text: the warning.
        line: the number of the line in the file; None: the warning is about more than one line.
        as_json: print an object with the members ``line``, where there is one, and ``warning``.
    """
    place = {} if line is None else {"line": line}
    if as_json:
        note(json.dumps(place | {"warning": text}, ensure_ascii=False))
    else:
        note(f"warning: {text}" if line is None else f"warning: line {line}: {text}")


_TO_DO: Final = "to do:"
"""In a message with several problems, the advice comes after this line."""


def complain(message: str, *, as_json: bool = False, code: int | None = None) -> None:
    """Print an error on stderr, without markup: the message may quote foreign text.

    Args:
        message: the error; some messages name several problems, one a line.
        as_json: print one JSON object, its members ``error``, ``problems`` where there are several, ``to_do`` if the
            message has advice, and ``exit_code``.
        code: the exit code.
    """
    if as_json:
        first, *problems = (line.strip() for line in message.split("\n"))
        at = problems.index(_TO_DO) if _TO_DO in problems else len(problems)
        lists = {"problems": problems[:at], "to_do": problems[at + 1 :]}
        members = {"error": first.removesuffix(":")} | {name: lines for name, lines in lists.items() if lines}
        note(json.dumps(members | {"exit_code": code}, ensure_ascii=False))
    else:
        note(*f"error: {message}".split("\n"))


def progress() -> "Progress":
    """A progress display on stderr that is silent when stderr is not a terminal."""
    from streams.cli.output.progress_bar import progress_bar  # noqa: PLC0415 - see above

    return progress_bar(stderr(), disable=not is_watched())


@contextmanager
def told_progress() -> Iterator[Callable[[str], None]]:
    """A function that shows the running step on stderr: one changing line on a terminal, plain lines elsewhere."""
    if not is_watched():
        yield note
        return
    from rich.text import Text  # noqa: PLC0415 - see above

    with stderr().status("") as status:
        yield lambda text: status.update(Text(escaped(text)))
