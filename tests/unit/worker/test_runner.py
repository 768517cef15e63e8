"""Which of a client's last words may hide a permission that is missing."""

import pytest
from confluent_kafka import KafkaError, KafkaException

from models.errors import InfrastructureError
from streams.worker.runner import _is_aftermath


@pytest.mark.parametrize(
    ("code", "hides"), [(KafkaError._STATE, True), (KafkaError._INCONSISTENT, True), (KafkaError._FENCED, False)]
)
def test_records_that_had_failed_before_are_asked_for(code, hides):
    """A refused record may be noticed by the commit or by whatever follows it; a fence is no matter of permissions."""
    error = InfrastructureError("partition 3: commit_transaction failed")
    error.__cause__ = KafkaException(KafkaError(code))
    assert _is_aftermath(error) == hides
