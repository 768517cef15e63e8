"""A side at work: its process, its log, what it used - and waits that end and say what they waited for."""

import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.load.session import REPOSITORY

__all__ = ["READY", "Launch", "SideError", "SideProcess", "Usage", "usage_of"]

READY = "benchmark: ready"
"""What a peer prints when it has its partitions and begins."""

_STOP_LIMIT_S = 60
_POLL_S = 0.02
_LOG_TAIL = 3_000


class SideError(Exception):
    """A side ended by itself or did not come to where it should in time."""


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start a side, and where to watch it.

    Attributes:
        command: the program and its arguments.
        variables: added to the environment.
        group: its consumer group.
        source: the topic that it reads.
        changes: the topic with its changes.
        finals: the topic whose last record of each pair holds the pair's final factors.
        ready: the text in its log that says it begins.
        count: how many such processes share the work.
    """

    command: tuple[str, ...]
    variables: dict[str, str]
    group: str
    source: str
    changes: str
    finals: str
    ready: str = READY
    count: int = 1


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process has used since it began."""

    cpu_s: float
    peak_mib: float
    written_bytes: int


@dataclass
class SideProcess:
    """One process of a side; as a context it is ended at the end."""

    launch: Launch
    log: Path
    started_at: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        with self.log.open("wb") as output:
            self._process = subprocess.Popen(
                self.launch.command,
                env=os.environ | self.launch.variables,
                cwd=REPOSITORY,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def text(self) -> str:
        """What it has logged so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def is_ready(self) -> bool:
        """Whether it has said that it begins."""
        return self.launch.ready in self.text

    def wait(self, condition: Callable[[], bool], what: str, *, limit_s: float, poll_s: float = _POLL_S) -> float:
        """Poll until a condition holds.

        Returns:
            The moment at which it was seen to hold.

        Raises:
            SideError: the process ended, or the limit passed; with the end of its log.
        """
        since = time.monotonic()
        while not condition():
            self.check(what)
            if time.monotonic() - since > limit_s:
                raise SideError(f"waited {limit_s:.0f} s for {what}\n{self.text[-_LOG_TAIL:]}")
            time.sleep(poll_s)
        return time.monotonic()

    def check(self, what: str) -> None:
        """Raise SideError if it has ended."""
        if self._process.poll() is not None:
            raise SideError(f"ended with {self._process.returncode}, waited for {what}\n{self.text[-_LOG_TAIL:]}")

    def usage(self) -> Usage:
        """What it has used so far."""
        return usage_of(self._process.pid)

    def stop(self) -> None:
        """Ask it to end, and kill it if it does not."""
        self._process.terminate()
        try:
            self._process.wait(_STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(_STOP_LIMIT_S)


def usage_of(pid: int) -> Usage:
    """CPU seconds, peak resident memory and bytes written to files of a process."""
    process = Path(f"/proc/{pid}")
    status = dict(_pair(line) for line in (process / "status").read_text().splitlines() if ":" in line)
    io = dict(_pair(line) for line in (process / "io").read_text().splitlines())
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    return Usage(ticks / os.sysconf("SC_CLK_TCK"), int(status["VmHWM"].split()[0]) / 1024, int(io["write_bytes"]))


def _pair(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name, value.strip()
