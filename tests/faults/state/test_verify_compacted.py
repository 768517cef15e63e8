"""A verification after Kafka's cleaner was there: what it cannot know is counted, and nothing is called different."""

import json

import pytest
from click.testing import CliRunner

from consolidator.keys import parse_event_key, partition_of
from streams.cli.main import cli
from tests.inputs.workloads import Rates, believable, parse_json
from tests.oracle.expected import Tombstone
from tests.real_kafka.worker_process import wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

COMPACTED_AT_ONCE = {"segment.ms": "100", "min.cleanable.dirty.ratio": "0.01"}
COMPACTION_LIMIT_S = 90.0
PLAIN = Rates(duplicate=0.0, missing_event_id=0.0)


def consolidate(installation, items):
    installation.publish(items)
    worker = installation.start().wait_ready(installation.partitions)
    installation.wait_consumed(worker)
    worker.stop()


def pair_of(change):
    return change["application_id"], change["processor"]


def place_of(change):
    return change["version"]["partition"], change["version"]["offset"]


def test_changes_whose_causes_are_gone_are_unverifiable_and_never_equal(eager_installation):
    """Without a first copy its pair's later changes are unverifiable, all others equal, and all factors as before."""
    installation = eager_installation
    source = installation.topics.executions.name
    events = believable(151, 60, rates=PLAIN)
    consolidate(installation, events)
    published = [parse_json(r.value) for r in installation.read(installation.topics.factor_changes.name)]
    names = sorted({event["application_id"] for event in events})
    again = [event for event in events if event["application_id"] in names[::3]]
    erased = next(change for change in published if change["application_id"] == names[1])
    tombstone = Tombstone(erased["application_id"], erased["cause"]["event_id"])
    first = {
        (record.partition, record.offset)
        for record in installation.read(source)
        if (identity := parse_event_key(record.key)) is not None
        and (identity[0] in names[::3] or identity == (tombstone.application_id, tombstone.event_id))
    }
    consolidate(installation, [*again, tombstone])
    for setting, value in COMPACTED_AT_ONCE.items():
        installation.alter_topic(source, setting, value)
    rolling = list({partition_of(event["application_id"], installation.partitions): event for event in again}.values())
    assert len(rolling) == installation.partitions

    def compacted():
        # A segment is rolled, and may be cleaned, when something is written after its time: copies again.
        installation.publish(rolling)
        return not first & {(record.partition, record.offset) for record in installation.read(source)}

    wait_until(compacted, "the first copies to be gone", limit_s=COMPACTION_LIMIT_S)
    consolidate(installation, [])
    result = CliRunner(env=installation.variables).invoke(
        cli, ["replay", "--verify", "--format", "json"], catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    [summary] = map(json.loads, result.stdout.splitlines())
    changes = [parse_json(r.value) for r in installation.read(installation.topics.factor_changes.name)]
    there = {(record.partition, record.offset) for record in installation.read(source)}
    since = {}
    for change in changes:
        if place_of(change) not in there:
            since.setdefault(pair_of(change), place_of(change))
    unverifiable = sum(pair_of(one) in since and place_of(one) >= since[pair_of(one)] for one in changes)
    assert summary["factor_changes"]["unverifiable"] == unverifiable > 0
    assert summary["factor_changes"]["equal"] == len(changes) - unverifiable > 0
    assert summary["factors"]["equal_in_content"] == len(since)
    assert summary["factors"]["equal"] == len({pair_of(one) for one in changes}) - len(since)
    gone = {place_of(one) for one in changes} - there
    for partition in summary["partitions"]:
        offsets = [offset for part, offset in gone if part == partition["partition"]]
        assert partition["complete_from"] == max(offsets, default=-1) + 1
