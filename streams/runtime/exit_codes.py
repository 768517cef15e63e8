"""The exit codes of every command, and which error ends with which; docs/commands.md documents them."""

from typing import Final

from models.errors import ContractError

__all__ = ["DONE", "FAILED", "FOUND", "REFUSED", "SIGNALLED", "UNEXPECTED", "exit_code_of"]

DONE: Final = 0
FOUND: Final = 1
"""Done, but something was found: bad lines, drift, differences."""

REFUSED: Final = 2
"""Wrong usage, settings, input or contract: nothing was done. A missing topic gives this exit code for every command,
except `topics check`, which reports it with 1."""

FAILED: Final = 3
"""Kafka, the disk or the network failed."""

UNEXPECTED: Final = 70
"""A bug in this program (EX_SOFTWARE); a report is written to the state directory's ``errors``."""

SIGNALLED: Final = 128
"""Added to a signal's number, as shells do."""


def exit_code_of(error: BaseException) -> int:
    """The exit code with which an error ends a command or a worker."""
    return REFUSED if isinstance(error, ContractError) else FAILED
