"""The ``consolidator`` program, and ``python -m streams.cli``: Ctrl-C ends it before the rest of it is imported."""

import os
import signal
import sys
from types import FrameType

from streams.cli.endless import signal_code

_ENDING = (signal.SIGINT, signal.SIGTERM)


def main() -> None:
    """Run the program.

    Imports take a quarter of a second. A signal that comes meanwhile ends the process at once: there is nothing to tidy
    up yet. A signal that is ignored stays ignored, as for every job that a shell has started in the background.
    """
    for number in _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _leave)
    # Imported here, so that the signal handlers are set before the import.
    from streams.cli.main import main as command_line  # noqa: PLC0415

    try:
        command_line()
    finally:
        # The exit code is known. While Python ends, it resets signal handlers to the default, which kills the process.
        for number in _ENDING:
            if signal.getsignal(number) is _leave:
                signal.signal(number, signal.SIG_IGN)


def _leave(number: int, _frame: FrameType | None) -> None:
    os._exit(signal_code(number, sys.argv[1:]))


if __name__ == "__main__":
    main()
