"""A worker's log on a terminal: whatever producers write into ids, codes and names, it steers nothing."""

import unicodedata

import pytest

from tests.inputs.workloads import to_json
from tests.real_kafka.installation import LIMIT_S

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

STEERING = ["\x1b]0;owned\x07", "\x9b2J", "\u202e\u2066", "\u2028", "\r\n2026-01-01T00:00:00Z [info] forged"]


@pytest.mark.parametrize("form", ["text", "json"])
def test_nothing_that_a_producer_writes_steers_a_terminal(installation, form):
    """Ids, codes, processors, factors' names, keys of bad records; each is said, and escaped."""
    installation.variables["CONSOLIDATOR_LOG_FORMAT"] = form
    worker = installation.start()
    worker.wait(lambda: "partitions ready" in worker.log, "the worker to be ready", limit_s=LIMIT_S)
    for number, foreign in enumerate(STEERING):
        name = f"canary-{number}{foreign}"
        common = {"application_id": name, "execution_id": name, "occurred_at": "2026-03-01T10:00:00Z"}
        failed = common | {"processor": name, "status": "failed", "error": {"code": name, "message": name}}
        odd = common | {"processor": "bank_statement", "status": "completed", "output": {"factor": {name: 1}}}
        bad = common | {"processor": name, "status": name, "event_id": name}
        installation.publish_raw(
            [(f"{name}-{kind}".encode(), to_json(event), 0) for kind, event in enumerate((failed, odd, bad))]
        )
    installation.wait_consumed(worker)
    worker.stop()
    # As it was written: Python would take a carriage return for the end of a line.
    log = worker._log.read_bytes().decode()
    assert all(log.count(f"canary-{number}") >= 4 for number in range(len(STEERING)))
    found = {one for one in log if one != "\n" and unicodedata.category(one) in {"Cc", "Cf", "Cs", "Zl", "Zp"}}
    assert found == set()
    assert "\n2026-01-01T00:00:00Z" not in log
