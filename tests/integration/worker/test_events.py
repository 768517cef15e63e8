"""What one worker makes of events: the mission's scenarios, foreign producers, erasures, bad input.

All tests look at one run: a story is published, a worker folds it and stops, everything is read once.
"""

import json
from collections import Counter
from dataclasses import dataclass

import pytest
from confluent_kafka import KafkaError, Producer

from consolidator.keys import event_key, parse_event_key, partition_of
from tests.inputs.bad_inputs import BAD_INPUTS, BAD_KEY, CANARY
from tests.inputs.workloads import Rates, believable, to_json
from tests.oracle.checker import Observed
from tests.oracle.expected import Tombstone
from tests.real_kafka.installation import LIMIT_S, Installation
from tests.real_kafka.installed import installed
from tests.real_kafka.worker_process import WorkerProcess

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

PARTITIONS = 4
CANARY_NUMBER = 918_273_645_546
NEIGHBOUR = "neighbour"
HEADERS = [("traceparent", b"00-1"), ("traceparent", b"00-2"), ("binary", b"\x00\xff"), ("none", None)]
STRANGER_HEADERS = [("from", b"a stranger")]

SCENARIOS = {
    "bank_statement": [{"f_revenue_monthly": 10000}, None, {"f_revenue_monthly": 12000}],
    "credit_check": [None, None],
    "drivers_license": [{"f_license_verified": True}, None, {"f_license_verified": True}],
}


@dataclass(frozen=True)
class Story:
    """A finished run."""

    installation: Installation
    worker: WorkerProcess
    observed: Observed
    strangers: int


def event(application, execution, processor, factors, second=0, **more):
    """An event with an id of its own; factors None: it failed."""
    end = {"status": "completed", "output": {"factors": factors}}
    failure = {"status": "failed", "error": {"code": "TIMEOUT", "message": CANARY}}
    return {
        "event_id": f"{application}-{execution}",
        "application_id": application,
        "execution_id": execution,
        "processor": processor,
        "occurred_at": f"2025-03-03T09:00:{second:02d}Z",
        **(failure if factors is None else end),
        **more,
    }


def scenario_events():
    return [
        event("scenario", f"{processor}-{number}", processor, factors, number)
        for processor, outputs in SCENARIOS.items()
        for number, factors in enumerate(outputs)
    ]


def bad_and_good():
    """Each bad record between good ones of the same partition."""
    home = partition_of(NEIGHBOUR, PARTITIONS)
    for number, (kind, bad) in enumerate(BAD_INPUTS.items()):
        good = event(NEIGHBOUR, f"e{number}", "device_fingerprint", {"f_device": f"{CANARY}-{number}"}, number % 60)
        yield event_key(NEIGHBOUR, good["event_id"]), to_json(good), home
        yield BAD_KEY + kind.encode(), bad.value, home


def strange_records():
    """What producers send that know nothing of us: (key, value), no headers, librdkafka's own partitioner."""
    by_application = [
        event(f"stranger-{n}", "e1", "bank_statement", {"f_revenue_monthly": n}) | {"ignored": [1, {"a": None}]}
        for n in range(20)
    ]
    nameless = [{name: value for name, value in found.items() if name != "event_id"} for found in by_application[:5]]
    for number, found in enumerate(nameless):
        found["application_id"] = f"nameless-{number}"
    structured = {
        "specversion": "1.0",
        "id": "1",
        "type": "t",
        "source": "/s",
        "data": event("cloud", "e1", "p", {"f": 1}),
    }
    yield from ((found["application_id"].encode(), to_json(found)) for found in by_application + nameless)
    yield b"cloud", to_json(structured)
    yield b"\x00\xff random", to_json(event("random/key", "e1", "p", {"f": 1}))
    yield b"not/its", to_json(event("50%/50%", "e1", "p", {"f": 1}))


def publish_strangers(installation):
    producer = Producer(installation.config)
    records = list(strange_records())
    for key, value in records:
        producer.produce(installation.topics.executions.name, value, key)
    assert producer.flush(LIMIT_S) == 0
    return len(records)


