"""A directory of evidence: read without trusting its files, and written so that only its owner can read it.

Only regular files are opened: a link, a FIFO or a device could mislead or block the reader. Files are written only into
a directory that this user owns, and through its descriptor, so that nobody can exchange it meanwhile.
"""

import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from models.errors import ContractError, InfrastructureError

__all__ = ["read_directory", "write_directory"]

_OWNER_ONLY_DIRECTORY: Final = 0o700
_OWNER_ONLY_FILE: Final = 0o600
"""The mode of files of evidence, which are as confidential as the topics."""

_ROOT: Final = 0
_MOST_ENTRIES: Final = 1_000
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def read_directory(directory: Path, limits: Mapping[str, int]) -> tuple[dict[str, bytes], list[str]]:
    """The content of the files that are wanted, and the names of all others.

    Args:
        directory: where they are.
        limits: the greatest size, in bytes, of every file that is wanted.

    Returns:
        The content of each wanted file that exists, by name; and the names of all other files, sorted.

    Raises:
        ContractError: the directory cannot be read; or a wanted file is no regular file, or is larger than its limit.
    """
    try:
        handle = os.open(directory, _DIRECTORY)
    except (OSError, ValueError) as error:
        raise ContractError(f"{directory} cannot be read: {_reason(error)}") from error
    try:
        names = os.listdir(handle)  # noqa: PTH208 - by its descriptor
        if len(names) > _MOST_ENTRIES:
            raise ContractError(f"{directory} has {len(names)} entries: this is no evidence")
        for name in sorted(names):
            kind = os.stat(name, dir_fd=handle, follow_symlinks=False).st_mode
            if not stat.S_ISREG(kind):
                raise ContractError(f"{directory}: {ascii(name)[1:-1]} is {_kind(kind)}, and was not opened")
        contents = {name: _read(handle, directory, name, limits[name]) for name in sorted({*names} & {*limits})}
    except OSError as error:
        raise ContractError(f"{directory} cannot be read: {_reason(error)}") from error
    finally:
        os.close(handle)
    return contents, sorted({*names} - {*limits})


def write_directory(directory: Path, contents: Mapping[str, bytes]) -> None:
    """Write files into a new directory, or into an empty one that this user owns; only the owner can read them.

    Args:
        directory: where to; its parents are made as well.
        contents: by name, in the order in which they are written.

    Raises:
        ContractError: the directory is a link, is reached through somebody else's link, is somebody else's, or is not
            empty.
        InfrastructureError: it cannot be written.
    """
    try:
        _refuse_foreign(directory)
        made = _make(directory)
        handle = os.open(directory, _DIRECTORY | os.O_NOFOLLOW)
        try:
            _require_own(handle, directory)
            if os.listdir(handle):  # noqa: PTH208 - by its descriptor
                raise ContractError(f"{directory} is not empty: evidence is written into a directory of its own")
            if not made:
                os.fchmod(handle, _OWNER_ONLY_DIRECTORY)
            for name, content in contents.items():
                _write(handle, name, content)
        finally:
            os.close(handle)
    except (OSError, ValueError) as error:
        raise InfrastructureError(f"cannot write evidence to {directory}: {_reason(error)}") from error


def _read(handle: int, directory: Path, name: str, limit: int) -> bytes:
    # Open without waiting: another process may have replaced the file by a FIFO.
    file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=handle)
    with os.fdopen(file, "rb") as opened:
        status = os.fstat(opened.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ContractError(f"{directory}: {name} is {_kind(status.st_mode)}, and was not read")
        content = b"" if status.st_size > limit else opened.read(limit + 1)
        if max(status.st_size, len(content)) > limit:
            raise ContractError(f"{directory}: {name} has {status.st_size} bytes, the limit is {limit}")
        return content


def _refuse_foreign(directory: Path) -> None:
    """Refuse a directory that another user could redirect, as the owner of a link or of its parent could."""
    if directory.is_symlink():
        raise ContractError(f"{directory} is a link: name the directory itself")
    ours, found = {_ROOT, os.geteuid()}, False
    for parent in directory.absolute().parents:
        with suppress(FileNotFoundError):
            status = parent.lstat()
            if stat.S_ISLNK(status.st_mode) and status.st_uid not in ours:
                raise ContractError(f"{directory} is reached through {parent}, a link of somebody else's")
            if not found and parent.stat().st_uid not in ours:
                raise ContractError(f"{directory} is in {parent}, somebody else's directory, who could exchange it")
            found = True


def _make(directory: Path) -> bool:
    """Create the directory if it is not there; return whether it is new."""
    # mkdir(parents=True) applies the mode to the last directory only.
    for parent in reversed(directory.absolute().parents):
        if not parent.exists():
            parent.mkdir(_OWNER_ONLY_DIRECTORY)
    try:
        directory.mkdir(_OWNER_ONLY_DIRECTORY)
    except FileExistsError:
        return False
    return True


def _require_own(handle: int, directory: Path) -> None:
    if os.fstat(handle).st_uid != os.geteuid():
        raise ContractError(f"{directory} is somebody else's directory: name a new one, or one of your own")


def _write(handle: int, name: str, content: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(name, flags, _OWNER_ONLY_FILE, dir_fd=handle), "wb") as file:
        file.write(content)


def _kind(mode: int) -> str:
    kinds = (
        (stat.S_ISLNK, "a link"),
        (stat.S_ISDIR, "a directory"),
        (stat.S_ISFIFO, "a FIFO"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISCHR, "a device"),
        (stat.S_ISBLK, "a device"),
    )
    return next((told for test, told in kinds if test(mode)), "no regular file")


def _reason(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
