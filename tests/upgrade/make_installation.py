"""Makes an installation as an earlier commit leaves it, for the tests that take it over with today's code.

It knows nothing of the code but the command line, so that it runs against any commit that has the commands::

    git worktree add ../old d333f77      # and an environment in which that checkout is installed
    python -m tests.upgrade.make_installation --consolidator ../old/.venv/bin/consolidator --commit d333f77 \
        tests/upgrade/d333f77.tar.xz

What comes out is the state directory itself, packed: the embedded broker's data (every log segment, the group's
offsets, transactions, topic ids) and the workers' databases; besides them the catalogues, an evidence directory, what
that commit itself said of it all (``verification.jsonl``, ``factors.jsonl``), and ``about.json``.

The installation has seen: two workers, of which one left and has its databases still; events under foreign keys and on
foreign partitions; dead letters, one of them redriven; tombstones, canonical, foreign and unreadable ones; an erased
application with a late event, and one whose erasure was lifted; a worker killed in the middle of a transaction, which
is aborted; another ruleset, adopted; failures, retries, supersessions; and events that nobody has consolidated yet.
The applications ``verdict-…`` have one event each of which later verdicts may differ.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition

APP_ID = "consolidator"
PARTITIONS = 2
LIMIT_S = 60.0

ERASED, LIFTED = "app-erased", "app-lifted"
SECRET = 4_204_170_815
"""A factor's value in every event of :data:`ERASED`, and nowhere else."""

NOT_KEPT = ("ports.json", "server.properties", "broker.pid", "broker.log", "start.lock", "lock", "LOG", "cache")
"""Files of one run, by name; the ports, for one, are chosen anew."""

FACTORS = {
    "bank_statement": {"f_revenue_monthly": 10_000},
    "credit_check": {"f_credit_score": 710},
    "drivers_license": {"f_license_verified": True},
    "device_fingerprint": {"f_device": "tablet", "f_risk": 0.25},
}

CATALOGUE: dict[str, Any] = {
    "schema_version": 1,
    "name": "upgrade",
    "version": "1",
    "processors": {
        "bank_statement": {
            "type": "document",
            "factors": {
                "f_revenue_monthly_avg": {"reducer": "mean", "field": "f_revenue_monthly", "scale": 2},
                "f_months_analyzed": {"reducer": "count", "field": "f_revenue_monthly"},
            },
        },
        "credit_check": {
            "type": "application",
            "factors": {"f_credit_score": {"reducer": "latest", "field": "f_credit_score"}},
        },
        "drivers_license": {
            "type": "document",
            "factors": {"f_verified": {"reducer": "count_true", "field": "f_license_verified"}},
        },
    },
}
NEXT_CATALOGUE: dict[str, Any] = {
    **CATALOGUE,
    "version": "2",
    "processors": {
        "bank_statement": {
            "type": "document",
            "factors": {
                "f_revenue_monthly_avg": {"reducer": "max", "field": "f_revenue_monthly", "scale": 2},
                "f_revenue_first": {"reducer": "earliest", "field": "f_revenue_monthly"},
            },
        },
        "credit_check": CATALOGUE["processors"]["credit_check"],
    },
}

Event = dict[str, Any]


def event(application: str, number: int, status: str = "completed", **more: Any) -> Event:
    """An event of an application; its time is computed from its number."""
    processor = more.setdefault("processor", sorted(FACTORS)[number % len(FACTORS)])
    found = {
        "event_id": f"{application}-{number}-{status}",
        "application_id": application,
        "execution_id": f"e{number // 3}",
        "status": status,
        "occurred_at": f"2026-03-{1 + number % 28:02d}T{number % 24:02d}:{number % 60:02d}:00Z",
    } | more
    if status == "completed" and "output" not in found:
        found["output"] = {"factors": dict(FACTORS.get(processor, {}))}
    if status == "failed":
        found.setdefault("error", {"code": f"CODE_{number % 3}", "message": "no"})
    return found


