"""What a redrive says when Kafka ends it."""

import pytest
from confluent_kafka import KafkaError

from models.errors import ContractError, Defect, InfrastructureError
from streams.operations.redrive import Choice, decide, failure
from topics.reading.dead_letter_list import Listed

FENCED = KafkaError(KafkaError._FENCED, "fenced")
TIMED_OUT = KafkaError(KafkaError._TIMED_OUT, "no answer")
UNKNOWN = "it is unknown whether this one took effect: run it again, what was redriven is skipped"


@pytest.mark.parametrize(("cause", "kind"), [(FENCED, ContractError), (TIMED_OUT, InfrastructureError)])
def test_a_commit_that_failed_may_have_taken_effect(cause, kind):
    """Its answer may have been lost before another redrive began; any earlier step has taken no effect."""
    committed = failure("commit_transaction", cause)
    assert type(committed) is kind
    assert str(committed).endswith(UNKNOWN)
    assert str(failure("produce", cause)).endswith("nothing was redriven")


@pytest.mark.parametrize("reason", [Defect.INVALID_ERASURE, Defect.UNCONFIRMED_ERASURE])
def test_an_erasure_is_not_put_back(reason):
    """It counts at its own offset only: at another one it would be a dead letter again."""
    letter = Listed((0, 5), 0, b"executions/0/3", "executions", 0, 3, reason, "words", 9, None)
    [decision] = decide([letter], Choice(), source="executions")
    assert "`consolidator erase` writes one" in decision.reason
