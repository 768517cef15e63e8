"""Tokens: what is in them comes out again; what they belong to is checked by name; nothing damaged passes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consolidator import Changed, TokenError, UsageError
from consolidator.subscribing.items import Revoked
from consolidator.subscribing.positions import Position
from consolidator.subscribing.start import Filter
from consolidator.subscribing.token import filter_digests, read_token, write_token
from tests.unit.client.subscribing.records import frame, made, stamp

POSITIONS = {0: Position(5), 3: Position(7, 12, 4, b"a/b")}


def test_a_token_has_everything():
    """The stamp, the time and every position."""
    found = read_token(write_token(stamp(), POSITIONS, 123))
    assert found.stamp == stamp()
    assert found.fresh_ms == 123
    assert {number: Position(*at) for number, at in found.positions.items()} == POSITIONS


@given(st.data())
def test_no_damaged_token_is_read(data):
    """A changed, lost or added character is noticed, or changes nothing."""
    token = write_token(stamp(), POSITIONS, 123)
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from("Aa0_-.z=")) * data.draw(st.integers(0, 2))
    damaged = token[:place] + other + token[place + 1 :]
    try:
        found = read_token(damaged)
    except TokenError:
        return
    assert found == read_token(token)


@given(st.text(max_size=60))
def test_any_text_is_refused(text):
    """What is no token is refused as one."""
    with pytest.raises(TokenError):
        read_token(text)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"cluster": "elsewhere"}, "another cluster: of elsewhere, and this one is cluster"),
        ({"prefix": "test."}, "of the topics test.factors and test.factor-changes, the subscription of factors"),
        ({"filter": filter_digests(Filter.of(applications=["a"]))}, "another filter: applications differs"),
        ({"filter": filter_digests(Filter.of(kinds=["set"], outcomes=["cleared"]))}, "outcomes, kinds differs"),
        ({"filter": ()}, "another filter: it differs"),
    ],
)
def test_the_callers_mistakes_are_named(other, words):
    """Another cluster, other topics, another filter."""
    with pytest.raises(TokenError, match=words):
        stamp().refuse_other(stamp(**other))


def test_what_happened_to_the_topics_is_named():
    """Re-created topics and another partition count; ids and counts that are the same are none."""
    assert stamp().differs_in(stamp()) is None
    assert "factor-changes was re-created" in str(stamp().differs_in(stamp(changes="older")))
    assert "the topic t.factors was re-created" in str(stamp(prefix="t.").differs_in(stamp(factors="older")))
    assert "4 partitions, and had 8" in str(stamp().differs_in(stamp(partitions=8)))


def test_a_filter_is_known_by_its_members_and_not_by_their_order():
    """The same names in another order, or twice, are the same filter."""
    one, other = Filter.of(applications=["a", "b"]), Filter.of(applications=["b", "a", "b"])
    assert filter_digests(one) == filter_digests(other)
    assert filter_digests(one) != filter_digests(Filter.of(processors=["a", "b"]))


def test_a_token_moves_with_its_item():
    """It is after the item, of all partitions or of the item's own, and after none that comes later."""
    place = frame(Position(10, -1, 3, b"k"), Position(20))
    for number, (partition, offset) in enumerate([(0, 11), (1, 25), (0, 14)]):
        place.partitions.append(partition)
        place.offsets.append(offset)
        item = Changed(made("a", 1), partition, offset, place, number)
        assert item.token == place.token_after(number)
    assert place.positions_after(1) == {0: Position(12, -1, 3, b"k"), 1: Position(26)}
    assert place.positions_after(2)[0].journal == 15
    single = frame(Position(10), Position(20), each=True)
    single.partitions.append(1)
    single.offsets.append(25)
    assert read_token(single.token_after(0)).positions == {1: (26, -1, -1, b"")}


def test_a_snapshots_token_moves_in_factors():
    """The journal's place is kept until the snapshot is complete."""
    place = frame(Position(10, 0), of_factors=True)
    place.partitions.append(0)
    place.offsets.append(4)
    assert place.positions_after(0) == {0: Position(10, 5)}


def test_what_was_given_away_has_no_token():
    """Where its partitions go on is another member's."""
    with pytest.raises(UsageError, match="Revoked has no token"):
        _ = Revoked((1,), lost=False, _place=frame(Position(1)), _index=0).token
