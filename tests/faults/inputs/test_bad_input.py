"""Every kind of bad and odd input through a real worker, each between good events of one application and partition.

All tests but the last ones look at one run. What is bad becomes a dead letter with its reason, what is odd has a
defined result, and the neighbours are folded as the independent oracle says.
"""

import json
from collections import Counter
from dataclasses import dataclass

import pytest
from confluent_kafka import KafkaException

from consolidator.keys import event_key, partition_of
from tests.inputs.bad_inputs import BAD_INPUTS, BAD_KEY, CANARY, ODD_INPUTS
from tests.inputs.workloads import to_json
from tests.oracle.checker import Observed
from tests.real_kafka.foreign_producer import produce_with_header_name
from tests.real_kafka.installation import Installation
from tests.real_kafka.installed import installed
from tests.real_kafka.worker_process import WorkerProcess

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

PARTITIONS = 4
APPLICATION = "odd"
HOME = partition_of(APPLICATION, PARTITIONS)
ADDED_HEADERS = (
    "dlq_topic", "dlq_partition", "dlq_offset", "dlq_timestamp", "dlq_time", "dlq_key", "dlq_error_class",
    "dlq_error_message",
)  # fmt: skip
LEAST_KINDS = 60
EXIT_INFRASTRUCTURE = 3
EXIT_LIMIT_S = 150.0
"""librdkafka waits 30 s for a topic that went, and longer on a busy machine."""


@dataclass(frozen=True)
class Run:
    """A finished run."""

    installation: Installation
    worker: WorkerProcess
    observed: Observed


def neighbour(number):
    """A good event of the same application, in the same partition."""
    event = {
        "event_id": f"neighbour-{number}",
        "application_id": APPLICATION,
        "execution_id": f"neighbour-{number}",
        "processor": "bank_statement",
        "status": "failed" if number % 7 == 0 else "completed",
        "occurred_at": f"2025-03-03T09:{number // 60:02d}:{number % 60:02d}Z",
        "output": {"factors": {"f_revenue_monthly": 10_000 + number}},
    }
    if event["status"] == "failed":
        event["output"] = None
    return (event_key(APPLICATION, event["event_id"]), to_json(event), HOME), ()


def records():
    """Neighbour, case, neighbour, case, …, neighbour."""
    yield neighbour(0)
    number = 1
    for kind, bad in BAD_INPUTS.items():
        yield (BAD_KEY + kind.encode(), bad.value, HOME), bad.headers
        yield neighbour(number)
        number += 1
    for kind, odd in ODD_INPUTS.items():
        key = event_key(APPLICATION, f"odd-{kind}") if odd.key is None else odd.key
        yield (key, odd.value, HOME), odd.headers
        yield neighbour(number)
        number += 1


@pytest.fixture(scope="module")
def run(kafka, tmp_path_factory):
    with installed(kafka, tmp_path_factory.mktemp("bad-input"), CONSOLIDATOR_LOG_LEVEL="debug") as installation:
        installation.publish_with_headers(records())
        # Small batches: many of them begin or end with a bad record.
        worker = installation.start(CONSOLIDATOR_BATCH_EVENTS="7").wait_ready(PARTITIONS)
        installation.wait_consumed(worker)
        worker.stop()
        yield Run(installation, worker, installation.observe(state=installation.state_dir))


def test_the_laws_hold_and_the_neighbours_are_unharmed(run, conclude):
    """Changes, factors, state and dead letters are the oracle's; no kind of input is missing."""
    foreign = sum(odd.key is not None for odd in ODD_INPUTS.values())
    conclude(
        run.installation,
        scenario="bad input",
        fault=f"{len(BAD_INPUTS)} kinds of bad and {len(ODD_INPUTS)} of odd input between good events",
        held="the laws; dead letters carry the originals; the canary is in no log and no header",
        faults=len(BAD_INPUTS) + len(ODD_INPUTS),
        more={"kinds of bad input": len(BAD_INPUTS), "kinds of odd input": len(ODD_INPUTS)},
        observed=run.observed,
    )
    assert len(BAD_INPUTS) >= LEAST_KINDS
    assert len(run.observed.dead_letters) == len(BAD_INPUTS)
    neighbours = len(BAD_INPUTS) + len(ODD_INPUTS) + 1
    assert len(run.observed.source) == neighbours + len(BAD_INPUTS) + len(ODD_INPUTS) + foreign
    causes = Counter(json.loads(change.value)["cause"]["event_id"] for change in run.observed.changes)
    assert sum(name.startswith("neighbour-") for name in causes) == neighbours


@pytest.mark.parametrize("kind", BAD_INPUTS)
def test_bad_input_becomes_a_dead_letter(run, kind):
    """The original bytes, key and headers are kept, and ours say where it stood, when, and what is wrong with it."""
    bad = BAD_INPUTS[kind]
    [source] = [r for r in run.observed.source if r.key == BAD_KEY + kind.encode()]
    [letter] = [r for r in run.observed.dead_letters if ("dlq_key", source.key) in r.headers]
    assert letter.value == source.value == bad.value
    assert letter.partition == source.partition
    assert letter.key == f"{source.topic}/{source.partition}/{source.offset}".encode()
    assert list(letter.headers[: -len(ADDED_HEADERS)]) == list(source.headers) == list(bad.headers)
    added = letter.headers[-len(ADDED_HEADERS) :]
    assert tuple(name for name, _ in added) == ADDED_HEADERS
    ours = dict(added)
    assert ours["dlq_error_class"].decode() == bad.defect.value
    assert ours["dlq_error_message"]
    assert ours["dlq_topic"].decode() == source.topic
    assert (int(ours["dlq_partition"]), int(ours["dlq_offset"])) == (source.partition, source.offset)
    assert int(ours["dlq_timestamp"]) == source.timestamp_ms
    assert ours["dlq_time"].endswith(b"Z")


