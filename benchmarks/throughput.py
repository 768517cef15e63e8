"""Throughput of one worker, everything on, on the design's workload.

    python -m benchmarks.throughput --runs 5 --peers

Each run has topics, a group and a state directory of its own on one broker: 400,000 events of about 450 bytes over
20,000 applications are published first; then a worker starts and the clock runs from "ready" until the last source
offset is committed. With --peers the same topic is then read by Faust's idiomatic agent (benchmarks/faust_idiomatic.py)
for half a minute, and by librdkafka alone, which is the wire's limit: the sides alternate in one session. Prints a line
a run and the medians; --json FILE writes the figures.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka import Consumer, Producer, TopicPartition

from streams.broker.choice import cache_dir
from streams.broker.embedded import start_broker, stop_broker
from streams.connection import topics_of
from streams.settings import Settings, load_settings
from tests.design_workload import DESIGN_APPLICATIONS, DESIGN_EVENTS, design_workload
from topics.admin import apply
from topics.declared import Topics
from topics.keys import partition_of

READY_LIMIT_S = 60
RUN_LIMIT_S = 600
FAUST_S = 30
"""It would need minutes for everything."""


@contextmanager
def broker() -> Iterator[str]:
    """The broker that KAFKA_BOOTSTRAP_SERVERS names, or an embedded one with data in a temporary directory."""
    settings = load_settings()
    if settings.bootstrap_servers is not None:
        yield settings.bootstrap_servers
        return
    with tempfile.TemporaryDirectory(prefix="consolidator-bench-") as directory:
        data = Path(directory) / "kafka"
        try:
            yield start_broker(data, cache_dir(settings)).bootstrap_servers
        finally:
            stop_broker(data)


def publish(servers: str, topics: Topics, events: int, applications: int) -> None:
    """Publish the workload under canonical keys and wait for every acknowledgement."""
    producer = Producer({"bootstrap.servers": servers, "linger.ms": 50, "compression.type": "lz4"})
    for message in design_workload(events, applications):
        while True:
            try:
                partition = partition_of(message.application_id, topics.partitions)
                producer.produce(topics.executions.name, message.value, message.key, partition)
                break
            except BufferError:
                producer.poll(0.1)
    if producer.flush(60):
        raise SystemExit("the broker did not acknowledge the workload within 60 s")


def committed(reader: Consumer, topics: Topics) -> int:
    """Events that the group has committed, over all partitions."""
    tps = [TopicPartition(topics.executions.name, partition) for partition in range(topics.partitions)]
    return sum(max(tp.offset, 0) for tp in reader.committed(tps, timeout=10))


def measure(servers: str, run: int, options: argparse.Namespace) -> dict[str, float]:
    """Publish the workload, then let each side have it."""
    name = f"bench{os.getpid()}-{run}"
    with tempfile.TemporaryDirectory(prefix="consolidator-bench-") as directory:
        variables = {
            "KAFKA_BOOTSTRAP_SERVERS": servers,
            "CONSOLIDATOR_TOPIC_PREFIX": f"{name}-",
            "CONSOLIDATOR_APP_ID": name,
            "CONSOLIDATOR_STATE_DIR": directory,
            "CONSOLIDATOR_LOG_FORMAT": "json",
        }
        topics = topics_of(Settings.model_validate(variables))
        apply(topics, {"bootstrap.servers": servers})
        publish(servers, topics, options.events, options.applications)
        figures = measure_worker(
            servers, name, topics, events=options.events, directory=Path(directory), variables=variables
        )
        if options.peers:
            figures["faust_idiomatic_per_s"] = measure_faust(servers, name, topics, Path(directory))
            figures["consume_only_per_s"] = measure_consume_only(servers, topics, options.events)
    return figures


def measure_worker(
    servers: str, name: str, topics: Topics, *, events: int, directory: Path, variables: dict[str, str]
) -> dict[str, float]:
    """From "ready" until everything is committed."""
    reader = group_reader(servers, name)
    log = directory / "worker.log"
    started = time.monotonic()
    with log.open("wb") as output:
        worker = subprocess.Popen(
            [sys.executable, "-m", "streams.cli", "run"], env=os.environ | variables, stderr=output
        )
        try:
            while b"partitions ready" not in log.read_bytes():
                check(worker, log, started, READY_LIMIT_S, "to get ready")
                time.sleep(0.01)
            ready = time.monotonic()
            while committed(reader, topics) < events:
                check(worker, log, ready, RUN_LIMIT_S, "to commit everything")
                time.sleep(0.05)
            done = time.monotonic()
            cpu_s, peak_mib = usage(worker.pid)
        finally:
            worker.terminate()
            worker.wait(60)
            reader.close()
    return {
        "events_per_s": events / (done - ready),
        "start_s": ready - started,
        "cpu_s_per_million": cpu_s / events * 1e6,
        "peak_mib": peak_mib,
    }


def measure_faust(servers: str, name: str, topics: Topics, directory: Path) -> float:
    """Events per second over half a minute, after its first commit."""
    variables = {
        "KAFKA_BOOTSTRAP_SERVERS": servers,
        "BENCH_NAME": name,
        "BENCH_DIR": str(directory / "faust"),
        "BENCH_PARTITIONS": str(topics.partitions),
    }
    reader = group_reader(servers, f"{name}-faust")
    log = directory / "faust.log"
    script = Path(__file__).with_name("faust_idiomatic.py")
    started = time.monotonic()
    with log.open("wb") as output:
        worker = subprocess.Popen([sys.executable, script], env=os.environ | variables, stdout=output, stderr=output)
        try:
            while not (first := committed(reader, topics)):
                check(worker, log, started, READY_LIMIT_S, "to commit something")
                time.sleep(0.05)
            since = last_change = time.monotonic()
            latest = first
            while time.monotonic() - since < FAUST_S:
                time.sleep(0.05)
                now = committed(reader, topics)
                if now != latest:
                    latest, last_change = now, time.monotonic()
        finally:
            worker.terminate()
            worker.wait(60)
            reader.close()
    return (latest - first) / (last_change - since)


def measure_consume_only(servers: str, topics: Topics, events: int) -> float:
    """What librdkafka delivers when nothing is done with it."""
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "unused", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topics.executions.name, partition, 0) for partition in range(topics.partitions)])
    seen = 0
    since = time.monotonic()
    while seen < events:
        seen += len(consumer.consume(5_000, timeout=10))
    seconds = time.monotonic() - since
    consumer.close()
    return events / seconds


def group_reader(servers: str, group: str) -> Consumer:
    """Reads a group's offsets; uncommitted, because otherwise it would wait for open transactions."""
    return Consumer({"bootstrap.servers": servers, "group.id": group, "isolation.level": "read_uncommitted"})


