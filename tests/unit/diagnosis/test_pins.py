"""Which partitions an open transaction holds back, and for which of them the age is looked up."""

from types import SimpleNamespace

import pytest
from confluent_kafka import IsolationLevel

from streams.diagnosis.reading import pins
from streams.diagnosis.reading.pins import MOST_AGED, read_pins
from tests.inputs.diagnosed import NOW_MS

PARTITIONS = MOST_AGED + 4
LAST = PARTITIONS - 1
OPEN_MS = NOW_MS - 95_000
END = 30


class ScriptedAdmin:
    """Answers for one topic with a record every partition, at offset 7, that was written 95 s ago.

    Args:
        moves: partitions whose transactions end after the first two questions for the stable offsets.
    """

    def __init__(self, moves):
        self._moves = set(moves)
        self._looks = 0

    def list_offsets(self, question, *, isolation_level, request_timeout):
        assert request_timeout > 0
        if isolation_level is IsolationLevel.READ_COMMITTED:
            self._looks += 1
        return {place: self._answer(place.partition, spec, isolation_level) for place, spec in question.items()}

    def _answer(self, partition, spec, isolation_level):
        if isolation_level is IsolationLevel.READ_COMMITTED:
            offset = END if partition in self._moves and self._looks > 2 else 7
        elif hasattr(spec, "_value") and spec._value > 0:
            offset = 7 if spec._value <= OPEN_MS else -1
        else:
            offset = END
        return SimpleNamespace(result=lambda: SimpleNamespace(offset=offset))


@pytest.fixture
def slept(monkeypatch):
    """What was waited for."""
    waits = []
    monkeypatch.setattr(pins.time, "sleep", waits.append)
    return waits


def test_one_that_hangs_has_an_age_however_many_are_under_way(slept):
    """Those that have moved a moment later are left out."""
    found = read_pins(ScriptedAdmin(range(LAST)), ["factors"], PARTITIONS, NOW_MS)
    assert [(pin.partition, pin.offset, pin.hidden) for pin in found] == [(LAST, 7, END - 7)]
    assert found[0].age_s(NOW_MS) == pytest.approx(95, abs=1)
    assert len(slept) == 1


def test_where_too_many_hang_the_rest_has_no_age(slept):
    """They are not left out: their ages are not known."""
    found = read_pins(ScriptedAdmin(()), ["factors"], PARTITIONS, NOW_MS)
    assert [pin.since_ms is None for pin in found] == [False] * MOST_AGED + [True] * 4
    assert len(slept) == 1


def test_a_few_are_not_waited_for(slept):
    """Each of them has its age at once."""
    found = read_pins(ScriptedAdmin(()), ["factors"], MOST_AGED, NOW_MS)
    assert [pin for pin in found if pin.since_ms is None] == []
    assert slept == []
