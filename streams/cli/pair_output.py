"""Many pairs on stdout: as a table while they are few, as lines when they are many."""

from collections.abc import Iterable
from itertools import islice

import click

from streams.cli.output.console import print_table
from streams.cli.output.escaping import escaped
from streams.cli.output.pairs import pair_lines, pair_table
from streams.core.pair_summary import PairSummary

__all__ = ["print_pairs", "write_lines"]

# A table of so many rows is drawn in half a second.
_MOST_IN_A_TABLE = 500
# Columns are as wide as their widest cell in so many lines: all of them together need not fit into memory.
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


def write_lines(lines: Iterable[str]) -> None:
    """Write lines to stdout, what could steer a terminal escaped."""
    # Bytes, in blocks: UTF-8 whatever the locale, and no system call for every line.
    out = click.get_binary_stream("stdout")
    for line in lines:
        out.write(f"{escaped(line)}\n".encode())
    out.flush()
