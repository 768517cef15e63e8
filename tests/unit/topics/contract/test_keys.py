"""The key of a dead letter: the exact bytes."""

from topics.contract.keys import dlq_key


def test_dead_letter_key_is_the_place_of_its_source():
    """A dead letter is keyed by the topic, partition and offset of the record it was."""
    assert dlq_key("executions", 3, 17) == b"executions/3/17"
