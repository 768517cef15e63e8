"""The sides of the comparison: how each is started for a run, with which settings and why.

Throughput: every side commits twice a second (this worker by its own batches), compresses with lz4 and fetches and
batches generously. Latency: the checkpoint's interval is small, as the documentations recommend: Kafka Streams,
"Configuring a Streams Application", ``commit.interval.ms``, and Confluent, "Optimize Clients for Latency",
``linger.ms`` = 0; Quix Streams, "Configuring", "Exactly-Once producer buffering": under exactly-once the interval is
the longest time before a change can be read.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from benchmarks.load.session import Session
from benchmarks.load.source import Source, create_topic, declared_topics, hand_over, worker_variables
from benchmarks.sides.environments import compiled_python, kafka_streams_classpath, quix_python
from benchmarks.sides.processes import READY, Launch
from topics.cluster.provisioning import apply

__all__ = ["SIDES", "THROUGHPUT_COMMIT_MS", "Purpose", "Side"]

Purpose = Literal["throughput", "latency"]

THROUGHPUT_COMMIT_MS = 500
"""Long enough to cost nothing, short enough not to count: a run's last commit comes half of it late in the mean."""

_QUIX_LATENCY_COMMIT_MS = 10
_STREAMS_LATENCY_COMMIT_MS = 30
"""The best for each of 10, 30 and 100 ms that were tried at 1,000 events/s, on two busy cores: at 10, transactions left
Kafka Streams no time for events. Another machine may want others: ``benchmarks.latency --commit-ms``."""

_HEAP = "-Xmx1g"


@dataclass(frozen=True, slots=True)
class Side:
    """One side.

    Attributes:
        name: for the command line and the report.
        title: for a person.
        guarantee: as its documentation calls it.
        launch: how to start it for a run of this name.
        window_s: it is too slow for the whole workload: measured for at most this long; None: to the end.
        latency_commit_ms: its commit interval where latency counts; None: it has none to set.
        is_limit: it does not do the work, so there is no result to check.
        width: how many processes or threads share the work; sides of one width are compared.
    """

    name: str
    title: str
    guarantee: str
    launch: Callable[[Session, Source, str, Purpose, int], Launch]
    window_s: float | None = None
    latency_commit_ms: int | None = None
    is_limit: bool = False
    width: int = 1


def _worker(count: int, *, compiled: bool = True) -> Callable[[Session, Source, str, Purpose, int], Launch]:
    def launch(session: Session, source: Source, name: str, _purpose: Purpose, _commit_ms: int) -> Launch:
        variables = worker_variables(session, source.prefix, name, source.workload)
        topics = declared_topics(variables)
        apply(topics, session.config)
        hand_over(session, source.prefix, name, topics)
        python = compiled_python(session.cache) if compiled else (sys.executable,)
        return Launch(
            command=(*python, "-m", "streams.cli", "run"),
            variables=variables,
            group=name,
            source=source.executions,
            changes=topics.factor_changes.name,
            finals=topics.factors.name,
            ready='"partitions ready"',
            count=count,
        )

    return launch


def _peer(session: Session, source: Source, name: str, command: tuple[str, ...], more: Mapping[str, str]) -> Launch:
    assert source.by_application is not None, "the source was published without the peers' topic"
    changes = f"{name}-changes"
    create_topic(session, changes, source.workload.partitions)
    return Launch(
        command=command,
        variables={
            "KAFKA_BOOTSTRAP_SERVERS": session.servers,
            "BENCH_NAME": name,
            "BENCH_DIR": str(session.directory / name),
            "BENCH_PARTITIONS": str(source.workload.partitions),
            "BENCH_SOURCE": source.by_application,
            "BENCH_CHANGES": changes,
            "BENCH_READY": READY,
            **more,
        },
        group=name,
        source=source.by_application,
        changes=changes,
        finals=changes,
    )


