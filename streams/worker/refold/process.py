"""The process that folds a partition again with the worker's fold, beside the worker; the worker never waits for it.

It is a process, because Python runs one thread at a time: a thread would slow the fold of live events down.

When its standard input is closed, it closes its database and ends, even if the worker was killed.
"""

import gc
import os
import shutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Final

from models.errors import ConsolidatorError, ContractError
from streams.core.rules import Rules
from streams.partition.batch import Batch
from streams.partition.judge import Judge, decode_judgement, head_of_row
from streams.partition.partition_fold import PartitionFold
from streams.partition.state.cache_limits import REFOLD_CACHE
from streams.rulesets.catalogue_file import parse_catalogue
from streams.worker.refold.messages import Answer, Report, Task, decode_answer, decode_task, encode
from streams.worker.refold.table import LiveTable, RefoldIdentity, RefoldTable
from topics.reading.erasures import ConfirmedErasures
from topics.reading.positions import AtOffset, Beginning
from topics.reading.reader import TopicReader
from topics.records.erasure_authority import ErasureAuthority, NoneEarlier
from topics.records.record import Record

__all__ = ["Refolding", "main"]

_BLOCK_RECORDS: Final = 2_000
_BLOCK_BYTES: Final = 8 * 1024 * 1024
"""The size of a block, which is folded in some 100 ms. Between two blocks the process checks whether to continue."""

_NEAR: Final = 4_000
"""How many events before the source's end count as near: they are folded in a fraction of a second."""

_PASSES: Final = 5
_FEW_JUDGED: Final = 2_000
"""All pairs are compared once, and those that got events meanwhile are compared again, until few are left. These are
compared in some 0.2 s when the partition goes over."""

_KEPT_AT_ONCE: Final = 500

_RETRY_S: Final = 0.1

_GRACE_S: Final = 2.0
"""A read from Kafka cannot be interrupted, so after this time the process ends without waiting for it."""

_ERROR_CHARACTERS: Final = 4_000
"""A line to the worker may have 64 KiB at most, but an error may quote a longer key."""


class StoppedError(Exception):
    """The worker has ended, or no longer needs the result."""


class Worker:
    """The worker at the other end of the pipes.

    Args:
        lines: the lines that the worker writes.
        out: where lines for the worker are written.
    """

    def __init__(self, lines: IO[bytes], out: IO[bytes]) -> None:
        self._out = out
        self._answers: SimpleQueue[Answer | None] = SimpleQueue()
        self._gone = threading.Event()
        self._killer = threading.Timer(_GRACE_S, os._exit, [0])
        self._killer.daemon = True
        threading.Thread(target=self._listen, args=(lines,), name="worker", daemon=True).start()

    @property
    def is_alone(self) -> bool:
        """Whether the worker has ended, or no longer needs the result."""
        return self._gone.is_set()

    def require(self) -> None:
        """Raise if the worker has gone.

        Raises:
            StoppedError: it has.
        """
        if self.is_alone:
            raise StoppedError

    def tell(self, report: Report) -> None:
        """Say something."""
        try:
            self._out.write(encode(report))
            self._out.flush()
        except OSError as error:
            raise StoppedError from error

    def ask(self, report: Report) -> Answer:
        """Send a message to the worker and wait for the answer."""
        self.tell(report)
        answer = self._answers.get()
        if answer is None:
            raise StoppedError
        return answer

    def _listen(self, lines: IO[bytes]) -> None:
        for line in lines:
            self._answers.put(decode_answer(line))
        self._gone.set()
        self._answers.put(None)
        self._killer.start()


