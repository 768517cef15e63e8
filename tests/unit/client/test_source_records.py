"""What is recognised of source records and their dead letters: the exact bytes."""

import pytest

from consolidator.source_records import dlq_key, parse_dlq_key


def test_dead_letter_key_is_the_place_of_its_source():
    """A dead letter is keyed by the topic, partition and offset of the record it was."""
    assert dlq_key("executions", 3, 17) == b"executions/3/17"
    assert parse_dlq_key(b"executions/3/17") == ("executions", 3, 17)


@pytest.mark.parametrize("key", [b"executions/3/17/redriven", b"executions/3", b"executions", b"executions/x/1", b""])
def test_other_keys_are_no_dead_letters(key):
    """Such as the mark of a redrive."""
    assert parse_dlq_key(key) is None