def usage(pid: int) -> tuple[float, float]:
    """CPU seconds and peak memory in MiB of a process."""
    process = Path(f"/proc/{pid}")
    peak_kib = next(int(line.split()[1]) for line in (process / "status").read_text().splitlines() if "VmHWM" in line)
    fields = (process / "stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), peak_kib / 1024


def check(worker: subprocess.Popen[bytes], log: Path, since: float, limit: float, what: str) -> None:
    """Give up where the worker ended or the limit passed."""
    if worker.poll() is not None:
        raise SystemExit(f"the worker ended with {worker.returncode}:\n{log.read_text()[-3000:]}")
    if time.monotonic() - since > limit:
        raise SystemExit(f"the worker took more than {limit} s {what}:\n{log.read_text()[-3000:]}")


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--events", type=int, default=DESIGN_EVENTS)
    parser.add_argument("--applications", type=int, default=DESIGN_APPLICATIONS)
    parser.add_argument("--peers", action="store_true", help="also Faust's idiomatic agent and the wire's limit")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with broker() as servers:
        runs = []
        for run in range(arguments.runs):
            figures = measure(servers, run, arguments)
            runs.append(figures)
            print("  ".join(f"{name} {value:,.1f}" for name, value in figures.items()), flush=True)
    medians = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    print("median  " + "  ".join(f"{name} {value:,.1f}" for name, value in medians.items()))
    if arguments.json is not None:
        machine = {"python": platform.python_version(), "cpus": os.cpu_count(), "machine": platform.machine()}
        arguments.json.write_text(json.dumps({"machine": machine, "runs": runs, "medians": medians}, indent=2) + "\n")


if __name__ == "__main__":
    main()
