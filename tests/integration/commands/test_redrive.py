"""Redrives against each other, against death, and against a broker that refuses; on a real broker."""

import os
import signal
import subprocess
import sys

import pytest
from confluent_kafka import KafkaException, Producer

from models.errors import ContractError
from streams.operations.redrive import Choice, Redrive, decide
from tests.real_kafka.dead_letter_steps import listed, place_of, publish_bad, redriven, refusal, source_records, work
from tests.real_kafka.installation import LIMIT_S
from tests.real_kafka.worker_process import wait_until
from topics.reading.dead_letter_list import list_letters
from topics.reading.positions import Beginning
from topics.reading.reader import TopicReader

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


def read_letters(installation):
    with TopicReader(installation.config, installation.topics.dlq.name, Beginning()) as reader:
        return list(reader.until_end())


def put_back(installation, redriving, on_progress=lambda _: None):
    """What the command does between fence and commit; how many it put back."""
    records = read_letters(installation)
    letters, _ = list_letters(records)
    decisions = decide(letters, Choice(), source=installation.topics.executions.name)
    places = [decision.letter.place for decision in decisions if decision.reason is None]
    redriving.put_back(records, places, on_progress=on_progress)
    return len(places)


def redrive_of(installation):
    return Redrive(installation.config, installation.topics, installation.name)


def test_of_two_redrives_at_once_one_takes_effect(installation):
    """A redrive that was overtaken fails without any effect, and what the other one put back is there once."""
    publish_bad(installation, b"[1]", b"[2]")
    work(installation)

    def overtake(count):
        if count == 2:
            with redrive_of(installation) as second:
                assert put_back(installation, second) == 2

    with redrive_of(installation) as first, pytest.raises(ContractError, match="another redrive"):
        put_back(installation, first, overtake)
    assert len(source_records(installation)) == 4
    assert redriven(installation, "--all", "--yes") == {"skipped": 2}


def test_marks_behind_an_open_transaction_are_waited_for(installation):
    """While a worker's transaction is open, what was redriven is not visible yet: a redrive waits for its end."""
    publish_bad(installation, b"[1]")
    work(installation)
    blocker = transactional(installation, "blocker")
    with redrive_of(installation) as first:
        blocker.begin_transaction()
        blocker.produce(installation.topics.dlq.name, b"open", b"k", 0)
        assert blocker.flush(LIMIT_S) == 0
        assert put_back(installation, first) == 1
    witness = transactional(installation, "redrive")
    command = start_redrive(installation)
    try:
        wait_until(lambda: is_fenced(witness, installation), "the second redrive to begin", limit_s=LIMIT_S)
        assert command.poll() is None
        blocker.abort_transaction(LIMIT_S)
        stdout, stderr = command.communicate(timeout=LIMIT_S)
    finally:
        command.kill()
        command.wait()
    assert command.returncode == 0, stderr
    assert "redriven before" in stdout
    assert len(source_records(installation)) == 2


def transactional(installation, name):
    producer = Producer(installation.config | {"transactional.id": f"{installation.name}-{name}"})
    producer.init_transactions(LIMIT_S)
    return producer


def start_redrive(installation):
    return subprocess.Popen(
        [sys.executable, "-m", "streams.cli", "dlq", "redrive", "--all", "--yes"],
        env=os.environ | installation.variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def is_fenced(witness, installation):
    """Whether another producer has taken the witness's transactional id."""
    try:
        witness.begin_transaction()
        witness.produce(installation.topics.factors.name, b"{}", b"k", 0)
        witness.flush(LIMIT_S)
        witness.abort_transaction(LIMIT_S)
    except KafkaException:
        return True
    return False


DYING_REDRIVE = """
import os, signal, sys
from streams.configuration.connection import connection_of, topics_of
from streams.configuration.settings import load_settings
from topics.reading.dead_letter_list import list_letters
from topics.reading.positions import Beginning
from topics.reading.reader import TopicReader
from streams.operations.redrive import Redrive

settings = load_settings()
topics, config = topics_of(settings), connection_of(settings).librdkafka()

def die(count):
    if count == int(sys.argv[1]):
        redriving._producer.flush(30)
        os.kill(os.getpid(), signal.SIGKILL)

with Redrive(config, topics, settings.app_id) as redriving:
    with TopicReader(config, topics.dlq.name, Beginning()) as reader:
        records = list(reader.until_end())
    letters, _ = list_letters(records)
    redriving.put_back(records, [letter.place for letter in letters], on_progress=die)
"""
"""Ends by ``kill -9`` when so many letters are with the broker and nothing is committed."""


@pytest.mark.parametrize("letters", [1, 10, 20])
def test_a_redrive_that_dies_has_no_effect(installation, letters):
    """Killed in the middle of its transaction, nothing is put back; the next redrive does all of it, at once."""
    publish_bad(installation, *(b"[%d]" % n for n in range(20)))
    work(installation)
    died = subprocess.run(
        [sys.executable, "-c", DYING_REDRIVE, str(letters)],
        env=os.environ | installation.variables,
        timeout=LIMIT_S,
        check=False,
    )
    assert died.returncode == -signal.SIGKILL
    assert len(installation.read_uncommitted(installation.topics.executions.name)) == 20 + letters
    assert len(source_records(installation, settled=False)) == 20
    assert redriven(installation, "--all", "--yes") == {"redriven": 20}
    assert len(source_records(installation)) == 40
    assert redriven(installation, "--all", "--yes") == {"skipped": 20}


def test_a_record_that_the_broker_refuses_is_named_and_nothing_is_redriven(installation):
    """The source's limit was lowered: the place is named, all is aborted, and the others can be redriven without it."""
    publish_bad(installation, b"[1]", b"[" + os.urandom(40_000) + b"]", b"[3]")
    work(installation)
    installation.alter_topic(installation.topics.executions.name, "max.message.bytes", "20000")
    _, big, _ = listed(installation)
    said = refusal(installation, "redrive", "--all", "--yes")
    assert place_of(big) in said
    assert "nothing was redriven" in said
    assert len(source_records(installation)) == 3
    assert redriven(installation, "--reason", "not_an_object", "--yes") == {"redriven": 2}
