"""The exit codes of every command, and which error ends with which; docs/commands.md documents them."""

from typing import Final

from models.errors import ContractError

__all__ = ["DONE", "FAILED", "FOUND", "REFUSED", "SIGNALLED", "UNEXPECTED", "exit_code_of"]

DONE: Final = 0
FOUND: Final = 1
"""Done, but something was found: bad lines, drift, differences."""

REFUSED: Final = 2
"""Wrong usage, settings, input or contract: nothing was done. A topic that is missing ends every command so, except
`topics check`, which finds it: 1."""

FAILED: Final = 3
"""Kafka, the disk or the network failed."""

UNEXPECTED: Final = 70
"""A mistake of this program (EX_SOFTWARE): what happened is in the state directory's ``errors``."""

SIGNALLED: Final = 128
"""Added to a signal's number, as shells do it."""


def exit_code_of(error: BaseException) -> int:
    """The exit code with which an error ends a command or a worker."""
    return REFUSED if isinstance(error, ContractError) else FAILED
