"""When what ended is started again, and when no more."""

from hypothesis import given
from hypothesis import strategies as st

from streams.supervisor.restarts import FIRST_PAUSE_S, MOST_ENDS, WITHIN_S, Restarts


def test_each_pause_is_twice_the_last_one_and_the_fifth_end_is_the_last():
    """As the help of `consolidator up` says: 1, 2, 4 and 8 s, then no more."""
    restarts = Restarts()
    assert [restarts.pause_after_end(10.0 * number) for number in range(MOST_ENDS)] == [1.0, 2.0, 4.0, 8.0, None]
    assert restarts.count == MOST_ENDS - 1


def test_what_ends_rarely_is_started_for_ever():
    """An end is forgotten after five minutes: the pause is the first one again, and there is no limit."""
    restarts = Restarts()
    pauses = {restarts.pause_after_end(number * (WITHIN_S + 1)) for number in range(1_000)}
    assert pauses == {FIRST_PAUSE_S}


@given(st.lists(st.floats(0, 1_000), max_size=50))
def test_never_more_than_the_limit_within_the_time(gaps):
    """Whenever it ends: fewer than five restarts in any five minutes, and no pause is longer than the longest."""
    restarts, now, restarted = Restarts(), 0.0, []
    longest = FIRST_PAUSE_S * 2 ** (MOST_ENDS - 2)
    for gap in gaps:
        now += gap
        pause = restarts.pause_after_end(now)
        if pause is None:
            return
        assert FIRST_PAUSE_S <= pause <= longest
        restarted.append(now)
        assert len([one for one in restarted if now - one <= WITHIN_S]) < MOST_ENDS