def misplaced():
    """Canonical keys in a wrong partition: an event, and the erasure of another one, which was published before."""
    astray = event("astray", "e1", "bank_statement", {"f_revenue_monthly": 5})
    yield (
        event_key("astray", astray["event_id"]),
        to_json(astray),
        (partition_of("astray", PARTITIONS) + 1) % PARTITIONS,
    )
    yield event_key("erased", "erased-e2"), None, (partition_of("erased", PARTITIONS) + 1) % PARTITIONS


def publish_in_transactions(installation):
    """One event in a transaction that is aborted, then one in a transaction that is committed."""
    producer = Producer(installation.config | {"transactional.id": f"{installation.name}-source"})
    producer.init_transactions(LIMIT_S)
    for execution, end in (("aborted", producer.abort_transaction), ("committed", producer.commit_transaction)):
        found = event("transactional", execution, "bank_statement", {"f_revenue_monthly": 1})
        producer.begin_transaction()
        key = event_key("transactional", found["event_id"])
        producer.produce(
            installation.topics.executions.name, to_json(found), key, partition_of("transactional", PARTITIONS)
        )
        producer.flush(LIMIT_S)
        end(LIMIT_S)


def ordinary_events():
    yield from scenario_events()
    yield from believable(21, 60, rates=Rates(erased=0.02, missing_event_id=0.0))
    yield event("erased", "e1", "bank_statement", {"f_revenue_monthly": 10})
    yield event("erased", "e2", "bank_statement", {"f_revenue_monthly": 20}, 1)
    yield event("canary", "e1", "bank_statement", {"f_revenue_monthly": CANARY_NUMBER})
    yield event("canary", "e2", "proof_of_income", {"f_income_monthly": CANARY_NUMBER})
    yield event("canary", "e3", "proof_of_income", {"f_income_monthly": CANARY})
    # One execution more than a row can hold.
    for number in range(2_001):
        yield event("full", f"e{number:04d}", "tax_return", {}) | {"status": "requested"}


@pytest.fixture(scope="module")
def story(kafka, tmp_path_factory):
    with installed(kafka, tmp_path_factory.mktemp("events")) as installation:
        installation.publish(ordinary_events())
        strangers = publish_strangers(installation)
        strangers += installation.publish_raw(misplaced(), headers=STRANGER_HEADERS)
        installation.publish_raw(bad_and_good(), headers=HEADERS)
        publish_in_transactions(installation)
        worker = installation.start().wait_ready(PARTITIONS)
        installation.wait_consumed(worker)
        worker.stop()
        yield Story(installation, worker, installation.observe(state=installation.state_dir), strangers)


def values_of(records, application, processor):
    """The published values of one pair, in order."""
    parsed = [json.loads(record.value) for record in records]
    return [v for v in parsed if (v["application_id"], v["processor"]) == (application, processor)]


def test_every_law_holds(story):
    """Changes, factors, dead letters, changelog and RocksDB are the oracle's, erasures and strangers included."""
    story.installation.report(story.observed).require()


@pytest.mark.parametrize(
    ("processor", "factors", "outcome", "counts"),
    [
        ("bank_statement", '{"f_months_analyzed":2,"f_revenue_monthly_avg":11000}', "partial", (3, 2, 1, 2)),
        ("credit_check", "{}", "cleared", (2, 0, 2, 0)),
        ("drivers_license", '{"f_total_licenses_processed":2,"f_verified_licenses_count":2}', "partial", (3, 2, 1, 2)),
    ],
)
def test_the_missions_scenarios_are_exact_in_both_topics(story, processor, factors, outcome, counts):
    """The factors topic and the last change have the mission's numbers, to the letter."""
    for records in (story.observed.factors, story.observed.changes):
        raw = [r.value for r in records if json.loads(r.value)["application_id"] == "scenario"]
        last = [value for value in raw if f'"processor":"{processor}"'.encode() in value][-1]
        assert f'"factors":{factors},'.encode() in last
        found = json.loads(last)
        assert found["outcome"] == outcome
        assert tuple(found["executions"][name] for name in ("active", "completed", "failed", "contributing")) == counts


