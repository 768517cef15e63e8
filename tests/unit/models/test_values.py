"""What values have in common, compiled or not."""

import pytest

from models.counts import Counts
from models.events import Position


def test_values_are_equal_where_all_attributes_are() -> None:
    """The laws compare what two ways of folding come to."""
    assert Position("t", 0, 1) == Position("t", 0, 1)
    assert Position("t", 0, 1) != Position("t", 0, 2)


def test_values_of_two_kinds_are_never_equal() -> None:
    """A value is no other value, whatever its attributes are."""
    assert Position("t", 0, 1) != Counts(0, 1, 1, 0)
    assert Position("t", 0, 1) != ("t", 0, 1)


def test_a_value_shows_its_attributes() -> None:
    """A failed test has to say what differs."""
    shown = repr(Position("t", 0, 1))
    assert shown.startswith("Position(")
    assert all(part in shown for part in ("topic='t'", "partition=0", "offset=1"))


def test_a_value_is_not_hashable() -> None:
    """Some hold dictionaries; none is a key."""
    with pytest.raises(TypeError, match="unhashable"):
        hash(Counts(0, 0, 0, 0))