class Refolding:
    """Folds a partition with another ruleset up to an offset, and compares every pair ahead of the adoption.

    Args:
        task: what to fold.
        worker: who wants it.
        read: the records of the source from an offset to its end as it is now, and that end.
        authority: knows which erasures count.
    """

    def __init__(
        self,
        task: Task,
        worker: Worker,
        read: Callable[[int], AbstractContextManager[tuple[Iterator[Record], int]]],
        authority: ErasureAuthority,
    ) -> None:
        before, after = map(_rules, (task.before, task.after))
        self._task = task
        self._worker = worker
        self._read = read
        self._until = task.until
        self._gone_over = bytes.fromhex(task.gone_over)
        self._judge = Judge(task.partition, task.topics, before, after)
        self._table = RefoldTable(
            Path(task.directory), RefoldIdentity.of(task, before.digest, after.digest), task.until
        )
        self._fold = PartitionFold(
            task.partition,
            task.topics,
            after,
            self._table,
            max_event_bytes=task.max_event_bytes,
            cached_pairs=REFOLD_CACHE.pairs,
            cached_weight=REFOLD_CACHE.weight,
            topic_id=task.topic_id,
            authority=authority,
            publishes=False,
        )

    def run(self) -> None:
        """Do the whole refold. If it is interrupted, the next process continues from there.

        1. Fold to near the end of the source, which goes on growing; or up to the offset, if it is known already.
        2. Compare the pairs. Compare those again for which events came meanwhile.
        3. Ask the worker for the offset, and fold up to it.
        4. If the worker itself has not come as far, wait until it has, and compare the rest.
        """
        with self._table:
            if self._table.begun_anew:
                self._worker.tell(Report(begun_anew=self._table.begun_anew))
            # 1.
            self._catch_up()
            # 2.
            is_compared = False
            for _ in range(_PASSES):
                is_compared = self._compare_pairs()
                self._catch_up()
                if is_compared:
                    break
            # 3.
            while self._until is None:
                self._until = self._worker.ask(Report(is_near=True)).until
            self._catch_up()
            # 4.
            while not is_compared and not self._compare_pairs():
                time.sleep(_RETRY_S)

    @property
    def _next(self) -> int:
        return self._fold.mark.applied + 1

    def _catch_up(self) -> None:
        """Fold up to the offset, or near to the end of the source."""
        while self._until is None or self._next < self._until:
            self._worker.require()
            with self._read(self._next) as (records, as_of_now):
                end = as_of_now if self._until is None else min(as_of_now, self._until)
                far = end - self._next
                self._fold.authority.fetched(self._task.partition, end)
                self._fold_records(records, end)
            if self._until is None and far <= _NEAR:
                return
            if not far:
                # A producer's transaction is still open before the offset.
                time.sleep(_RETRY_S)

    def _fold_records(self, records: Iterator[Record], end: int) -> None:
        for block in _blocks(records, end):
            self._worker.require()
            self._fold_block(block, block[-1].offset + 1)
            self._worker.tell(Report(done=self._next, end=end))
        if self._next < end:
            # The remaining offsets have no records: they are transaction markers, or compaction removed the records.
            self._fold_block([], end)
            self._worker.tell(Report(done=self._next, end=end))

    def _fold_block(self, block: list[Record], end: int) -> None:
        batch = Batch(self._task.topics.executions.name, self._task.partition, self._next, end, block)
        folded = self._fold.fold(batch)
        self._table.write(folded.rows())
        self._fold.written(folded)

    def _compare_pairs(self) -> bool:
        """Compare the pairs for which both sides have the same events, unless that is done.

        Returns:
            Whether little is left: the partition itself is about as far, and few pairs were not compared before.
        """
        path = self._worker.ask(Report(wants_table=True)).table or ""
        try:
            with LiveTable(Path(path)) as live:
                return self._judge_against(live) <= _FEW_JUDGED and self._next - live.applied <= _NEAR
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def _judge_against(self, live: LiveTable) -> int:
        applied = live.applied
        judged: list[tuple[bytes, bytes, bytes]] = []
        count = 0
        olds = live.pairs_after(self._gone_over)
        key, old = next(olds, (b"", b""))
        for pair, new, known in self._table.pairs_after(self._gone_over):
            while key and key < pair:
                self._require_unknown(key, old)
                key, old = next(olds, (b"", b""))
            found = None
            if key == pair:
                found = old
                key, old = next(olds, (b"", b""))
            if self._can_be_judged(found, new, known, applied):
                judged.append((pair, *self._judge.ahead(pair, found, new)))
                count += 1
            if len(judged) >= _KEPT_AT_ONCE:
                self._worker.require()
                self._table.keep(judged)
                judged = []
        while key:
            self._require_unknown(key, old)
            key, old = next(olds, (b"", b""))
        self._table.keep(judged)
        return count

    def _can_be_judged(self, old: bytes | None, new: bytes, known: bytes | None, live: int) -> bool:
        """Whether a pair has to be compared: it has no valid judgement, and both sides have folded the same events."""
        if known is not None and decode_judgement(known).holds_for(old, new):
            return False
        return head_of_row(new).applied <= live and (old is None or head_of_row(old).applied < self._next)

    def _require_unknown(self, key: bytes, old: bytes) -> None:
        """A pair that only the worker's state has: its events are not folded here yet, or are no longer in the log."""
        if head_of_row(old).applied < self._next:
            raise self._judge.incomplete(key)


def _blocks(records: Iterator[Record], end: int) -> Iterator[list[Record]]:
    block: list[Record] = []
    size = 0
    for record in records:
        if record.offset >= end:
            break
        block.append(record)
        size += len(record.value or b"")
        if len(block) >= _BLOCK_RECORDS or size >= _BLOCK_BYTES:
            yield block
            block, size = [], 0
    if block:
        yield block


def _rules(text: str) -> Rules:
    return Rules(parse_catalogue(text.encode(), suffix=".json", source="a catalogue that the worker has"))


def _reading(task: Task) -> Callable[[int], AbstractContextManager[tuple[Iterator[Record], int]]]:
    """Reads the source from an offset on; if nothing is folded yet, from the first offset that the topic still has."""

    @contextmanager
    def read(offset: int) -> Iterator[tuple[Iterator[Record], int]]:
        start = AtOffset(task.partition, offset) if offset else Beginning()
        with TopicReader(task.config, task.topics.executions.name, start) as reader:
            span = reader.spans[task.partition]
            yield reader.until_end({task.partition: span}), span.end

    return read


def main() -> int:
    """Fold the task on the standard input; return the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Events and states form no reference cycles, so Python's cycle collector would scan them in vain.
    gc.disable()
    task = decode_task(sys.stdin.buffer.readline())
    # Everything else that is written goes to another descriptor: on this one, the worker would read it as a message.
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb", 0)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    worker = Worker(sys.stdin.buffer, out)
    try:
        authority = NoneEarlier(ConfirmedErasures(task.config, task.topics), task.taken_over)
        Refolding(task, worker, _reading(task), authority).run()
    except StoppedError:
        return 0
    except ConsolidatorError as error:
        worker.tell(Report(error=str(error)[:_ERROR_CHARACTERS], is_contract=isinstance(error, ContractError)))
        return 1
    except Exception as error:
        # This process has no log, so errors at its end are dropped.
        last = traceback.extract_tb(error.__traceback__)[-1]
        worker.tell(
            Report(error=f"to fold again failed at {last.name}, line {last.lineno}: {error!r}"[:_ERROR_CHARACTERS])
        )
        raise
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    # Do not wait for the threads of the Kafka clients.
    os._exit(code)