@pytest.mark.parametrize("kind", ODD_INPUTS)
def test_odd_input_has_its_defined_result(run, kind):
    """It is folded once, under its canonical key, with exactly its quality issues; its bytes and headers are kept."""
    odd = ODD_INPUTS[kind]
    canonical = event_key(APPLICATION, f"odd-{kind}")
    copies = [r for r in run.observed.source if r.value == odd.value]
    assert [r.key for r in copies] == ([canonical] if odd.key is None else [odd.key, canonical])
    assert {r.headers for r in copies} == {tuple(odd.headers)}
    changes = [json.loads(record.value) for record in run.observed.changes]
    [change] = [change for change in changes if change["cause"]["event_id"] == f"odd-{kind}"]
    assert change["cause"]["offset"] == copies[-1].offset
    issues = {(issue["issue"], issue.get("factor")) for issue in change["quality"]}
    assert issues == {(str(issue), factor) for issue, factor in odd.issues}


def test_the_canary_is_in_no_log_and_no_header_of_ours(run):
    """Values are in payloads only: in no log line at debug level and in no header that the worker wrote."""
    assert any(CANARY.encode() in (record.value or b"") for record in run.observed.dead_letters)
    assert '"debug"' in run.worker.log
    assert CANARY not in run.worker.log
    for topic_records in (run.observed.changes, run.observed.factors, run.observed.dead_letters):
        for record in topic_records:
            assert not [name for name, value in record.headers if CANARY.encode() in (value or b"")], record.offset


# -- a header's name


def test_a_header_name_that_is_no_text_does_not_stop_the_worker(installation):
    """Bytes that no UTF-8 is made of, as the name of a header: written out, and neither bad nor good events suffer."""
    servers = installation.variables["KAFKA_BOOTSTRAP_SERVERS"]
    topic = installation.topics.executions.name
    (_, good, _), _ = neighbour(2)
    installation.publish_with_headers([neighbour(1)])
    produce_with_header_name(servers, topic, (BAD_KEY, b"{", HOME), b"\xff\xfe")
    produce_with_header_name(servers, topic, (b"a stranger's", good, HOME), b"a\xff")
    installation.publish_with_headers([neighbour(3)])
    worker = installation.start().wait_ready(PARTITIONS)
    installation.wait_consumed(worker)
    worker.stop()
    observed = installation.observe(state=installation.state_dir)
    installation.report(observed).require()
    [letter] = observed.dead_letters
    assert letter.headers[0] == ("\\xff\\xfe", b"v")
    [copy] = [record for record in observed.source if record.key == event_key(APPLICATION, "neighbour-2")]
    assert (copy.value, copy.headers) == (good, (("a\\xff", b"v"),))


# -- the dead letters' topic cannot be written


@pytest.fixture
def at_work(installation):
    """A worker that has folded a good event and waits for more."""
    installation.publish_with_headers([neighbour(1)])
    worker = installation.start().wait_ready(PARTITIONS)
    installation.wait_consumed(worker)
    return installation, worker


def deny_by_size(installation):
    installation.alter_topic(installation.topics.dlq.name, "max.message.bytes", "100")


def deny_by_deletion(installation):
    installation.delete_topic(installation.topics.dlq.name)


@pytest.mark.parametrize("deny", [deny_by_size, deny_by_deletion])
def test_without_the_dead_letter_topic_the_worker_stops(at_work, deny):
    """Exit code 3, and nothing of the batch took effect; with the topic mended, a restart does all of it."""
    installation, worker = at_work
    deny(installation)
    before = installation.committed()
    changes = installation.read(installation.topics.factor_changes.name, settled=False)
    installation.publish_with_headers([neighbour(2), ((BAD_KEY, b"{", HOME), ()), neighbour(3)])
    assert worker.wait_exit(limit_s=EXIT_LIMIT_S) == EXIT_INFRASTRUCTURE
    assert "nothing was acknowledged" in worker.log
    # The good event before the bad one may have been a batch of its own, in the transaction before.
    assert installation.committed()[HOME] <= before[HOME] + 2
    assert len(installation.read(installation.topics.factor_changes.name, settled=False)) <= len(changes) + 1
    mend(installation)
    second = installation.start().wait_ready(PARTITIONS)
    installation.wait_consumed(second)
    second.stop()
    installation.check_laws(state=installation.state_dir)


def mend(installation):
    try:
        declared = installation.topics.dlq.config["max.message.bytes"]
        installation.alter_topic(installation.topics.dlq.name, "max.message.bytes", declared)
    except KafkaException:
        installation.create_topics()
