"""How log lines of a process reach stderr: through a bounded queue, and one thread that writes.

A caller puts its line into the queue and goes on: neither a full disk nor a slow reader can block it. Lines without
room in the queue, and lines that cannot be written, are lost and counted. As soon as lines can be written again, one of
them reports how many were lost.
"""

import os
import select
import stat
import threading
from collections.abc import Callable, Iterator, Sequence
from queue import Empty, SimpleQueue
from time import monotonic, sleep
from typing import Final

__all__ = ["LogQueue", "encoded"]

_MAX_LINES: Final = 100_000
_MAX_BYTES: Final = 16 * 1024 * 1024
"""Three times the lines of two large batches in which every execution failed: 16,000 lines of some 300 bytes."""

_WRITE_BYTES: Final = 256 * 1024
"""Most bytes of one write to a file."""

_ATOMIC_BYTES: Final = select.PIPE_BUF
"""Up to this size a write to a pipe is atomic, so that lines of several processes are not mixed."""

_FLUSH_LIMIT_S: Final = 1.0
"""How long a process that ends waits for its last lines to be written."""

_POLL_S: Final = 0.002
_POLL_MS: Final = 500


class LogQueue:
    """Takes lines from any thread, without ever waiting, and writes them in their order.

    Args:
        descriptor: where the lines go; None: nowhere, every line is lost.
        max_lines: most lines that wait.
        max_bytes: most bytes of the lines that wait.

    Attributes:
        render_lost: makes the line that reports lost lines, from their number and the number in total.
    """

    def __init__(self, descriptor: int | None, *, max_lines: int = _MAX_LINES, max_bytes: int = _MAX_BYTES) -> None:
        self._descriptor = descriptor
        self._max_lines = max_lines
        self._max_bytes = max_bytes
        self._write_bytes = _WRITE_BYTES if descriptor is None else _write_bytes(descriptor)
        self.render_lost: Callable[[int, int], str] = _in_words
        self.begin()

    def begin(self) -> None:
        """Start again with an empty queue, in a forked process."""
        # Reentrant: a finalizer that runs while the lock is held may log something, too.
        self._lock = threading.RLock()
        self._queue: SimpleQueue[Sequence[bytes] | None] = SimpleQueue()
        self._writer: threading.Thread | None = None
        self._lines = 0
        self._bytes = 0
        self._lost = 0
        # Lost lines that no log line has reported yet: lines without room in the queue, and lines that could not be
        # written.
        self._overflowed = 0
        self._unwritten = 0
        self._is_torn = False
        # Since when a write has not ended, in monotonic seconds; None: none is under way.
        self._writing_since: float | None = None

    @property
    def blocked_s(self) -> float:
        """For how long the present write has not ended, in seconds; 0: there is none."""
        since = self._writing_since
        return 0.0 if since is None else monotonic() - since

    @property
    def lost(self) -> int:
        """How many lines were lost so far."""
        return self._lost

    @property
    def waiting(self) -> int:
        """How many lines wait to be written, or are being written."""
        return self._lines

    def put(self, lines: Sequence[bytes]) -> None:
        """Take lines, each with its newline; those that find no room are lost."""
        with self._lock:
            if self._descriptor is None:
                self._lost += len(lines)
                return
            # Before the next line that fits, a line reports how many were lost.
            before = [self._notice(self._overflowed)] if self._overflowed else []
            wanted = [*before, *lines] if before else lines
            fitting = self._fitting(wanted)
            if fitting > len(before):
                self._take(wanted if fitting == len(wanted) else wanted[:fitting])
                self._overflowed = 0
            missing = len(lines) - max(fitting - len(before), 0)
            self._overflowed += missing
            self._lost += missing

    def flush(self, limit_s: float = _FLUSH_LIMIT_S) -> None:
        """Wait until everything is written or lost, for at most some seconds."""
        deadline = monotonic() + limit_s
        while (self._lines or self._overflowed) and self._descriptor is not None and monotonic() < deadline:
            sleep(_POLL_S)

    def pause(self) -> None:
        """End the writer's thread until the next line; before a fork, which threads do not survive.

        A thread that hangs in a write is not waited for.
        """
        writer, self._writer = self._writer, None
        if writer is not None:
            self._queue.put(None)
            writer.join(_FLUSH_LIMIT_S)

    def _take(self, lines: Sequence[bytes]) -> None:
        self._lines += len(lines)
        self._bytes += sum(map(len, lines))
        self._queue.put(lines)
        if self._writer is None:
            # A daemon: a write that never ends must not keep the process alive.
            writer = threading.Thread(target=self._write_all, name="log", daemon=True)
            try:
                writer.start()
            except RuntimeError:
                # The thread cannot be started: there are too many, or the interpreter is about to end. The next line
                # tries again.
                return
            self._writer = writer

    def _fitting(self, lines: Sequence[bytes]) -> int:
        """How many of the lines fit into the queue."""
        room, room_bytes = self._max_lines - self._lines, self._max_bytes - self._bytes
        if len(lines) <= room and sum(map(len, lines)) <= room_bytes:
            return len(lines)
        fitting = 0
        for line in lines[: max(room, 0)]:
            room_bytes -= len(line)
            if room_bytes < 0:
                break
            fitting += 1
        return fitting

    def _notice(self, lines: int) -> bytes:
        return encoded(self.render_lost(lines, self._lost))

    def _write_all(self) -> None:
        """The writer's thread: write the queued lines, as many as possible at once."""
        is_last = False
        while not is_last:
            lines, is_last = self._next()
            self._write(lines)
            with self._lock:
                self._lines -= len(lines)
                self._bytes -= sum(map(len, lines))
                overflowed = 0 if self._lines else self._overflowed
                self._overflowed -= overflowed
            if overflowed:
                # Report lost lines now, and not only with the next line, which may come much later.
                self._write([self._notice(overflowed)])

    def _next(self) -> tuple[list[bytes], bool]:
        """The next lines, and whether the writer is to end after them."""
        lines: list[bytes] = []
        size = 0
        more = self._queue.get()
        while more is not None:
            lines.extend(more)
            size += sum(map(len, more))
            if size >= _WRITE_BYTES:
                return lines, False
            try:
                more = self._queue.get_nowait()
            except Empty:
                return lines, False
        return lines, True

    def _write(self, lines: Sequence[bytes]) -> None:
        """Write lines, or count them as lost."""
        written = 0
        if self._resume():
            for portion in _portions(lines, self._write_bytes):
                whole = self._write_whole(portion)
                written += whole
                if whole < len(portion):
                    break
        missing = len(lines) - written
        if missing:
            with self._lock:
                self._lost += missing
            self._unwritten += missing

    def _resume(self) -> bool:
        """After a failed write, end the torn line, and report the lost lines; return whether that was possible."""
        before = b"\n" if self._is_torn else b""
        if self._unwritten:
            before += self._notice(self._unwritten)
        written = self._written(before)
        if written < len(before):
            self._is_torn = self._is_torn or written > 0
            return False
        self._unwritten, self._is_torn = 0, False
        return True

    def _write_whole(self, lines: Sequence[bytes]) -> int:
        """Write lines in one piece, and return how many of them are written whole."""
        left = self._written(b"".join(lines))
        for number, line in enumerate(lines):
            if left < len(line):
                self._is_torn = left > 0
                return number
            left -= len(line)
        return len(lines)

    def _written(self, data: bytes) -> int:
        """Write, and return how many bytes could be written."""
        written = 0
        if self._descriptor is None:
            return written
        while written < len(data):
            self._writing_since = self._writing_since or monotonic()
            try:
                written += os.write(self._descriptor, data[written:] if written else data)
            except BlockingIOError:
                # Another process made the shared pipe non-blocking.
                waiting = select.poll()
                waiting.register(self._descriptor, select.POLLOUT)
                waiting.poll(_POLL_MS)
            except OSError:
                # The disk is full, or the pipe has no reader. Later lines are tried again.
                break
            else:
                self._writing_since = None
        self._writing_since = None
        return written


def encoded(text: str) -> bytes:
    """A text as bytes for stderr; lone surrogates are escaped."""
    return text.encode("utf-8", "backslashreplace")


def _in_words(lost: int, total: int) -> str:
    return f"{lost} log lines were lost, {total} in all\n"


def _write_bytes(descriptor: int) -> int:
    return _WRITE_BYTES if stat.S_ISREG(os.fstat(descriptor).st_mode) else _ATOMIC_BYTES


def _portions(lines: Sequence[bytes], most: int) -> Iterator[list[bytes]]:
    """The lines in portions, each of at most some bytes, or of one longer line."""
    portion: list[bytes] = []
    size = 0
    for line in lines:
        if portion and size + len(line) > most:
            yield portion
            portion, size = [], 0
        portion.append(line)
        size += len(line)
    if portion:
        yield portion
