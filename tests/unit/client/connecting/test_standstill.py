"""Since when a partition has been behind at one position."""

from consolidator.connecting.standstill import Standstill

AFTER_S = 10.0


def test_one_that_stays_behind_is_found_when_the_time_has_passed():
    """Not at the first look, and not before the time."""
    now = [0.0]
    standstill = Standstill[str](lambda: now[0])
    assert not standstill.is_suspected
    found = []
    for now[0] in (100.0, 109.9, 110.0):
        found.append(standstill.look({"a": 7}, AFTER_S))
        assert standstill.is_suspected
    assert found == [set(), set(), {"a"}]


def test_one_that_moves_is_not_found():
    """A position that is behind but another one shows that records are fetched."""
    now = [0.0]
    standstill = Standstill[str](lambda: now[0])
    for now[0], position in ((0.0, 7), (10.0, 8), (19.0, 8)):
        assert standstill.look({"a": position, "b": position + 1}, AFTER_S) == set()
    now[0] = 20.0
    assert standstill.look({"a": 8, "b": 10}, AFTER_S) == {"a"}


def test_one_that_was_at_its_end_in_between_begins_again():
    """It has fetched everything meanwhile."""
    now = [0.0]
    standstill = Standstill[str](lambda: now[0])
    standstill.look({"a": 7}, AFTER_S)
    now[0] = 5.0
    assert standstill.look({}, AFTER_S) == set()
    assert not standstill.is_suspected
    now[0] = 12.0
    assert standstill.look({"a": 7}, AFTER_S) == set()


def test_what_is_forgotten_begins_again():
    """A consumer that was opened anew gets the whole time."""
    now = [0.0]
    standstill = Standstill[str](lambda: now[0])
    standstill.look({"a": 7}, AFTER_S)
    standstill.forget()
    now[0] = 10.0
    assert standstill.look({"a": 7}, AFTER_S) == set()
