"""Stdin, stdout and stderr of a command: always open, always UTF-8, and with errors that are reported."""

import io
import os
import select
import sys
from typing import TYPE_CHECKING, Final, NoReturn, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = ["OutputError", "flush_output", "own_streams"]

_STDIN: Final = 0
_STDOUT: Final = 1
_STDERR: Final = 2


class OutputError(Exception):
    """Stdout cannot be written. It is no OSError, because sockets and other files raise that, too.

    Args:
        reason: the operating system's message.
    """

    def __init__(self, reason: OSError) -> None:
        super().__init__(reason.strerror)
        self.reason = reason


class _Stdout(io.BufferedWriter):
    """Stdout. The first failure is raised as an OutputError; after that, all output is dropped.

    Errors are handled here, and not in the raw file below: a signal between a raw write and the counting of its bytes
    would have them written twice.
    """

    _failed = False

    def write(self, data: "ReadableBuffer", /) -> int:
        """Write the data; return how many bytes that were."""
        size = memoryview(data).nbytes
        written = 0
        while written < size and not self._failed:
            try:
                written += super().write(memoryview(data)[written:])
            except BlockingIOError as full:
                written += full.characters_written
                self._wait()
            except OSError as error:
                self._fail(error)
        return size

    def flush(self) -> None:
        """Write the buffered data."""
        while not self._failed:
            try:
                super().flush()
            except BlockingIOError:
                self._wait()
            except OSError as error:
                self._fail(error)
            else:
                return

    def _wait(self) -> None:
        """Another process that shares the pipe has made it non-blocking."""
        select.select([], [self.fileno()], [])

    def _fail(self, error: OSError) -> NoReturn:
        self._failed = True
        raise OutputError(error) from error


class _Stderr(io.FileIO):
    """Stderr. Data that cannot be written is dropped, because there is no other place to report it."""

    def write(self, data: "ReadableBuffer", /) -> int:
        """Write some of the data; returns how many bytes were taken."""
        try:
            written = super().write(data)
        except OSError:
            written = None
        return memoryview(data).nbytes if written is None else written


def own_streams(*, stderr: bool) -> None:
    """Replace the process's streams, except those that a test has replaced already.

    A closed stream is opened on ``/dev/null`` in the wrong direction, so that every use of it fails. Otherwise the next
    file or socket would get its number, and output could be written into it.

    Args:
        stderr: replace stderr, too; a worker handles failures of its log itself.
    """
    for number, mode in ((_STDIN, os.O_WRONLY), (_STDOUT, os.O_RDONLY), (_STDERR, os.O_RDONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, mode)
    if sys.stdout is sys.__stdout__:
        sys.stdout = _text(_Stdout(io.FileIO(_STDOUT, "w", closefd=False)), lines=_is_watched(_STDOUT))
    if stderr and sys.stderr is sys.__stderr__:
        sys.stderr = _text(io.BufferedWriter(_Stderr(_STDERR, "w", closefd=False)), lines=True)


def flush_output() -> None:
    """Flush stdout.

    Raises:
        OutputError: it cannot be written.
    """
    sys.stdout.flush()


def _text(binary: io.BufferedWriter, *, lines: bool = False) -> TextIO:
    # Lone surrogates cannot be encoded in UTF-8. Output is escaped before it comes here, but a path may still have one.
    return io.TextIOWrapper(
        binary, encoding="utf-8", errors="backslashreplace", line_buffering=lines, write_through=lines
    )


def _is_watched(number: int) -> bool:
    return os.isatty(number) or bool(os.environ.get("PYTHONUNBUFFERED"))
