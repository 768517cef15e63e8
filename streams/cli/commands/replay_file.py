"""``consolidator replay --input``: a file."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from streams.cli.input_files import readable
from streams.cli.output.console import note, progress, write_lines
from streams.cli.output.pairs import print_pairs
from streams.configuration.settings import Settings
from streams.core.pair_summary import summary_json
from streams.core.rules import Rules
from streams.replay.file_replay import replay_lines
from streams.replay.in_memory import ReplayFold
from streams.rulesets.catalogue_file import load_catalogue
from streams.runtime.exit_codes import FOUND

# Redrawing after every line would take longer than folding it.
_LINES_A_STEP = 1_000


def replay_file(file: str, settings: Settings, output_format: str) -> None:
    """Fold a file and print the resulting pairs.

    Args:
        file: its path; ``-``: stdin.
        settings: the settings.
        output_format: ``table`` or ``json``.
    """
    fold = ReplayFold(Rules(load_catalogue(settings.catalogue)))
    with readable(file) as lines, _progress_by_line() as advance:
        counts = replay_lines(
            lines,
            fold,
            source=file,
            max_event_bytes=settings.max_event_bytes,
            on_bad=lambda line: note(str(line)),
            on_progress=advance,
        )
    _print(fold, output_format)
    if counts.bad:
        note(f"{counts.bad} of {counts.folded + counts.bad} lines are bad and were left out")
        raise SystemExit(FOUND)


def _print(fold: ReplayFold, output_format: str) -> None:
    if output_format == "json":
        write_lines(summary_json(summary) for summary in fold.summaries())
    else:
        print_pairs(fold.summaries())


@contextmanager
def _progress_by_line() -> Iterator[Callable[[int], None]]:
    with progress() as display:
        task = display.add_task("folding", total=None)

        def advance(lines: int) -> None:
            if lines % _LINES_A_STEP == 0:
                display.update(task, completed=lines)

        yield advance
