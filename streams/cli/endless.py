"""The exit code of a program that a signal ends: for some commands a signal is the normal end."""

from collections.abc import Sequence
from typing import Final

# Copies of DONE and SIGNALLED in streams.runtime.exit_codes. This module is imported before a signal can be handled,
# so it imports no other module of the project.
_DONE: Final = 0
_SIGNALLED: Final = 128

_ENDLESS: Final = (("run",), ("tail",), ("sink", "run"), ("canary", "run"), ("up",))
"""The commands that run until a signal ends them; for these, a signal is the successful end."""

_ENDLESS_WITH: Final = {"status": "--watch"}
"""The commands that do so with an option."""


def is_endless(arguments: Sequence[str]) -> bool:
    """Whether the command runs until a signal ends it. The program's own options come before the command's name."""
    words = tuple(word for word in arguments if not word.startswith("-"))
    option = _ENDLESS_WITH.get(words[0]) if words else None
    return option in arguments if option else any(words[: len(command)] == command for command in _ENDLESS)


def signal_code(number: int, arguments: Sequence[str]) -> int:
    """The exit code of a program that a signal ends.

    Args:
        number: the signal's.
        arguments: the program's, without its own name.
    """
    return _DONE if is_endless(arguments) else _SIGNALLED + number
