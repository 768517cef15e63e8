"""What the canary has written or caused, and has to erase: in memory, and in a file for the case that it is killed."""

import fcntl
import json
import os
from collections.abc import Callable
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
        self._number = _answered(path, lambda: _opened(path))
        try:
            fcntl.flock(self._number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._number)
            raise ContractError(
                f"another canary uses {path}. To do: end it, or give this one another CONSOLIDATOR_STATE_DIR"
            ) from None
        self.remains = _read(_answered(path, path.read_bytes))
        self._rewrite()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._number)

    def begin(self, application_id: str, partition: int) -> Remains:
        """Note an application before its first event is published."""
        self.remains[application_id] = remains = Remains(application_id, partition)
        self._append({"application": application_id, "partition": partition})
        return remains

    def note(self, remains: Remains, key: bytes, change: bytes) -> None:
        """Note the key of an event, and that of its change, before it is published."""
        remains.events[key] = change
        self._append(_members(remains, key, change))

    def forget(self, remains: Remains) -> None:
        """Take out an application that is erased."""
        del self.remains[remains.application_id]
        self._rewrite()

    def _append(self, members: dict[str, Any]) -> None:
        _answered(self._path, lambda: os.write(self._number, _line(members)))

    def _rewrite(self) -> None:
        """Write the file anew, with what is there. If the process is killed in between, a line may be lost.

        The file is locked by its inode, so it is not replaced.
        """
        lines = []
        for one in self.remains.values():
            lines.append(_line({"application": one.application_id, "partition": one.partition}))
            lines += [_line(_members(one, key, change)) for key, change in one.events.items()]

        def write() -> None:
            os.ftruncate(self._number, 0)
            os.write(self._number, b"".join(lines))

        _answered(self._path, write)


def _opened(path: Path) -> int:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


def _answered(path: Path, step: Callable[[], Any]) -> Any:
    try:
        return step()
    except OSError as error:
        raise InfrastructureError(f"{path}: {error.strerror}: what the canary writes could not be noted") from error


def _members(remains: Remains, key: bytes, change: bytes) -> dict[str, Any]:
    return {"application": remains.application_id, "key": key.decode(), "change": change.decode()}


def _line(members: dict[str, Any]) -> bytes:
    return json.dumps(members, separators=(",", ":")).encode() + b"\n"


def _read(content: bytes) -> dict[str, Remains]:
    """The applications that a file names. The last line may be cut off: its record was not published yet."""
    found: dict[str, Remains] = {}
    for line in content.splitlines(keepends=True):
        if not line.endswith(b"\n"):
            break
        members = json.loads(line)
        application_id = members["application"]
        if "partition" in members:
            found[application_id] = Remains(application_id, members["partition"])
        else:
            found[application_id].events[members["key"].encode()] = members["change"].encode()
    return found
