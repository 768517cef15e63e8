"""Files and stdin as commands read them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import click

__all__ = ["readable", "rereadable"]

_COPY_BYTES = 1024 * 1024


@contextmanager
def readable(path: str) -> Iterator[IO[bytes]]:
    """Open a file, or stdin for ``-``, to be read once.

    Raises:
        click.UsageError: the file cannot be read.
    """
    if path == "-":
        yield click.get_binary_stream("stdin")
        return
    try:
        file = Path(path).open("rb")  # noqa: SIM115 - closed below, opened apart for the error's sake
    except OSError as error:
        raise click.UsageError(f"cannot read {path}: {error.strerror}") from error
    with file:
        yield file


@contextmanager
def rereadable(path: str) -> Iterator[IO[bytes]]:
    """Open a file, or stdin for ``-``, so that it can be read more than once.

    Raises:
        click.UsageError: the file cannot be read.
    """
    if path == "-":
        with TemporaryFile() as copy:
            source = click.get_binary_stream("stdin")
            while block := source.read(_COPY_BYTES):
                copy.write(block)
            copy.seek(0)
            yield copy
        return
    with readable(path) as file:
        yield file
