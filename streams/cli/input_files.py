"""Files and stdin as commands read them."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from stat import S_ISREG
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Final

import click

from models.errors import InfrastructureError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["readable", "rereadable"]

_COPY_BYTES: Final = 1024 * 1024
_STDIN: Final = "-"


@contextmanager
def readable(path: str) -> Iterator[IO[bytes]]:
    """Open a file, or stdin for ``-``, for reading once.

    Raises:
        click.UsageError: the file cannot be opened, or stdin cannot be read.
        InfrastructureError: the file cannot be read.
    """
    if path == _STDIN:
        if sys.stdin is not sys.__stdin__:
            # A test's.
            yield click.get_binary_stream("stdin")
            return
        with io.BufferedReader(_Source(0, path)) as stdin:
            yield stdin
        return
    try:
        raw = _Source(path, path)
    except (OSError, ValueError) as error:
        raise click.UsageError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
    with io.BufferedReader(raw) as file:
        yield file


@contextmanager
def rereadable(path: str) -> Iterator[IO[bytes]]:
    """Open a file, or stdin for ``-``, so that it can be read more than once.

    A pipe, such as a shell's ``<(...)`` or ``/dev/stdin``, can be read only once, so it is copied first.

    Raises:
        click.UsageError: the file cannot be opened, or stdin cannot be read.
        InfrastructureError: the file cannot be read, or there is no room for its copy.
    """
    with readable(path) as source:
        if path != _STDIN and S_ISREG(os.fstat(source.fileno()).st_mode):
            yield source
            return
        with _copied(source) as copy:
            yield copy


@contextmanager
def _copied(source: IO[bytes]) -> Iterator[IO[bytes]]:
    try:
        copy = TemporaryFile()  # noqa: SIM115 - closed below, made apart for the error's sake
    except OSError as error:
        raise _no_room(error) from error
    with copy:
        while block := source.read(_COPY_BYTES):
            try:
                copy.write(block)
            except OSError as error:
                raise _no_room(error) from error
        try:
            copy.seek(0)
        except OSError as error:
            raise _no_room(error) from error
        yield copy


def _no_room(error: OSError) -> InfrastructureError:
    return InfrastructureError(
        f"the input cannot be copied into the temporary directory: {error.strerror or error}; set TMPDIR to one on a "
        "disk that has room for it"
    )


class _Source(io.FileIO):
    """A file whose errors name it; otherwise they could be taken for errors of the code that uses its lines."""

    def __init__(self, place: str | int, name: str) -> None:
        super().__init__(place, closefd=not isinstance(place, int))
        self._name = name

    def readinto(self, buffer: "WriteableBuffer", /) -> int | None:
        """Read into a buffer; returns how many bytes were read."""
        try:
            return super().readinto(buffer)
        except OSError as error:
            if self._name == _STDIN:
                raise click.UsageError(f"stdin cannot be read: {error.strerror}") from error
            raise InfrastructureError(f"{self._name} cannot be read: {error.strerror}") from error
