"""Keys and partitions: the exact bytes, and the exact hash of Java Kafka."""

import pytest

from consolidator.keys import (
    application_prefix,
    change_key,
    event_key,
    factors_key,
    murmur2,
    parse_event_key,
    partition_of,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("21", -973932308),
        ("foobar", -790332482),
        ("a-little-bit-long-string", -985981536),
        ("a-little-bit-longer-string", -1486304829),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        ("abc", 479470107),
    ],
)
def test_murmur2_gives_what_kafkas_own_unit_test_expects(text, expected):
    """The hash equals every vector of UtilsTest.testMurmur2 in Apache Kafka."""
    assert murmur2(text.encode()) == expected


def test_partition_is_the_non_negative_hash_modulo_the_partitions():
    """An application whose hash is negative gets the partition that Java's toPositive gives, not Python's modulo."""
    assert partition_of("21", 12) == (-973932308 & 0x7FFFFFFF) % 12


def test_event_key_joins_the_ids_with_a_slash():
    """A plain application id stands in the key as it is, in UTF-8."""
    assert event_key("app-é", "evt-1") == "app-é/evt-1".encode()


def test_only_the_application_id_is_escaped():
    """A slash or percent sign is escaped in the application id and left alone in the event id."""
    assert event_key("a/b%c", "d/e%f") == b"a%2Fb%25c/d/e%f"


def test_ids_that_differ_only_in_where_the_slash_stands_have_different_keys():
    """No event can take the key of another application's event."""
    assert event_key("a/b", "c") != event_key("a", "b/c")


def test_all_keys_of_an_application_start_alike():
    """Change and factors keys escape the application id as event keys do."""
    assert change_key("a/b", "c1") == b"a%2Fb/c1"
    assert factors_key("a/b", "credit/check") == b"a%2Fb/credit/check"


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"app-1", id="no event id"),
        pytest.param(b"app-1/", id="empty event id"),
        pytest.param(b"/evt-1", id="empty application id"),
        pytest.param(b"app\xff/evt-1", id="invalid UTF-8"),
        pytest.param(b"app%/evt-1", id="bare percent sign"),
        pytest.param(b"app%41/evt-1", id="needless escape"),
        pytest.param(b"app%2f/evt-1", id="lower-case escape"),
    ],
)
def test_a_key_that_is_not_canonical_has_no_identity(key):
    """A key that event_key would never make is refused, so that it erases nothing by accident."""
    assert parse_event_key(key) is None


def test_an_escaped_escape_is_read_once():
    """An application id that itself looks like an escape survives the way there and back."""
    assert parse_event_key(event_key("a%2Fb", "c")) == ("a%2Fb", "c")


def test_a_lone_surrogate_has_no_key():
    """A text that has no UTF-8 form is refused and never stands for another one."""
    with pytest.raises(ValueError, match="surrogates not allowed"):
        application_prefix("\ud800")
    with pytest.raises(ValueError, match="surrogates not allowed"):
        event_key("a", "\ud800")