def test_a_second_failure_leaves_its_trace(story):
    """Two failed credit checks are two changes, neither of which changes a factor."""
    changes = values_of(story.observed.changes, "scenario", "credit_check")
    assert [(change["previous_outcome"], change["outcome"], change["changed"]) for change in changes] == [
        ("not_attempted", "cleared", []),
        ("cleared", "cleared", []),
    ]


def test_what_is_published_are_cloudevents(story):
    """Changes and factors carry the binary-mode headers, with the change's id and the application as subject."""
    for records, kind in ((story.observed.changes, "factor-change"), (story.observed.factors, "factors")):
        for record in records:
            headers = dict(record.headers)
            assert headers["ce_specversion"] == b"1.0"
            assert headers["ce_type"] == f"consolidator.{kind}.v1".encode()
            assert headers["ce_subject"].decode() == json.loads(record.value)["application_id"]
    changes = story.observed.changes
    assert {dict(r.headers)["ce_id"] for r in changes} == {json.loads(r.value)["id"].encode() for r in changes}


def test_a_public_producers_events_are_consolidated(story):
    """Plain JSON under the producer's own key and partitioner counts like any other event."""
    for number in range(20):
        [factors] = values_of(story.observed.factors, f"stranger-{number}", "bank_statement")
        assert factors["factors"] == {"f_months_analyzed": 1, "f_revenue_monthly_avg": number}
    for application, processor in (
        ("nameless-4", "bank_statement"),
        ("cloud", "p"),
        ("random/key", "p"),
        ("50%/50%", "p"),
    ):
        assert len(values_of(story.observed.factors, application, processor)) == 1, application


def test_a_foreign_record_is_republished_exactly_once(story):
    """The source has one canonical record more for each foreign one, and nothing else besides what was published."""
    copies = Counter((r.value, r.key if r.value is None else None) for r in story.observed.source)
    foreign = [r for r in story.observed.source if not is_canonical(r) and not r.key.startswith(BAD_KEY)]
    assert len(foreign) == story.strangers
    assert {copies[r.value, r.key if r.value is None else None] for r in foreign} == {2}


def is_canonical(record):
    identity = parse_event_key(record.key)
    if identity is None or partition_of(identity[0], PARTITIONS) != record.partition:
        return False
    if record.value is None:
        return True
    found = json.loads(record.value)
    return identity[0] == found.get("data", found)["application_id"]


def test_republication_keeps_the_headers(story):
    """A record in a wrong partition goes home with the headers that it came with."""
    home = partition_of("astray", PARTITIONS)
    [copy] = [r for r in story.observed.source if r.key.startswith(b"astray/") and r.partition == home]
    assert list(copy.headers) == STRANGER_HEADERS


def test_an_erasure_from_a_wrong_partition_takes_effect(story):
    """The tombstone finds its event, and the change says that it was erased."""
    last = values_of(story.observed.changes, "erased", "bank_statement")[-1]
    assert last["cause"]["status"] == "erased"
    assert last["factors"] == {"f_months_analyzed": 1, "f_revenue_monthly_avg": 10}


def test_an_aborted_event_is_never_seen(story):
    """Of two producers' transactions only the committed one counts; the gaps that markers leave are no holes."""
    [factors] = values_of(story.observed.factors, "transactional", "bank_statement")
    assert factors["executions"]["contributors"] == ["committed"]


def test_kafka_refuses_a_null_key(story):
    """A compacted topic takes no record without a key: such a producer is told at once."""
    refusals = []
    producer = Producer(story.installation.config)
    producer.produce(
        story.installation.topics.executions.name, b"{}", on_delivery=lambda error, _: refusals.append(error.code())
    )
    producer.flush(LIMIT_S)
    assert refusals == [KafkaError.INVALID_RECORD]


