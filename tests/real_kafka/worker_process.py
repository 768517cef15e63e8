"""A real worker in its own process: it can be started, watched through its JSON log, signalled and killed."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Self

CONSOLIDATOR = Path(sys.executable).parent / "consolidator"
"""The console script of the environment that runs the tests."""

READY_LIMIT_S = 60.0
EXIT_LIMIT_S = 45.0
"""Above the worker's own grace period of 30 s."""

_POLL_S = 0.02
_LISTENING = "0A"
"""The state of a socket in /proc/net/tcp."""

_LOG_TAIL_CHARACTERS = 4_000


def wait_until(condition: Callable[[], Any], what: str, *, limit_s: float, details: Callable[[], str] = str) -> Any:
    """Poll until the condition is truthy, and return its value.

    Args:
        condition: asked every 20 ms.
        what: the expected event, for the failure's message.
        limit_s: the time after which the test fails.
        details: more for the failure's message.
    """
    deadline = time.monotonic() + limit_s
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() >= deadline:
            raise AssertionError(f"waited {limit_s:.0f} s for {what}\n{details()}")
        time.sleep(_POLL_S)


class WorkerProcess:
    """One ``consolidator run``. As a context manager it is killed at the end.

    Args:
        variables: its settings, as environment variables.
        log: the file for its stdout and stderr; must not exist.
        command: the program and its arguments, if it is another one.
    """

    def __init__(
        self, variables: Mapping[str, str], log: Path, *, command: Sequence[str] = (str(CONSOLIDATOR), "run")
    ) -> None:
        self._log = log
        self._parsed_to = 0
        self._entries: list[dict[str, Any]] = []
        with log.open("xb") as output:
            self._process = subprocess.Popen(
                command,
                # So that one that does not end can be asked what it is doing.
                env={**os.environ, "PYTHONFAULTHANDLER": "1", **variables},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        self.started_at = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self.cont()
            self._process.kill()
            self._process.wait(EXIT_LIMIT_S)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code; None while it runs; negative: the signal that killed it."""
        return self._process.poll()

    @property
    def log(self) -> str:
        """Everything that this process wrote to stderr and stdout."""
        return self._log.read_text(encoding="utf-8")

    def entries(self, event: str | None = None) -> list[dict[str, Any]]:
        """The log entries, those with this text only if one is given, in order."""
        with self._log.open("rb") as file:
            file.seek(self._parsed_to)
            lines = file.read().splitlines(keepends=True)
        for line in lines:
            if not line.endswith(b"\n"):
                break
            self._parsed_to += len(line)
            if line.startswith(b"{"):
                self._entries.append(json.loads(line))
        return [entry for entry in self._entries if event in {None, entry.get("event")}]

    def tail(self) -> str:
        """What to show when a test fails."""
        return f"worker {self.pid}, exit code {self.exit_code}:\n{self.log[-_LOG_TAIL_CHARACTERS:]}"

    def wait(self, condition: Callable[[], Any], what: str, *, limit_s: float) -> Any:
        """Like :func:`wait_until`, but fails at once when the worker has ended."""

        def met() -> Any:
            found = condition()
            if not found and self.exit_code is not None:
                raise AssertionError(f"the worker ended; waited for {what}\n{self.tail()}")
            return found

        return wait_until(met, what, limit_s=limit_s, details=self.tail)

    def owned(self) -> set[int]:
        """The partitions that are ready according to its log."""
        return self._claimed("partitions ready", "offsets")

    def held(self) -> set[int]:
        """The partitions that it has acquired according to its log; they need not be ready yet."""
        return self._claimed("partitions acquired", "partitions")

    def _claimed(self, event: str, member: str) -> set[int]:
        """The partitions that the last entry of a kind names, without those that a later entry releases."""
        found: set[int] = set()
        for entry in self.entries():
            if entry.get("event") == event:
                found = {int(partition) for partition in entry[member]}
            elif entry.get("event") == "partitions released":
                found = set()
        return found

    def state(self) -> Path:
        """The directory that it took for its databases."""
        return Path(self.entries("worker starting")[0]["state"])

    def listening_sockets(self) -> list[str]:
        """The sockets on which it waits for connections, by their inode; it must be running."""
        tables = [Path(f"/proc/{self.pid}/net/{name}").read_text(encoding="ascii") for name in ("tcp", "tcp6")]
        rows = [line.split() for table in tables for line in table.splitlines()[1:]]
        listening = {row[9] for row in rows if row[3] == _LISTENING}
        held = set()
        for link in Path(f"/proc/{self.pid}/fd").iterdir():
            # The descriptor may be closed meanwhile; a listening socket stays open.
            with contextlib.suppress(FileNotFoundError):
                held.add(str(link.readlink()))
        return sorted(inode for inode in listening if f"socket:[{inode}]" in held)

    def peak_memory_mib(self) -> float:
        """The greatest resident size so far; it must be running."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM"))

    def wait_ready(self, partitions: int = 1, *, limit_s: float = READY_LIMIT_S) -> Self:
        """Wait until at least a number of its partitions are ready."""
        self.wait(lambda: len(self.owned()) >= partitions, f"{partitions} partitions to be ready", limit_s=limit_s)
        return self

    def wait_exit(self, *, limit_s: float = EXIT_LIMIT_S) -> int:
        """Wait until it has ended, and return its exit code."""
        wait_until(lambda: self.exit_code is not None, "the worker to end", limit_s=limit_s, details=self._aborted_tail)
        return self._process.returncode

    def _aborted_tail(self) -> str:
        """The end of its log, with what each thread was doing: Python writes that when it is aborted."""
        self._process.send_signal(signal.SIGABRT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(EXIT_LIMIT_S)
        return self.tail()

    def kill(self) -> None:
        """``kill -9``."""
        self._process.kill()
        self._process.wait(EXIT_LIMIT_S)

    def terminate(self) -> None:
        """SIGTERM: ask it to drain and stop."""
        self._process.terminate()

    def stop(self) -> None:
        """SIGTERM, and it has to end with exit code 0."""
        self.terminate()
        code = self.wait_exit()
        assert code == 0, self.tail()

    def freeze(self) -> None:
        """SIGSTOP."""
        self._process.send_signal(signal.SIGSTOP)

    def is_frozen(self) -> bool:
        """Whether it is stopped by a signal."""
        status = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii")
        # The process's name before it, in parentheses, may contain any character.
        return status.rpartition(")")[2].split()[0] == "T"

    def cont(self) -> None:
        """SIGCONT."""
        self._process.send_signal(signal.SIGCONT)


def tails(workers: Iterable[WorkerProcess]) -> str:
    """What to show of several workers when a test fails."""
    return "\n".join(worker.tail() for worker in workers)


def wait_shared_out(
    partitions: int,
    workers: Sequence[WorkerProcess],
    *,
    claimed: Callable[[WorkerProcess], set[int]] = WorkerProcess.owned,
    what: str = "every partition to be ready at a worker",
    limit_s: float = READY_LIMIT_S,
) -> None:
    """Wait until each partition is claimed by one of the workers, and each of them claims one.

    Args:
        partitions: how many there are.
        workers: the workers; none of them may end.
        claimed: returns the partitions that a worker claims.
        what: the expected event, for the failure's message.
        limit_s: the time after which the test fails.
    """

    def shared_out() -> bool:
        assert all(worker.exit_code is None for worker in workers), tails(workers)
        claims = [claimed(worker) for worker in workers]
        return all(claims) and sorted(chain(*claims)) == list(range(partitions))

    wait_until(shared_out, what, limit_s=limit_s, details=lambda: tails(workers))
