"""How fast a sink catches up with Kafka, fetching included: ``python -m benchmarks.sink_kafka``.

A worker consolidates the workload on a real broker, and is stopped. Then ``consolidator sink run`` begins with an
empty database: the clock runs from the moment when it has a partition until its rows are where the worker was.
"""

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

from benchmarks.load.session import open_session, say
from benchmarks.sink import databases, report
from tests.databases.model import Model
from tests.inputs.design_workload import DESIGN_APPLICATIONS, DESIGN_EVENTS, design_workload
from tests.real_kafka.installation import Installation
from tests.real_kafka.worker_process import WorkerProcess

LIMIT_S = 900.0
POLL_S = 0.05


def caught_up(installation: Installation, name: str, url: str) -> dict[str, Any]:
    """One sink, from its first partition to its last row."""
    model = Model(installation, url)
    sink = model.start()
    sink.wait(lambda: sink.entries("partition taken over"), "a partition", limit_s=LIMIT_S)
    began = time.perf_counter()
    wanted = {partition: offset for partition, offset in installation.committed().items() if offset}
    while any(model.positions().get(partition, -1) < offset for partition, offset in wanted.items()):
        assert sink.exit_code is None, sink.tail()
        assert time.perf_counter() - began < LIMIT_S, sink.tail()
        time.sleep(POLL_S)
    seconds = time.perf_counter() - began
    [changes] = model.rows("SELECT COUNT(*) AS n FROM factor_changes")
    found = {
        "database": name,
        "events": sum(wanted.values()),
        "changes": changes["n"],
        "seconds": round(seconds, 2),
        "changes_a_second": round(changes["n"] / seconds),
        **_used(sink),
    }
    sink.stop()
    model.close()
    return found


def _used(sink: WorkerProcess) -> dict[str, Any]:
    """CPU seconds of a process, and its most memory."""
    fields = Path(f"/proc/{sink.pid}/stat").read_text().rpartition(")")[2].split()
    status = Path(f"/proc/{sink.pid}/status").read_text()
    return {
        "cpu_seconds": round((int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), 2),
        "peak_mib": int(status.partition("VmHWM:")[2].split()[0]) // 1024,
    }


def main() -> None:
    """Measure what was asked for; one JSON object a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=DESIGN_EVENTS)
    parser.add_argument("--databases", default="sqlite,postgresql")
    parser.add_argument("--json", type=Path, help="write the report for the page there")
    arguments = parser.parse_args()
    arguments.load = os.getloadavg()[0]
    applications = max(1_000, round(arguments.events * DESIGN_APPLICATIONS / DESIGN_EVENTS))
    with open_session() as session, databases(arguments.databases.split(",")) as urls:
        installation = Installation(session.servers, session.directory / "sink")
        installation.create_topics()
        worker = installation.start()
        installation.publish_messages(design_workload(arguments.events, applications))
        installation.wait_consumed(worker, limit_s=LIMIT_S)
        worker.stop()
        found = []
        for name, url in urls.items():
            found.append(caught_up(installation, name, url))
            say(json.dumps(found[-1]))
        installation.close()
    if arguments.json is not None:
        text = json.dumps(report("sink_kafka", arguments, found), indent=1)
        arguments.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
