"""What the canary has written or caused, and has to erase: in memory, and in a file for the case that it is killed."""

import fcntl
import json
import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from models.errors import ContractError, InfrastructureError

__all__ = ["Remains", "Residue"]


@dataclass(slots=True)
class Remains:
    """What there is of one application of a canary.

    Attributes:
        application_id: the application.
        partition: its partition.
        events: the keys of its events, each with the key of the change that it makes.
    """

    application_id: str
    partition: int
    events: dict[bytes, bytes] = field(default_factory=dict)


class Residue:
    """The file of what has to be erased: a line for each event, written before the event is.

    The lock is a file of its own, as the file of lines is replaced by another one.

    Args:
        path: the file. Only one canary at a time may use it.

    Attributes:
        remains: what is there, by application.

    Raises:
        ContractError: another canary uses the file.
        InfrastructureError: it cannot be read or written; from every method.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with ExitStack() as stack:
            lock = _answered(path, lambda: _opened(path.with_name(f"{path.name}.lock")))
            stack.callback(os.close, lock)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise ContractError(
                    f"another canary uses {path}. To do: end it, or give this one another CONSOLIDATOR_STATE_DIR"
                ) from None
            self._number = _answered(path, lambda: _opened(path))
            stack.callback(lambda: os.close(self._number))
            self._is_whole = True
            self.remains = _read(path, _answered(path, path.read_bytes))
            self._rewrite()
            self._open = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def begin(self, application_id: str, partition: int) -> Remains:
        """Note an application before its first event is published. What could not be noted is not there."""
        self._append({"application": application_id, "partition": partition})
        self.remains[application_id] = remains = Remains(application_id, partition)
        return remains

    def note(self, remains: Remains, key: bytes, change: bytes) -> None:
        """Note the key of an event, and that of its change, before it is published."""
        self._append(_members(remains, key, change))
        remains.events[key] = change

    def forget(self, remains: Remains) -> None:
        """Take out an application that is erased."""
        del self.remains[remains.application_id]
        self._rewrite()

    def _append(self, members: dict[str, Any]) -> None:
        """Write a line. After one that was written in part, as on a full disk, the next would stand behind its half."""
        if not self._is_whole:
            self._rewrite()
        self._is_whole = False
        _answered(self._path, lambda: _write_all(self._number, _line(members)))
        self._is_whole = True

    def _rewrite(self) -> None:
        """Replace the file by one with what is there. A kill leaves the one or the other, whole."""
        lines = []
        for one in self.remains.values():
            lines.append(_line({"application": one.application_id, "partition": one.partition}))
            lines += [_line(_members(one, key, change)) for key, change in one.events.items()]
        before = self._number
        self._number = _answered(self._path, lambda: _replaced(self._path, b"".join(lines)))
        self._is_whole = True
        os.close(before)


def _opened(path: Path, flags: int = 0) -> int:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | flags, 0o600)


def _replaced(path: Path, content: bytes) -> int:
    """Replace a file, and return the open new one. On the disk its content comes before its name."""
    beside = path.with_name(f"{path.name}.new")
    number = _opened(beside, os.O_TRUNC)
    try:
        _write_all(number, content)
        os.fsync(number)
        beside.replace(path)
    except OSError:
        os.close(number)
        raise
    return number


def _write_all(number: int, content: bytes) -> None:
    """Write every byte: the system may take fewer than it is given.

    Raises:
        OSError: some could not be written.
    """
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(number, rest) :]


def _answered(path: Path, step: Callable[[], Any]) -> Any:
    try:
        return step()
    except OSError as error:
        raise InfrastructureError(f"{path}: {error.strerror}: what the canary writes could not be noted") from error


def _members(remains: Remains, key: bytes, change: bytes) -> dict[str, Any]:
    return {"application": remains.application_id, "key": key.decode(), "change": change.decode()}


def _line(members: dict[str, Any]) -> bytes:
    return json.dumps(members, separators=(",", ":")).encode() + b"\n"


def _read(path: Path, content: bytes) -> dict[str, Remains]:
    """The applications that a file names. The last line may be cut off: its record was not published yet.

    Raises:
        InfrastructureError: another line is none of a canary's.
    """
    found: dict[str, Remains] = {}
    for number, line in enumerate(content.splitlines(keepends=True), 1):
        if not line.endswith(b"\n"):
            break
        try:
            members = json.loads(line)
            application_id = members["application"]
            if "partition" in members:
                found[application_id] = Remains(application_id, members["partition"])
            else:
                found[application_id].events[members["key"].encode()] = members["change"].encode()
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise InfrastructureError(
                f"{path}: line {number} cannot be read: what an earlier canary has left is not known. To do: take the "
                "line out; or move the file away, and give the applications that it names to: consolidator erase"
            ) from error
    return found
