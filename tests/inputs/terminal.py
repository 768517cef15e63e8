"""Runs a program in a terminal with a given number of columns."""

import os
import pty
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence
from fcntl import ioctl
from pathlib import Path

_ROWS = 24
_BLOCK_BYTES = 65_536


def in_terminal(command: Sequence[str], columns: int, environment: Mapping[str, str]) -> tuple[int, str]:
    """Run a program to its end; returns its exit code, and what the terminal was sent, stdout and stderr together."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, columns, 0, 0))
    kept = {name: value for name, value in environment.items() if name not in {"COLUMNS", "LINES"}}
    own = {"TERM": "xterm", "NO_COLOR": "1"}
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, env=kept | own, cwd=Path.cwd()
    ) as process:
        os.close(theirs)
        said = b""
        try:
            while block := os.read(ours, _BLOCK_BYTES):
                said += block
        except OSError:
            # Linux raises this when the last writer has closed the terminal.
            pass
        finally:
            os.close(ours)
    return process.returncode, said.decode().replace("\r\n", "\n")
