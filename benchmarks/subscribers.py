"""How fast a subscription reads, beside a bare loop over the same topic: ``python -m benchmarks.subscribers``.

The journal has changes of one size, of many applications in turn. A *bare* loop takes batches from a consumer with the
subscription's settings, and decodes every value. The subscription's caller does nothing. Each run is a process of its
own, both sides take turns, and the medians count; memory is the process' peak.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

import consolidator
from benchmarks.load.session import REPOSITORY, open_session, say
from benchmarks.report.machine import machine, versions
from consolidator.keys import change_key, partition_of
from consolidator.records import SourcePlace, decode_change
from consolidator.testing import encode, sample_change

PARTITIONS: Final = 4
APPLICATIONS: Final = 2_000
FACTORS: Final = 8
IN_A_TRANSACTION: Final = 5_000
LIMIT_S: Final = 600.0
VERSIONS: Final = ("consolidator", "Python", "Kafka", "confluent-kafka", "msgspec")


def fill(servers: str, prefix: str, changes: int) -> int:
    """Make the topics, and publish changes in transactions; return the bytes of a change."""
    admin = AdminClient({"bootstrap.servers": servers, "log_level": 2})
    names = [f"{prefix}{name}" for name in ("factors", "factor-changes")]
    settings = {"cleanup.policy": "compact", "message.timestamp.type": "LogAppendTime"}
    for made in admin.create_topics([NewTopic(name, PARTITIONS, 1, config=settings) for name in names]).values():
        made.result(LIMIT_S)
    factors = {f"f_factor_{number}": 1_000 * number + 1 for number in range(FACTORS)}
    applications = [f"application-{number}" for number in range(APPLICATIONS)]
    values = [encode(sample_change(one, factors=factors, version=SourcePlace(0, 1))) for one in applications]
    producer = Producer(
        {"bootstrap.servers": servers, "transactional.id": prefix, "linger.ms": 20, "compression.type": "lz4"}
    )
    producer.init_transactions(LIMIT_S)
    for first in range(0, changes, IN_A_TRANSACTION):
        producer.begin_transaction()
        for number in range(first, min(first + IN_A_TRANSACTION, changes)):
            one = number % APPLICATIONS
            key = change_key(applications[one], str(number))
            producer.produce(names[1], values[one], key, partition_of(applications[one], PARTITIONS))
        producer.commit_transaction(LIMIT_S)
    return len(values[0])


def bare(servers: str, prefix: str, changes: int) -> None:
    """Consume and decode, and nothing else."""
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "bare",
            "isolation.level": "read_committed",
            "auto.offset.reset": "error",
            "enable.auto.commit": False,
            "fetch.max.bytes": 16 * 1024 * 1024,
            "fetch.wait.max.ms": 100,
            "queued.max.messages.kbytes": 16_384,
            "fetch.queue.backoff.ms": 10,
        }
    )
    consumer.assign([TopicPartition(f"{prefix}factor-changes", partition, 0) for partition in range(PARTITIONS)])
    seen = 0
    while seen < changes:
        for message in consumer.consume(2_000, timeout=1.0):
            if message.error() is None:
                decode_change(message.value())
                seen += 1
    consumer.close()


def subscribed(servers: str, prefix: str, changes: int) -> None:
    """The subscription, whose caller does nothing."""
    seen = 0
    with consolidator.subscribe(servers, topic_prefix=prefix, start="beginning", until="caught-up") as subscription:
        for item in subscription:
            seen += isinstance(item, consolidator.Changed)
    assert seen == changes


SIDES = {"bare": bare, "subscription": subscribed}


def run_side(name: str, servers: str, prefix: str, changes: int) -> None:
    """One run, in this process; its figures are printed."""
    began, cpu_s = time.perf_counter(), time.process_time()
    SIDES[name](servers, prefix, changes)
    seconds, cpu_s = time.perf_counter() - began, time.process_time() - cpu_s
    peak_kib = int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
    figures = {"changes_a_second": changes / seconds, "changes_a_cpu_second": changes / cpu_s}
    print(json.dumps(figures | {"peak_mib": peak_kib // 1024}))


def measure(servers: str, prefix: str, changes: int, runs: int) -> list[dict[str, Any]]:
    """The medians of both sides, which take turns."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in SIDES}
    for _ in range(runs):
        for name, kept in found.items():
            command = [sys.executable, "-m", "benchmarks.subscribers", "--side", name, servers, prefix, str(changes)]
            done = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True, timeout=LIMIT_S)
            kept.append(json.loads(done.stdout))
            say(f"{name}: {done.stdout.strip()}")
    return [
        {"side": name} | {figure: round(statistics.median(one[figure] for one in kept)) for figure in kept[0]}
        for name, kept in found.items()
    ]


def main() -> None:
    """Measure; each run's figures as they come."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--changes", type=int, default=500_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the report for the page there")
    parser.add_argument("--side", nargs=4, metavar=("SIDE", "SERVERS", "PREFIX", "CHANGES"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        name, servers, prefix, changes = arguments.side
        run_side(name, servers, prefix, int(changes))
        return
    load = os.getloadavg()[0]
    with open_session() as session:
        prefix = f"{session.name}."
        size = fill(session.servers, prefix, arguments.changes)
        found = measure(session.servers, prefix, arguments.changes, arguments.runs)
    report = {
        "kind": "subscribers",
        "machine": machine(),
        "versions": {name: text for name, text in versions().items() if name in VERSIONS},
        "settings": {"changes": arguments.changes, "bytes": size, "runs": arguments.runs, "load": load},
        "sides": found,
    }
    text = json.dumps(report, indent=1)
    say(text)
    if arguments.json is not None:
        arguments.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
