"""What is made of answers: rulesets, the controllers' clock, a health address, questions that fail."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError, KafkaException

from models.errors import AuthorizationError, InfrastructureError
from streams.diagnosis.reading.answer import Questions, Unanswered, ask, known
from streams.diagnosis.reading.health import ask_health
from streams.diagnosis.reading.machine import look_at_directory, versions
from streams.diagnosis.reading.protocol import leader_clock_ms
from streams.diagnosis.reading.rulesets import live_of
from streams.diagnosis.reading.trial import Trial, failed_trial
from streams.rulesets.catalogue_file import catalogue_json, parse_catalogue
from tests.inputs.diagnosed import CATALOGUE
from topics.records.adoptions import Adoption, KnownRulesets

NEW = parse_catalogue(
    json.dumps(json.loads(catalogue_json(CATALOGUE)) | {"version": "new"}).encode(), suffix=".json", source="a test"
)
KEPT = {one.digest: catalogue_json(one).encode() for one in (CATALOGUE, NEW)}


def test_the_only_kept_ruleset_is_everybodys():
    """Nothing was ever adopted."""
    live = live_of(KnownRulesets({CATALOGUE.digest: KEPT[CATALOGUE.digest]}), 2)
    assert dict(live.by_partition) == {0: CATALOGUE.digest, 1: CATALOGUE.digest}
    assert live.text(CATALOGUE.digest) == f"{CATALOGUE.ruleset.name} ({CATALOGUE.digest[:8]})"


def test_an_adoption_under_way_shows_both():
    """The partition that has not adopted yet has what the other one had before."""
    adoptions = {1: (Adoption(1, 7, CATALOGUE.digest, NEW.digest),)}
    live = live_of(KnownRulesets(KEPT, adoptions), 2)
    assert dict(live.by_partition) == {0: CATALOGUE.digest, 1: NEW.digest}


def test_of_several_kept_ones_none_is_guessed():
    """Nothing says which one a partition has; and before the first worker there is none."""
    live = live_of(KnownRulesets(KEPT), 2)
    assert dict(live.by_partition) == {0: None, 1: None}
    assert live.digests == frozenset()
    assert dict(live_of(KnownRulesets(), 2).by_partition) == {}
    assert live_of(KnownRulesets({"x": b"{}"}), 1).names == {"x": "a ruleset of a later version"}


def test_the_leaders_own_entry_has_the_clock():
    """The other voters' times are of their last fetches."""
    voters = [(1, 10, 500, 500, {}), (2, 10, 900, 900, {})]
    answer = SimpleNamespace(topics=[("__cluster_metadata", [(0, 0, 2, 1, 10, voters, [], {})], {})])
    assert leader_clock_ms(answer) == 900
    refused = SimpleNamespace(topics=[("__cluster_metadata", [(0, 31, 2, 1, 10, voters, [], {})], {})])
    assert leader_clock_ms(refused) is None
    assert leader_clock_ms(SimpleNamespace(topics=None)) is None


def failing(error: Exception):
    def question():
        raise error

    return question


@pytest.mark.parametrize(
    ("error", "reason", "is_refused"),
    [
        (AuthorizationError("not permitted:\n  Describe"), "not permitted:; Describe", True),
        (InfrastructureError("away"), "away", False),
        (KafkaException(KafkaError(KafkaError.REQUEST_TIMED_OUT, "slow")), "slow", False),
        (TimeoutError(), "no answer in time", False),
        (OSError(2, "No such file"), "No such file", False),
    ],
)
def test_a_question_that_fails_has_a_reason(error, reason, is_refused):
    """In one line, and it is no answer."""
    answer = ask(failing(error))
    assert answer == Unanswered(reason, is_refused)
    assert known(answer) is None