def _faust(session: Session, source: Source, name: str, _purpose: Purpose, commit_ms: int) -> Launch:
    more = {"BENCH_COMMIT_INTERVAL_MS": str(commit_ms)}
    return _peer(session, source, name, (sys.executable, "-m", "benchmarks.sides.faust_idiomatic"), more)


def _quix(guarantee: str) -> Callable[[Session, Source, str, Purpose, int], Launch]:
    def launch(session: Session, source: Source, name: str, purpose: Purpose, commit_ms: int) -> Launch:
        python = quix_python(session.cache)
        more = {"BENCH_GUARANTEE": guarantee, "BENCH_FOR": purpose, "BENCH_COMMIT_INTERVAL_MS": str(commit_ms)}
        return _peer(session, source, name, (str(python), "-m", "benchmarks.sides.quix_streams"), more)

    return launch


def _kafka_streams(guarantee: str, threads: int) -> Callable[[Session, Source, str, Purpose, int], Launch]:
    def launch(session: Session, source: Source, name: str, purpose: Purpose, commit_ms: int) -> Launch:
        classpath = kafka_streams_classpath(session.cache)
        log_level = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
        more = {
            "BENCH_GUARANTEE": guarantee,
            "BENCH_THREADS": str(threads),
            "BENCH_FOR": purpose,
            "BENCH_COMMIT_INTERVAL_MS": str(commit_ms),
        }
        return _peer(session, source, name, ("java", _HEAP, log_level, "-cp", classpath, "benchmark.Peer"), more)

    return launch


def _no_launch(*_: object) -> Launch:
    raise AssertionError("a limit is measured by benchmarks.sides.limits")


_ALO, _EOS = "at least once", "exactly once"
_FAUST_WINDOW_S = 30.0

_ALL = (
    Side("worker", "this worker", _EOS, _worker(1)),
    Side("worker-2", "this worker, 2 processes", _EOS, _worker(2), width=2),
    Side("worker-py", "this worker, not compiled", _EOS, _worker(1, compiled=False)),
    Side("faust", "Faust, idiomatic agent", _ALO, _faust, window_s=_FAUST_WINDOW_S),
    Side("quix-alo", "Quix Streams", _ALO, _quix("at-least-once"), latency_commit_ms=_QUIX_LATENCY_COMMIT_MS),
    Side("quix-eos", "Quix Streams", _EOS, _quix("exactly-once"), latency_commit_ms=_QUIX_LATENCY_COMMIT_MS),
    Side(
        "streams-alo-1",
        "Kafka Streams, 1 thread",
        _ALO,
        _kafka_streams("at_least_once", 1),
        latency_commit_ms=_STREAMS_LATENCY_COMMIT_MS,
    ),
    Side(
        "streams-eos-1",
        "Kafka Streams, 1 thread",
        _EOS,
        _kafka_streams("exactly_once_v2", 1),
        latency_commit_ms=_STREAMS_LATENCY_COMMIT_MS,
    ),
    Side(
        "streams-alo-2",
        "Kafka Streams, 2 threads",
        _ALO,
        _kafka_streams("at_least_once", 2),
        latency_commit_ms=_STREAMS_LATENCY_COMMIT_MS,
        width=2,
    ),
    Side(
        "streams-eos-2",
        "Kafka Streams, 2 threads",
        _EOS,
        _kafka_streams("exactly_once_v2", 2),
        latency_commit_ms=_STREAMS_LATENCY_COMMIT_MS,
        width=2,
    ),
    Side("consume", "limit: librdkafka, consuming only", "-", _no_launch, is_limit=True),
    Side("poll", "limit: the same, one message a call", "-", _no_launch, is_limit=True),
    Side("decode", "limit: consuming and decoding only", "-", _no_launch, is_limit=True),
)

SIDES: Mapping[str, Side] = {side.name: side for side in _ALL}
"""Every side by its name, in the order of the report."""
