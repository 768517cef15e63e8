"""Which last words of a client may hide a missing permission; and what need not end a worker that has begun."""

import asyncio

import pytest
from confluent_kafka import KafkaError, KafkaException
from structlog.testing import capture_logs

from models.errors import ContractError, InfrastructureError
from streams.worker.runner import _is_aftermath, _keep_ruleset


@pytest.mark.parametrize(
    ("code", "hides"), [(KafkaError._STATE, True), (KafkaError._INCONSISTENT, True), (KafkaError._FENCED, False)]
)
def test_records_that_had_failed_before_are_asked_for(code, hides):
    """A refused record may be noticed by the commit or by whatever follows it; a fence is no matter of permissions."""
    error = InfrastructureError("partition 3: commit_transaction failed")
    error.__cause__ = KafkaException(KafkaError(code))
    assert _is_aftermath(error) == hides


class Kept:
    """The rulesets in Kafka, which answers as told."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def keep(self):
        if (error := self.answers.pop(0)) is not None:
            raise error


def kept(rulesets):
    """Keep a ruleset that was accepted; the lines of the log."""
    accepted = asyncio.Event()
    accepted.set()
    with capture_logs() as lines:
        asyncio.run(_keep_ruleset(rulesets, accepted))
    return lines


def test_a_ruleset_that_cannot_be_kept_yet_ends_no_worker(monkeypatch):
    """Nobody waits for it: it is tried again until Kafka answers."""
    monkeypatch.setattr("streams.worker.runner._KEEP_AGAIN_S", 0.0)
    rulesets = Kept(InfrastructureError("Kafka gave no offset"), InfrastructureError("Kafka gave no offset"), None)
    assert [line["error"] for line in kept(rulesets)] == ["Kafka gave no offset"] * 2
    assert rulesets.answers == []


def test_another_content_under_the_same_name_ends_the_worker():
    """Nothing comes of trying again."""
    with pytest.raises(ContractError):
        kept(Kept(ContractError("another catalogue has this name")))
