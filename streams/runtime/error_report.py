"""Reports of unexpected errors, for developers: a file says where the error was raised, without values of events."""

import os
import platform
import traceback
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from models.errors import ConsolidatorError

__all__ = ["place_of", "write_report"]

_MOST_REPORTS: Final = 50
"""Only the latest reports are kept, so that a command that fails every minute does not fill the disk."""

_LONGEST_CHAIN: Final = 20


def write_report(error: BaseException, directory: Path) -> Path | None:
    """Write a traceback that only its owner can read; return its file, or None where none can be written.

    The messages of exceptions are left out, because they may quote records. Messages of this program and of the
    operating system are kept.

    Args:
        error: the exception.
        directory: where reports are kept; made if it is not there.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = directory / f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{os.getpid()}.txt"
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as out:
            out.writelines(f"{line}\n" for line in _lines(error))
        _forget_old(directory)
    except (OSError, ValueError):
        return None
    return file


def place_of(error: BaseException) -> str:
    """The place of the error, ``file:line``: this program's innermost function in the traceback; "": there is none."""
    frames = traceback.extract_tb(error.__traceback__)
    root = Path(__file__).parents[2]
    ours = [frame for frame in frames if Path(frame.filename).is_relative_to(root) and frame.lineno]
    return f"{Path(ours[-1].filename).relative_to(root)}:{ours[-1].lineno}" if ours else ""


def _forget_old(directory: Path) -> None:
    for old in sorted(directory.glob("*.txt"))[:-_MOST_REPORTS]:
        with suppress(OSError):
            old.unlink()


def _lines(error: BaseException) -> Iterator[str]:
    yield f"Python {platform.python_version()} on {platform.platform()}"
    yield "Messages of exceptions are left out where they may hold values."
    links: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in links and len(links) < _LONGEST_CHAIN:
        links.append(link)
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    for number, one in enumerate(links):
        yield ""
        yield f"{'caused by ' if number else ''}{type(one).__module__}.{type(one).__qualname__}{_message(one)}"
        for frame in traceback.extract_tb(one.__traceback__):
            yield f'  File "{frame.filename}", line {frame.lineno}, in {frame.name}'
            if frame.line:
                yield f"    {frame.line}"


def _message(error: BaseException) -> str:
    if isinstance(error, ConsolidatorError):
        return f": {error}"
    if isinstance(error, OSError) and error.strerror is not None:
        return f": {error.errno}: {error.strerror}"
    return ""