def part(number: int) -> list[Event]:
    """One part of the ordinary load: twelve applications, executions that succeed, fail, are retried and replaced."""
    found = []
    for application in (f"app-{number}-{letter}" for letter in "abcdefghijkl"):
        for processor in FACTORS:
            for execution in range(3):
                one = number * 10 + execution * 3 + len(found) % 2
                more = {"processor": processor, "execution_id": f"{processor}-{execution}"}
                found.append(event(application, one, "requested", **more))
                ended = "failed" if (len(found) // 2) % 3 == 0 else "completed"
                found.append(event(application, one, ended, **more))
        found.append(event(application, 90, "failed", attempt=2, execution_id="bank_statement-0"))
        found.append(event(application, 91, execution_id="again", supersedes="bank_statement-1"))
        found.append(event(application, 92, "cancelled", execution_id="bank_statement-2"))
    return found


def verdicts() -> list[tuple[str, bytes]]:
    """Events that are legal, or not, by rules that later commits may change: a name, and the value."""

    def written(name: str, **more: Any) -> bytes:
        return encoded(event(f"verdict-{name}", 1, **({"processor": "bank_statement"} | more)))

    def with_revenue(name: str, number: str) -> bytes:
        return written(name, output={"factors": {"f_revenue_monthly": "here"}}).replace(b'"here"', number.encode())

    return [
        ("factor", written("factor", output={"factor": {"f_revenue_monthly": 7}})),
        ("outputs", written("outputs", outputs={"factors": {"f_revenue_monthly": 7}}, output=None)),
        ("top-level", written("top-level", factors={"f_revenue_monthly": 7}, output=None)),
        ("undeclared", written("undeclared", output={"factors": {"f_other": 7}})),
        ("near-processor", written("near-processor", processor="Bank_Statement")),
        ("1e38", with_revenue("1e38", "1e38")),
        ("1-and-38-zeros", with_revenue("1-and-38-zeros", "1" + "0" * 38)),
        ("0e400", with_revenue("0e400", "0e400")),
        ("1.0e-38", with_revenue("1.0e-38", "1.0e-38")),
        ("leap-second", written("leap-second", occurred_at="2016-12-31T23:59:60Z")),
        ("data-base64", b'{"specversion":"1.0","id":"1","source":"/s","type":"t","data_base64":"e30="}'),
        ("long-application", written("long-application", application_id="verdict-" + "v" * 600)),
        ("long-supersedes", written("long-supersedes", supersedes="v" * 600)),
        ("long-event-id", written("long-event-id", event_id="v" * 600)),
        ("long-execution-id", written("long-execution-id", execution_id="v" * 600)),
        ("long-processor", written("long-processor", processor="v" * 300, output={"factors": {"f": 1}})),
        ("long-code", written("long-code", status="failed", error={"code": "v" * 300})),
        ("trailing-space", written("trailing-space", execution_id="e1 ")),
    ]


BAD = (
    b"",
    b"\xff\xfe",
    b"{",
    b"[1]",
    b'{"application_id":"app-bad","status":"exploded"}',
    b'{"application_id":"app-bad","application_id":"app-bad"}',
)


def encoded(one: Event) -> bytes:
    """An event as JSON."""
    return json.dumps(one, ensure_ascii=False).encode()


class Maker:
    """Runs the commands of one environment against one state directory.

    Args:
        consolidator: the program.
        directory: everything is made below it.
        jars: a state directory whose downloaded jars are used.
    """

    def __init__(self, consolidator: Path, directory: Path, jars: Path) -> None:
        self._program = str(consolidator)
        self.state = directory / "state"
        self.state.mkdir()
        (self.state / "cache").symlink_to(jars / "cache")
        self.files = directory
        self._logs = directory / "logs"
        self._logs.mkdir()
        self.settings = {
            "CONSOLIDATOR_STATE_DIR": str(self.state),
            "CONSOLIDATOR_APP_ID": APP_ID,
            "CONSOLIDATOR_PARTITIONS": str(PARTITIONS),
            "CONSOLIDATOR_CATALOGUE": str(self._catalogue("catalogue.json", CATALOGUE)),
            "CONSOLIDATOR_SESSION_TIMEOUT_S": "3",
        }
        self.next_catalogue = self._catalogue("next-catalogue.json", NEXT_CATALOGUE)

    def _catalogue(self, name: str, catalogue: Mapping[str, Any]) -> Path:
        path = self.files / name
        path.write_text(json.dumps(catalogue, indent=1), encoding="utf-8")
        return path

    def run(self, *arguments: str, **settings: str) -> str:
        """Run a command; return its output."""
        done = subprocess.run(
            [self._program, *arguments],
            env=os.environ | self.settings | settings,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"{arguments}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def connect(self) -> None:
        """Start the broker and make the topics."""
        servers = json.loads(self.run("broker", "start", "--format", "json"))["bootstrap_servers"]
        config = {"bootstrap.servers": servers}
        self._producer = Producer(config | {"enable.idempotence": True})
        self._consumer = Consumer(config | {"group.id": APP_ID, "enable.auto.commit": False})
        self.run("topics", "apply")

    @contextmanager
    def worker(self, *, how: signal.Signals | None = signal.SIGTERM, **settings: str) -> Iterator[None]:
        """Run a worker during this context, and stop it at the end; None: it ends by itself."""
        number = len(list(self._logs.iterdir()))
        with (self._logs / f"worker-{number}.log").open("wb") as log:
            process = subprocess.Popen(
                [self._program, "run"], env=os.environ | self.settings | settings, stdout=log, stderr=log
            )
            try:
                yield
                if how is not None:
                    process.send_signal(how)
                process.wait(LIMIT_S)
            finally:
                process.kill()

    def publish(self, events: Iterable[Event]) -> None:
        """Publish as the command does: under canonical keys."""
        path = self.files / "events.jsonl"
        path.write_bytes(b"".join(encoded(one) + b"\n" for one in events))
        self.run("publish", str(path))
        path.unlink()

    def produce(self, key: bytes, value: bytes | None, partition: int | None = None) -> None:
        """Publish a record as it is. By default librdkafka chooses the partition, which is rarely the canonical one."""
        where = {} if partition is None else {"partition": partition}
        self._producer.produce("executions", value, key, headers=[("trace", b"1"), ("none", None)], **where)
        self._producer.flush(LIMIT_S)

    def wait_consumed(self) -> None:
        """Wait until the group has committed the whole source, markers at its end included."""
        wait_until(lambda: self._lag() == 0, "the workers to be through")

    def _lag(self) -> int:
        places = [TopicPartition("executions", partition) for partition in range(PARTITIONS)]
        committed = self._consumer.committed(places, timeout=LIMIT_S)
        return sum(end - max(place.offset, 0) for place, end in zip(committed, self.ends(), strict=True))

    def ends(self, topic: str = "executions") -> list[int]:
        """The end of each partition."""
        places = [TopicPartition(topic, partition) for partition in range(PARTITIONS)]
        return [self._consumer.get_watermark_offsets(place, timeout=LIMIT_S)[1] for place in places]

    def close(self) -> None:
        """Stop the broker."""
        self._consumer.close()
        self.run("broker", "stop")


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Poll until a condition is true."""
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"waited {LIMIT_S} s for {what}")
        time.sleep(0.1)


def make(maker: Maker, commit: str) -> dict[str, Any]:
    """Make the installation; return its description.

    1. Two workers: good, foreign and bad events, tombstones.
    2. One worker: an erasure, one that is lifted again, a redrive.
    3. A worker is killed in the middle of a transaction.
    4. A worker adopts another ruleset.
    5. Save this commit's own results; then publish events that no worker consolidates.
    """
    maker.connect()
    # 1.
    with maker.worker(), maker.worker():
        slots = [maker.state / APP_ID / f"worker-{number}" for number in range(2)]
        wait_until(lambda: all(any(slot.rglob("*.db")) for slot in slots), "each worker to have a partition")
        maker.publish(part(0))
        for name, value in verdicts():
            maker.produce(f"verdict-{name}".encode(), value)
        for number, one in enumerate(part(1)[::7]):
            foreign = one | {"application_id": f"foreign-{number % 5}", "event_id": f"foreign-{number}"}
            maker.produce(b"key-%d" % number, encoded(foreign), number % PARTITIONS)
        for number, value in enumerate(BAD):
            maker.produce(b"bad-%d" % number, value, number % PARTITIONS)
        erased_event = part(0)[7]
        key = f"{erased_event['application_id']}/{erased_event['event_id']}".encode()
        for partition in range(PARTITIONS):
            maker.produce(key, None, partition)
        maker.produce(b"not-canonical", None, 0)
        maker.publish([event(ERASED, n, output={"factors": {"f_revenue_monthly": SECRET}}) for n in range(1, 6)])
        maker.publish([event(LIFTED, n) for n in range(1, 6)])
        maker.wait_consumed()
    # 2.
    with maker.worker():
        maker.run("erase", ERASED, "--yes")
        maker.publish([event(ERASED, 7, output={"factors": {"f_revenue_monthly": SECRET}})])
        maker.wait_consumed()
        maker.run("erase", LIFTED, "--yes")
        maker.run("erase", LIFTED, "--lift", "--yes")
        maker.publish([event(LIFTED, 8), event(LIFTED, 9, "failed")])
        maker.run("dlq", "redrive", "--reason", "unknown_status", "--yes")
        maker.publish(part(1))
        maker.wait_consumed()
    # 3.
    maker.publish(part(2))
    with maker.worker(how=None, CONSOLIDATOR_FAILPOINT="produced:kill:1"):
        pass
    # 4.
    over = {"CONSOLIDATOR_CATALOGUE": str(maker.next_catalogue)}
    with maker.worker(CONSOLIDATOR_ADOPT_RULESET=f"{CATALOGUE['name']}/2", **over):
        maker.wait_consumed()
        maker.publish(part(3))
        maker.wait_consumed()
    # 5.
    ends = maker.ends()
    for name, arguments in {
        "verification.jsonl": ["replay", "--verify", "--format", "json"],
        "factors.jsonl": ["replay", "--format", "json"],
        "dead-letters.jsonl": ["dlq", "list", "--format", "json"],
    }.items():
        (maker.files / name).write_text(maker.run(*arguments, **over), encoding="utf-8")
    told = maker.run("evidence", "app-0-a", "--out", str(maker.files / "evidence"), "--format", "json", **over)
    maker.publish(part(4))
    about = _about(maker, commit) | {"consolidated_to": ends, "seal": json.loads(told)["seal"]}
    maker.close()
    return about


def _about(maker: Maker, commit: str) -> dict[str, Any]:
    settings = {name: value for name, value in maker.settings.items() if name != "CONSOLIDATOR_STATE_DIR"}
    return {
        "commit": commit,
        "made_at": int(time.time()),
        "settings": settings | {"CONSOLIDATOR_CATALOGUE": maker.next_catalogue.name},
        "ends": maker.ends(),
        "changelog_ends": maker.ends(f"{APP_ID}-consolidation-changelog"),
        "verdicts": {name: value.decode() for name, value in verdicts()},
    } | {"erased": ERASED, "lifted": LIFTED, "secret": SECRET}


def packed(directory: Path, target: Path, about: Mapping[str, Any]) -> None:
    """Pack the installation, without files that belong to one run."""
    (directory / "about.json").write_text(json.dumps(about, indent=1), encoding="utf-8")
    shutil.rmtree(directory / "logs")

    def kept(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        name = Path(member.name).name
        if name in NOT_KEPT or name.startswith("LOG.old"):
            return None
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        return member

    with tarfile.open(target, "w:xz", preset=9) as archive:
        for path in sorted(directory.iterdir()):
            archive.add(path, path.name, filter=kept)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--consolidator", type=Path, required=True, help="the program of that commit's environment")
    parser.add_argument("--commit", required=True, help="for about.json")
    parser.add_argument("--jars", type=Path, default=Path("~/.local/state/consolidator"), help="with a cache of jars")
    parser.add_argument("target", type=Path, help="the .tar.xz to write")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        maker = Maker(arguments.consolidator.absolute(), Path(directory), arguments.jars.expanduser().absolute())
        try:
            about = make(maker, arguments.commit)
        except BaseException:
            maker.run("broker", "stop")
            raise
        packed(Path(directory), arguments.target, about)


if __name__ == "__main__":
    main()
