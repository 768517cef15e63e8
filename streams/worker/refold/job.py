"""The worker's side of a refold: it starts the process, answers it, logs its progress, and ends it."""

import asyncio
import shutil
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Final

import msgspec
import structlog

from models.errors import ContractError, InfrastructureError
from streams.worker.refold.messages import Answer, Report, Task, decode_report, encode
from streams.worker.refold.table import RefoldDirectory, RefoldIdentity, RefoldTable

__all__ = ["Progress", "RefoldJob", "RefoldQueue"]

_TOLD_EVERY_S: Final = 30.0
_END_LIMIT_S: Final = 5.0
"""The process closes its database within a second; it is killed when it does not."""

_MODULE: Final = "streams.worker.refold.process"

_log = structlog.get_logger()


class RefoldQueue:
    """Bounds memory: one refold runs at a time, and a second one if events wait for it."""

    def __init__(self) -> None:
        self._beside = asyncio.Lock()
        self._waited_for = asyncio.Lock()

    @asynccontextmanager
    async def turn(self, *, is_waited_for: bool) -> AsyncIterator[None]:
        """Wait for a turn.

        Args:
            is_waited_for: whether events wait for the refold, or will soon.
        """
        async with self._waited_for if is_waited_for else self._beside:
            yield


class Progress:
    """The progress of a refold, which is logged at intervals.

    Attributes:
        done: the offset before which everything is folded.
        end: the offset before which the source ends.
    """

    def __init__(self) -> None:
        self.done = 0
        self.end = 0
        self._told_s = monotonic()
        self._told = -1

    def tell(self, partition: int, report: Report) -> None:
        """Take the progress, and log it if the last line is old enough.

        Args:
            partition: the partition.
            report: says how far it is.
        """
        now, done = monotonic(), report.done or 0
        self.done, self.end = done, report.end
        if self._told < 0:
            self._told = done
        if now - self._told_s < _TOLD_EVERY_S:
            return
        rate = (done - self._told) / (now - self._told_s)
        self._told_s, self._told = now, done
        _log.info(
            "partition is folded again",
            partition=partition,
            events=done,
            of=report.end,
            events_per_second=round(rate),
        )


@dataclass(frozen=True, slots=True)
class RefoldJob:
    """Folds one partition again.

    Args:
        task: the task; the job chooses its directory.
        digests: of the rulesets before and after.
        base: the directory for all refolds.
        copy_table: makes a copy of the partition's table in a directory; blocks.
        in_thread: runs a blocking step.

    Attributes:
        progress: how far it is.
    """

    task: Task
    digests: tuple[str, str]
    base: Path
    copy_table: Callable[[Path], None]
    in_thread: Callable[[Callable[[], object]], Awaitable[object]]
    progress: Progress = field(default_factory=Progress)

    async def run(self, directory: RefoldDirectory, announce: Callable[[], Awaitable[int]]) -> None:
        """Fold up to the adoption's offset.

        Args:
            directory: the refold's directory.
            announce: writes the adoption, and returns its offset. It is called near the end of the source, if the task
                has no offset.

        Raises:
            ContractError: events of the state are not in the log any more.
            InfrastructureError: Kafka or the disk failed, or the process ended by itself.
        """
        task = msgspec.structs.replace(self.task, directory=str(directory.path / "table"))
        # Without -P it would import modules from the worker's working directory. It reports through its pipe, and not
        # through stderr, so that it cannot block on a reader of the worker's log.
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", _MODULE, stdin=PIPE, stdout=PIPE, stderr=DEVNULL
        )
        try:
            await self._converse(process, task, directory, announce)
            if code := await process.wait():
                raise InfrastructureError(
                    f"partition {self.task.partition}: the process that folds it again ended with {_how(code)}; "
                    "nothing was lost. Start the worker again: it goes on with what is folded"
                )
        finally:
            await _end(process)

    async def _converse(
        self, process: Process, task: Task, directory: RefoldDirectory, announce: Callable[[], Awaitable[int]]
    ) -> None:
        assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018 - both are pipes
        _say(process.stdin, task)
        progress = self.progress
        copies = 0
        while line := await process.stdout.readline():
            report = decode_report(line)
            if report.error is not None:
                raise (ContractError if report.is_contract else InfrastructureError)(report.error)
            if report.wants_table:
                copies += 1
                path = directory.path / f"live-{copies}"
                await self._copied(path)
                _say(process.stdin, Answer(table=str(path)))
            elif report.is_near:
                _say(process.stdin, Answer(until=await announce()))
            elif report.begun_anew is not None:
                _log.warning(
                    "a refold starts again from the beginning", partition=task.partition, reason=report.begun_anew
                )
            elif report.done is not None:
                progress.tell(task.partition, report)

    async def _copied(self, path: Path) -> None:
        """Copy the partition's table. A cancellation waits for the copy, because the table is closed soon after it."""

        def copy() -> None:
            shutil.rmtree(path, ignore_errors=True)
            self.copy_table(path)

        copying = asyncio.ensure_future(self.in_thread(copy))
        try:
            await asyncio.shield(copying)
        finally:
            await asyncio.wait([copying])

    @contextmanager
    def opened(self, directory: RefoldDirectory) -> Iterator[RefoldTable]:
        """Open the result of the refold for reading. Blocks."""
        with RefoldTable(directory.path / "table", RefoldIdentity.of(self.task, *self.digests)) as table:
            yield table


def _say(stdin: asyncio.StreamWriter, message: Task | Answer) -> None:
    stdin.write(encode(message))


async def _end(process: Process) -> None:
    """Close the pipe, so that the process ends, and wait for its end; also when the worker is stopping."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        async with asyncio.timeout(_END_LIMIT_S):
            await process.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _how(code: int) -> str:
    return f"exit code {code}" if code > 0 else f"signal {-code}"
