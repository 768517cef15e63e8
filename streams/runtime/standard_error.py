"""A stderr that never blocks: everything that is written to it goes through one queue."""

import atexit
import io
import os
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Final

from streams.runtime.log_queue import LogQueue, encoded

__all__ = ["LogStream", "flush_standard_error", "log_blocked_s", "lost_lines", "queue_standard_error", "write_lines"]

_STDERR: Final = 2


class LogStream(io.TextIOBase):
    """A text stream whose lines go into a :class:`~streams.runtime.log_queue.LogQueue`; nothing in it ever waits.

    Args:
        queue: takes the lines.
        descriptor: the descriptor that the queue writes to.

    Attributes:
        render_text: makes a line of the log from a text that somebody has printed; None: it stays as it is.
    """

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, queue: LogQueue, descriptor: int) -> None:
        self.queue = queue
        self._descriptor = descriptor
        self.render_text: Callable[[str], str] | None = None
        # The beginning of an unfinished line: print() writes a text and its newline separately.
        self._begun = threading.local()

    def write(self, text: str, /) -> int:
        """Take text; a line goes into the queue when its newline has come."""
        *whole, begun = (getattr(self._begun, "text", b"") + encoded(text)).split(b"\n")
        self._begun.text = begun
        if whole:
            self.queue.put([line + b"\n" for line in map(self._logged, whole)])
        return len(text)

    def _logged(self, line: bytes) -> bytes:
        """A line as it is to be in the log: where that is JSON, what is no object becomes one.

        Libraries, and Python itself, print to stderr; whoever reads the log reads objects only.
        """
        render = self.render_text
        if render is None or line.startswith(b"{"):
            return line
        return encoded(render(line.decode("utf-8", "replace")))

    def flush(self) -> None:
        """Do nothing: the queue's thread writes."""

    def close(self) -> None:
        """Do nothing: other threads may still write to it."""

    def writable(self) -> bool:
        """It is."""
        return True

    def isatty(self) -> bool:
        """Whether the lines go to a terminal."""
        return os.isatty(self._descriptor)

    def fileno(self) -> int:
        """The descriptor that the lines go to, for code that starts processes."""
        return self._descriptor


def queue_standard_error() -> LogQueue:
    """Send everything that Python writes to stderr through a queue, from now on until the process ends.

    If stdin, stdout or stderr is closed, it is opened on ``/dev/null``. Otherwise the next file or connection would get
    the free number (0, 1 or 2), and text that is meant for stderr could be written into it.
    """
    closed = _closed_streams()
    queue = LogQueue(None if _STDERR in closed else _STDERR)
    stream = LogStream(queue, _STDERR)
    sys.stderr = stream
    if sys.__stderr__ is None:
        sys.__stderr__ = stream  # type: ignore[misc, assignment]  # for code that uses the original stderr
    # A forked process starts with an empty queue and a thread of its own.
    os.register_at_fork(before=queue.pause, after_in_child=queue.begin)
    atexit.register(queue.flush)
    return queue


def write_lines(lines: Sequence[bytes]) -> None:
    """Write lines to stderr, each with its newline."""
    stream = sys.stderr
    if isinstance(stream, LogStream):
        stream.queue.put(lines)
    else:
        stream.write(b"".join(lines).decode("utf-8", "replace"))
        stream.flush()


def flush_standard_error() -> None:
    """Write the queued lines to stderr before the process ends, within a short time."""
    if isinstance(sys.stderr, LogStream):
        sys.stderr.queue.flush()


def lost_lines() -> int:
    """How many lines could not be written to stderr so far."""
    return sys.stderr.queue.lost if isinstance(sys.stderr, LogStream) else 0


def log_blocked_s() -> float:
    """For how long a write to stderr has not ended, in seconds; 0: none is under way."""
    return sys.stderr.queue.blocked_s if isinstance(sys.stderr, LogStream) else 0.0


def _closed_streams() -> set[int]:
    """Open those of stdin, stdout and stderr that are closed; return which were."""
    closed = set()
    for descriptor in range(_STDERR + 1):
        try:
            os.fstat(descriptor)
        except OSError:
            # The system gives the lowest free number, which is this one.
            os.open(os.devnull, os.O_RDWR)
            closed.add(descriptor)
    return closed
