"""Steps of the tests about dead letters: publish events that become dead letters, run a worker, run the commands."""

import json
from collections import Counter

import pytest
from click.testing import CliRunner

from consolidator.keys import event_key, partition_of
from models.errors import ContractError
from streams.cli.main import cli
from tests.inputs.bad_inputs import BAD_KEY
from tests.inputs.workloads import to_json

__all__ = [
    "HEADERS",
    "SMALL",
    "large",
    "listed",
    "place_of",
    "publish_bad",
    "publish_large",
    "redriven",
    "refusal",
    "run",
    "source_records",
    "work",
]

SMALL = {"CONSOLIDATOR_MAX_EVENT_BYTES": "1024"}
"""Under this limit an event with 2,000 characters more is a dead letter, and without it a good one."""

HEADERS = [("traceparent", b"00-1"), ("traceparent", b"00-2"), ("binary", b"\x00\xff"), ("none", None)]


def large(application, **more):
    return {
        "event_id": f"{application}-1",
        "application_id": application,
        "execution_id": "e1",
        "processor": "bank_statement",
        "status": "completed",
        "occurred_at": "2025-03-03T09:00:00Z",
        "output": {"factors": {"f_revenue_monthly": 10}},
        "padding": "x" * 2_000,
    } | more


def publish_large(installation, *applications):
    """Events that are good under the usual limit, under their canonical keys."""
    installation.publish_raw(
        (
            (event_key(name, f"{name}-1"), to_json(large(name)), partition_of(name, installation.partitions))
            for name in applications
        ),
        headers=HEADERS,
    )


def publish_bad(installation, *values, partition=0):
    installation.publish_raw(((BAD_KEY + b"%d" % n, value, partition) for n, value in enumerate(values)))


def work(installation, **variables):
    """Let a worker fold all published events."""
    worker = installation.start(**variables).wait_ready(installation.partitions)
    installation.wait_consumed(worker)
    worker.stop()


def run(installation, *arguments, exit_code=0):
    """Run ``consolidator dlq``; return its result."""
    result = CliRunner(env=installation.variables).invoke(cli, ["dlq", *arguments], catch_exceptions=False)
    assert result.exit_code == exit_code, result.output
    return result


def refusal(installation, *arguments):
    """The message if nothing is done."""
    with pytest.raises(ContractError) as caught:
        run(installation, *arguments)
    return str(caught.value)


def listed(installation, *arguments):
    return [json.loads(line) for line in run(installation, "list", "--format", "json", *arguments).stdout.splitlines()]


def redriven(installation, *arguments):
    """The letters of a redrive, by action."""
    lines = run(installation, "redrive", "--format", "json", *arguments).stdout.splitlines()
    return Counter(json.loads(line)["action"] for line in lines)


def place_of(letter):
    return f"{letter['dlq']['partition']}:{letter['dlq']['offset']}"


def source_records(installation, *, settled=True):
    """Sorted, as a reader meets the partitions in any order."""
    return sorted(
        installation.read(installation.topics.executions.name, settled=settled), key=lambda r: (r.partition, r.offset)
    )
