"""Stdin, stdout and stderr as every command finds them: there, UTF-8 whatever the locale, and true about failures."""

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
    """Stdout cannot be written; apart from OSError, as sockets and files fail with that, too.

    Args:
        reason: what the operating system says.
    """

    def __init__(self, reason: OSError) -> None:
        super().__init__(reason.strerror)
        self.reason = reason


class _Stdout(io.BufferedWriter):
    """Stdout: the first failure is raised as what it is, and afterwards everything is dropped.

    Above the file, not below: a signal that comes between a write and its being counted would have it written twice.
    """

    _failed = False

    def write(self, data: "ReadableBuffer", /) -> int:
        """Write the data; returns how many bytes that are."""
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
        """Write what is kept back."""
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
        """Whoever shares the pipe has made it non-blocking."""
        select.select([], [self.fileno()], [])

    def _fail(self, error: OSError) -> NoReturn:
        self._failed = True
        raise OutputError(error) from error


class _Stderr(io.FileIO):
    """Stderr: what cannot be written is dropped, as nobody is left to be told."""

    def write(self, data: "ReadableBuffer", /) -> int:
        """Write some of the data; returns how many bytes were taken."""
        try:
            written = super().write(data)
        except OSError:
            written = None
        return memoryview(data).nbytes if written is None else written


def own_streams(*, stderr: bool) -> None:
    """Take over the process's streams; what a test has put in their place is left alone.

    A stream that is closed is opened the wrong way round: else the next file or socket would get its number, and be
    written into. So each use of it fails, as it should.

    Args:
        stderr: take stderr over, too; a worker's log has its own way to meet failures.
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
    """Write what stdout still holds.

    Raises:
        OutputError: it cannot be written.
    """
    sys.stdout.flush()


def _text(binary: io.BufferedWriter, *, lines: bool = False) -> TextIO:
    # Lone surrogates, which no UTF-8 has, are escaped before they come here; a path may still hold one.
    return io.TextIOWrapper(
        binary, encoding="utf-8", errors="backslashreplace", line_buffering=lines, write_through=lines
    )


def _is_watched(number: int) -> bool:
    return os.isatty(number) or bool(os.environ.get("PYTHONUNBUFFERED"))