@pytest.mark.parametrize("kind", BAD_INPUTS)
def test_bad_input_becomes_a_dead_letter(story, kind):
    """Original bytes, key and headers are kept, and headers say where it stood, when, and what is wrong with it."""
    [source] = [r for r in story.observed.source if r.key == BAD_KEY + kind.encode()]
    [letter] = [r for r in story.observed.dead_letters if ("dlq_key", source.key) in r.headers]
    assert letter.value == source.value == BAD_INPUTS[kind].value
    assert letter.key == f"{source.topic}/{source.partition}/{source.offset}".encode()
    assert letter.partition == source.partition
    assert list(letter.headers[: len(HEADERS)]) == list(source.headers) == HEADERS
    ours = dict(letter.headers[len(HEADERS) :])
    assert ours["dlq_error_class"] == BAD_INPUTS[kind].defect.value.encode()
    assert ours["dlq_error_message"]
    assert (ours["dlq_topic"], ours["dlq_partition"], ours["dlq_offset"]) == (
        source.topic.encode(),
        str(source.partition).encode(),
        str(source.offset).encode(),
    )
    assert ours["dlq_timestamp"] == str(source.timestamp_ms).encode()


def test_the_neighbours_of_bad_input_are_unharmed(story):
    """Every good event between the bad ones is folded."""
    assert values_of(story.observed.factors, NEIGHBOUR, "device_fingerprint")[-1]["executions"]["contributing"] == len(
        BAD_INPUTS
    )


def test_one_execution_too_many_is_a_dead_letter(story):
    """A row holds 2,000 executions; the next one goes to the dead letters, and the row stays."""
    [letter] = [r for r in story.observed.dead_letters if dict(r.headers)["dlq_error_class"] == b"execution_limit"]
    assert json.loads(letter.value)["execution_id"] == "e2000"


def test_no_value_of_a_factor_is_in_a_log_or_a_header(story):
    """The canary is in payloads, good and bad, and in no log line and no header that we wrote."""
    assert any(CANARY.encode() in (record.value or b"") for record in story.observed.source)
    for canary in (CANARY, str(CANARY_NUMBER)):
        assert canary not in story.worker.log
        for records in (story.observed.changes, story.observed.factors, story.observed.dead_letters):
            assert not [h for record in records for h in record.headers if canary.encode() in (h[1] or b"")]


def test_a_failed_execution_is_information(story):
    """The log tells of a failed execution with its place and code, as information; errors are for something else."""
    [first, second] = [
        entry
        for entry in story.worker.entries("execution failed, it is active and contributes no factors")
        if (entry["application_id"], entry["processor"]) == ("scenario", "credit_check")
    ]
    assert first["level"] == second["level"] == "info"
    assert first["code"] == "TIMEOUT"
    assert {"topic", "partition", "offset", "attempt", "execution_id"} <= first.keys()
    assert {entry["level"] for entry in story.worker.entries()} == {"info", "warning"}


def test_the_worker_says_what_it_did(story):
    """At its end the worker logs how many events became what."""
    [summary] = story.worker.entries("worker stopped")
    assert summary["dead_letter"] == len(BAD_INPUTS) + 1
    assert summary["republished"] == story.strangers


def test_debug_logs_hold_no_value_either(kafka, tmp_path):
    """With everything logged, the libraries' insides too, no factor's value is in the log."""
    with installed(kafka, tmp_path, CONSOLIDATOR_LOG_LEVEL="debug", CONSOLIDATOR_PARTITIONS="1") as installation:
        installation.publish([event("canary", "e1", "bank_statement", {"f_revenue_monthly": CANARY_NUMBER})])
        installation.publish([event("canary", "e2", "p", {"f": CANARY}), Tombstone("canary", "canary-e2")])
        installation.publish_raw([(b"bad", f"[{CANARY}]".encode(), 0)])
        worker = installation.start().wait_ready()
        installation.wait_consumed(worker)
        worker.stop()
        assert '"debug"' in worker.log
        assert CANARY not in worker.log
        assert str(CANARY_NUMBER) not in worker.log
