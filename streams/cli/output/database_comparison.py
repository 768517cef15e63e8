"""What the commands that compare databases print."""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Final

from streams.cli.output.console import progress, say

if TYPE_CHECKING:
    from streams.sink.upkeep.building import Phases
    from streams.sink.upkeep.comparison import Difference
    from streams.sink.upkeep.report import Report

__all__ = ["say_differences", "say_report", "shown_phases"]

_MOST_SHOWN: Final = 100
"""Differences that are printed one by one; all of them are counted."""


@contextmanager
def shown_phases() -> "Iterator[Phases]":
    """The progress of a command, each phase a line; silent when stderr is no terminal."""
    with progress() as display:

        def begin(name: str, total: int | None) -> Callable[[int], None]:
            task = display.add_task(name, total=total)
            return lambda number: display.advance(task, number)

        yield begin


def say_differences(found: "Iterable[Difference]", output_format: str) -> None:
    """Print the first of them, and go through all."""
    every = iter(found)
    for one in islice(every, _MOST_SHOWN):
        say(json.dumps(one.members(), ensure_ascii=False) if output_format == "json" else str(one))
    rest = sum(1 for _ in every)
    if rest and output_format != "json":
        say(f"… and {rest:,} more")


def say_report(report: "Report", output_format: str, **more: object) -> None:
    """Print what came of a comparison.

    Args:
        report: it.
        output_format: ``table`` or ``json``.
        more: further members of the JSON object.
    """
    if output_format == "json":
        say(json.dumps(report.members() | more, ensure_ascii=False))
    else:
        say(*report.lines())
