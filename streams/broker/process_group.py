"""The processes of a group: what a process of :func:`~streams.broker.process.spawn` forks is in its group."""

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Final

from models.errors import InfrastructureError

__all__ = ["group_in_words", "kill_group"]

_PROCESSES: Final = Path("/proc")

_STATES: Final = {
    "D": "waits for a device",
    "R": "runs",
    "S": "waits",
    "T": "was stopped",
    "t": "is traced",
    "Z": "has ended, and nobody has asked how",
}


def kill_group(group: int, argument: str) -> None:
    """Send SIGKILL to every process of a group, also where the one that it is named after has ended.

    Args:
        group: the process id of the one that was started.
        argument: the last one of its command line, which what it has forked has as well.

    Raises:
        InfrastructureError: the group of that number is another one.
    """
    if (_PROCESSES / "self" / "stat").exists():
        # A lock on a shared volume is seen from another container too, where the id means another process. One that is
        # ending has an empty command line; SIGKILL does it no harm.
        lines = [_arguments(pid) for pid in _members(group)]
        lines = [one for one in lines if one != [b""]]
        if lines and not any(argument.encode() in one for one in lines):
            raise InfrastructureError(
                f"the processes of group {group} are not those that were started here (another container's?): they "
                "were not touched"
            )
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def group_in_words(group: int) -> str:
    """The processes of a group and their states; where the system does not tell them, its number."""
    members = _members(group)
    if not members:
        return f"process {group}"
    return ", ".join(
        f"process {pid} (state {state}: it {_STATES.get(state, 'does something else')})"
        for pid, state in sorted(members.items())
    )


def _members(group: int) -> dict[int, str]:
    """The state of each process of a group, by its id."""
    found = {}
    for file in _PROCESSES.glob("[0-9]*/stat"):
        with suppress(OSError):
            # The name before the last parenthesis may have anything in it; then come state, parent and group.
            state, _, of_group = file.read_bytes().rpartition(b")")[2].split()[:3]
            if int(of_group) == group:
                found[int(file.parent.name)] = state.decode()
    return found


def _arguments(pid: int) -> list[bytes]:
    with suppress(OSError):
        return (_PROCESSES / str(pid) / "cmdline").read_bytes().split(b"\0")
    return [b""]
