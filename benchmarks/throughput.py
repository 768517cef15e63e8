"""One side's speed on a published workload: from its readiness until everything is committed, then its result.

Alike for all sides: the clock runs from the moment when the side has its partitions (this worker says so, Kafka Streams
is RUNNING, Faust and Quix Streams have got their first event) until the group's committed offsets are through the
source. A side that is too slow for that is watched for a bounded time, up to its last commit.
"""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, Self

from confluent_kafka import Consumer, TopicPartition

from benchmarks.load.session import REPOSITORY, Session
from benchmarks.load.source import HeldBack, Source
from benchmarks.report.results import differences, end_offsets, final_factors
from benchmarks.sides.launch import THROUGHPUT_COMMIT_MS, Side
from benchmarks.sides.processes import Launch, SideError, SideProcess, usage_of

__all__ = ["GroupOffsets", "Run", "covers", "launched", "measure", "measure_limit", "wait_ready"]

READY_LIMIT_S = 120.0
RUN_LIMIT_S = 900.0
_ASK_LIMIT_S = 10
_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of a side came to.

    Attributes:
        events_per_s: None where the result is wrong.
        start_s: from the start of the process to its readiness.
        cpu_s_per_million: CPU seconds of its processes for a million events, from readiness on.
        broker_cpu_s_per_million: the same of the broker; None: unknown.
        peak_mib: most resident memory of all its processes together.
        events: how many were committed while the clock ran.
        complete: everything was committed.
        bytes_per_event: written by readiness and end, by what wrote them: ``disk`` (what the processes write to files:
            RocksDB's log, tables and compactions), ``changelog`` and ``outputs`` (segments of the topics, compressed).
        wrong: how the result differs from the reference; empty: equal, or not complete and so not compared.
    """

    events_per_s: float | None
    start_s: float
    cpu_s_per_million: float
    broker_cpu_s_per_million: float | None
    peak_mib: float
    events: int
    complete: bool
    bytes_per_event: dict[str, float] = field(default_factory=dict)
    wrong: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """For the report."""
        return asdict(self)


class GroupOffsets:
    """Reads a group's committed offsets; as a context it is closed at the end."""

    def __init__(self, session: Session, launch: Launch, partitions: int) -> None:
        # Uncommitted: otherwise it would wait for open transactions.
        config = {**session.config, "group.id": launch.group, "isolation.level": "read_uncommitted"}
        self._consumer = Consumer(config)
        self._places = [TopicPartition(launch.source, partition) for partition in range(partitions)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def total(self) -> int:
        """Committed events over all partitions; the source has no transaction markers."""
        return sum(max(place.offset, 0) for place in self._consumer.committed(self._places, timeout=_ASK_LIMIT_S))


@contextlib.contextmanager
def launched(session: Session, launch: Launch) -> Iterator[list[SideProcess]]:
    """The processes of a side, ended with the block."""
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(SideProcess(launch, session.directory / f"{launch.group}-{number}.log"))
            for number in range(launch.count)
        ]


def wait_ready(processes: Sequence[SideProcess], partitions: int) -> float:
    """Wait until the side has all its partitions; the moment at which it had."""

    def ready() -> bool:
        if len(processes) == 1:
            return processes[0].is_ready()
        return covers([process.text for process in processes], partitions)

    return processes[0].wait(ready, "the side to have its partitions", limit_s=READY_LIMIT_S)


def covers(logs: Iterable[str], partitions: int) -> bool:
    """Whether workers, by their logs, have taken all partitions among them, each of them some and none twice."""
    held = []
    for log in logs:
        mine: set[str] = set()
        for line in log.splitlines():
            if '"partitions ready"' in line:
                mine = set(json.loads(line)["offsets"])
            elif '"partitions released"' in line:
                mine = set()
        held.append(mine)
    together = set().union(*held)
    return all(held) and len(together) == partitions == sum(map(len, held))


def measure(
    session: Session,
    source: Source,
    side: Side,
    name: str,
    *,
    window_s: float | None = None,
    check: bool = True,
    held_back: HeldBack | None = None,
) -> Run:
    """Let one side have the workload, or what its group has not had of it.

    Args:
        session: the session.
        source: the published workload.
        side: the side; not a limit.
        name: of the run: its group, state and topics are named after it.
        window_s: watch it for at most this long instead of the side's own time.
        check: compare the result with the reference.
        held_back: the workload is there but cannot be read; it is released, and the clock started, when the side is
            ready. None: it can be read.

    Raises:
        SideError: the side ended, or did not get ready or through in time.
        MissingToolError: it cannot run here.
    """
    launch = side.launch(session, source, name, "throughput", THROUGHPUT_COMMIT_MS)
    partitions = source.workload.partitions
    starts = end_offsets(session.servers, launch.finals, partitions)
    events = sum(end_offsets(session.servers, launch.source, partitions).values())
    if held_back is not None:
        events += held_back.events
    with GroupOffsets(session, launch, partitions) as offsets, launched(session, launch) as processes:
        ready = wait_ready(processes, partitions)
        committed, before = offsets.total(), _Spent.until_now(session, launch, processes)
        since = ready
        if held_back is not None:
            since = time.monotonic()
            held_back.release()
        latest, moved = _watch(offsets, processes, events, before=committed, window_s=window_s or side.window_s)
        spent = _Spent.until_now(session, launch, processes).since(before)
        peak = sum(process.usage().peak_mib for process in processes)
        start_s = ready - processes[0].started_at
    done = latest - committed
    if not done:
        raise SideError(
            "everything was committed before it was ready, as its processes come one by one: too few events"
        )
    complete = latest >= events
    wrong: list[str] = []
    if complete and check:
        wrong = differences(source.expected, final_factors(session.servers, launch.finals, starts))
    return Run(
        events_per_s=None if wrong else done / (moved - since),
        start_s=start_s,
        cpu_s_per_million=spent.cpu_s / done * 1e6,
        broker_cpu_s_per_million=None if spent.broker_cpu_s is None else spent.broker_cpu_s / done * 1e6,
        peak_mib=peak,
        events=done,
        complete=complete,
        bytes_per_event={name: written / done for name, written in spent.written.items()},
        wrong=tuple(wrong),
    )


@dataclass(frozen=True, slots=True)
class _Spent:
    """What a side and the broker have used, up to a moment or between two."""

    cpu_s: float
    broker_cpu_s: float | None
    written: dict[str, int]

    @classmethod
    def until_now(cls, session: Session, launch: Launch, processes: Sequence[SideProcess]) -> Self:
        used = [process.usage() for process in processes]
        written = {"disk": sum(usage.written_bytes for usage in used)}
        outputs = {launch.changes, launch.finals}
        for what, wanted in (
            ("changelog", lambda topic: launch.group in topic and topic not in outputs),
            ("outputs", lambda topic: topic in outputs),
        ):
            size = session.topic_bytes(wanted)
            if size is not None:
                written[what] = size
        broker = None if session.broker_pid is None else usage_of(session.broker_pid).cpu_s
        return cls(sum(usage.cpu_s for usage in used), broker, written)

    def since(self, before: Self) -> Self:
        broker = None
        if self.broker_cpu_s is not None and before.broker_cpu_s is not None:
            broker = self.broker_cpu_s - before.broker_cpu_s
        written = {what: size - before.written.get(what, 0) for what, size in self.written.items()}
        return replace(self, cpu_s=self.cpu_s - before.cpu_s, broker_cpu_s=broker, written=written)


def _watch(
    offsets: GroupOffsets, processes: Sequence[SideProcess], events: int, *, before: int, window_s: float | None
) -> tuple[int, float]:
    """Watch the group until it is through, or the window is over; its last offset and when that was first seen."""
    since = time.monotonic()
    latest, moved = before, since
    limit_s = RUN_LIMIT_S if window_s is None else window_s
    while latest < events:
        time.sleep(_POLL_S)
        now = offsets.total()
        if now != latest:
            latest, moved = now, time.monotonic()
        for process in processes:
            process.check("everything to be committed")
        if time.monotonic() - since > limit_s:
            if window_s is None or latest == before:
                raise SideError(f"waited {limit_s:.0f} s for {events:,} events to be committed, {latest:,} were")
            break
    return latest, moved


_LIMIT_OPTIONS: Final = {"decode": ("--decode",), "poll": ("--one-by-one",)}


def measure_limit(session: Session, source: Source, side: Side) -> Run:
    """Let librdkafka alone read the workload, in a process of its own."""
    workload = source.workload
    command = [sys.executable, "-m", "benchmarks.sides.limits", session.servers, source.executions]
    command += [str(workload.partitions), str(workload.events), *_LIMIT_OPTIONS.get(side.name, ())]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=RUN_LIMIT_S, check=False)
    if done.returncode:
        raise SideError(done.stderr)
    figures = json.loads(done.stdout)
    return Run(figures["events_per_s"], 0, figures["cpu_s"] / workload.events * 1e6, None, 0, workload.events, True)  # noqa: FBT003