def test_a_mistake_of_this_program_is_no_answer():
    """It is not taken for one of Kafka's."""
    with pytest.raises(ZeroDivisionError):
        ask(lambda: 1 // 0)


def test_once_kafka_is_away_nothing_more_is_asked():
    """Otherwise each question would wait for its whole time; a refusal is not taken for that."""
    asked, is_there = [], [None]

    def look():
        if is_there[0] is not None:
            raise is_there[0]

    kafka = Questions(look)
    assert kafka.ask(failing(AuthorizationError("no"))) == Unanswered("no", is_refused=True)
    assert kafka.ask(failing(InfrastructureError("odd"))) == Unanswered("odd")
    assert kafka.ask(lambda: 3) == 3
    is_there[0] = InfrastructureError("away")
    assert kafka.ask(failing(InfrastructureError("odd"))) == Unanswered("odd")
    assert kafka.ask(lambda: asked.append(1)) == Unanswered("away")
    assert asked == []


@contextmanager
def answering(status: int, body: object) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(200 if self.path.startswith("/livez") else status)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


BODY = {
    "healthy": False,
    "role": "worker",
    "version": "0.1.0",
    "worker": "host/worker-0",
    "checks": [{"name": "loop", "ok": True, "says": ""}, {"name": "partition 3", "ok": False, "says": "recovering"}],
    "partitions": [{"topic": "executions", "partition": 3, "state": "recovering", "waits_for": "900 records"}],
}


def test_a_worker_says_how_it_is():
    """Alive, not ready, and why; of every interface this machine is asked."""
    with answering(503, BODY) as address:
        found = ask_health(address.replace("127.0.0.1", "0.0.0.0"))
    assert (found.is_alive, found.is_ready, found.worker) == (True, False, "host/worker-0")
    assert found.wrong == ("partition 3: recovering",)
    assert (found.states, found.waits_for) == ({3: "recovering"}, {3: "900 records"})


@pytest.mark.parametrize(("status", "body"), [(200, b"ok\n"), (404, {}), (200, [])])
def test_something_else_at_the_address_is_no_worker(status, body):
    """It is said, and not taken for health."""
    with answering(status, body) as address, pytest.raises(InfrastructureError, match="does not answer as a worker"):
        ask_health(address)


def test_nobody_at_the_address():
    """The reason is the system's."""
    with pytest.raises(InfrastructureError, match=r"nobody answers at 127\.0\.0\.1:1"):
        ask_health("127.0.0.1:1")


def test_a_directory_is_tried_and_left_as_it_was(tmp_path):
    """Nothing stays in it, and a directory that is not there is not made."""
    (tmp_path / "lending" / "worker-0").mkdir(parents=True)
    (tmp_path / "lending" / "worker-0" / "000.sst").write_bytes(bytes(1_000))
    found = look_at_directory(tmp_path, "lending")
    assert (found.exists, found.error, found.workers) == (True, None, {"worker-0": 1_000})
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["000.sst", "lending", "worker-0"]
    absent = look_at_directory(tmp_path / "elsewhere", "lending")
    assert (absent.exists, absent.error) == (False, None)
    assert absent.total_bytes > 0
    assert not (tmp_path / "elsewhere").exists()


def test_versions_are_of_what_is_installed():
    """Of this program and of what it stands on."""
    assert {"consolidator", "python", "librdkafka", "confluent-kafka", "compiled"} <= versions().keys()


@pytest.mark.parametrize(
    ("code", "needed"),
    [
        (KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, "Write on transactional id lending-doctor"),
        (KafkaError.GROUP_AUTHORIZATION_FAILED, "Read on group lending-doctor"),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, "Read on topic executions"),
    ],
)
def test_a_trial_that_is_refused_names_what_is_needed(code, needed):
    """It is a question that may not be asked, and says nothing about transactions."""
    answer = ask(lambda: failed_trial(KafkaError(code), "lending-doctor", "executions"))
    assert answer == Unanswered(f"a transaction was not tried: not permitted: {needed}", is_refused=True)


def test_what_an_error_says_about_transactions():
    """A refused generation: they are fenced; no answer: nothing; anything else: they do not work."""

    def tried(error):
        return ask(lambda: failed_trial(error, "lending-doctor", "executions"))

    assert tried(KafkaError(KafkaError.ILLEGAL_GENERATION)) == Trial(is_fenced=True, said="ILLEGAL_GENERATION")
    silent = tried(KafkaError(KafkaError._TIMED_OUT, "no coordinator"))
    assert silent == Unanswered("a transaction was not tried: no coordinator")
    unknown = tried(KafkaError(KafkaError._UNSUPPORTED_FEATURE, "not supported"))
    assert unknown == Trial(is_fenced=False, said="not supported", works=False)
