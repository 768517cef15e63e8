"""Record keys and the partition of an application: every producer and every reader has to compute them alike.

A key starts with its application's id, so that a tombstone, which has nothing but its key, still names its application.
Inside the application id, and only there, ``%`` and ``/`` are written ``%25`` and ``%2F``: the first ``/`` of a key
therefore always ends the application id, whatever the id contains, and no two identities share a key.

The partition is a function of the application id alone, murmur2 as in Java's default partitioner (``Utils.murmur2`` of
Apache Kafka). librdkafka's own default, CRC32, puts 89 % of keys elsewhere.
"""

from functools import lru_cache
from struct import unpack_from
from typing import Final

__all__ = [
    "application_prefix",
    "change_key",
    "event_key",
    "factors_key",
    "murmur2",
    "parse_event_key",
    "partition_of",
]

_MASK: Final = 0xFFFF_FFFF
_SIGN: Final = 0x8000_0000
# Murmur2's multiplier, and the seed that Kafka chose: Utils.murmur2 in org.apache.kafka.common.utils.
_MULTIPLIER: Final = 0x5BD1_E995
_SEED: Final = 0x9747_B28C

# About 8 MiB, 20 MiB of the longest ids. Applications come in bursts, and a hit costs a thirtieth of hashing a UUID.
_CACHED_APPLICATIONS: Final = 32_768


def application_prefix(application_id: str) -> bytes:
    """The prefix of every key of an application: the escaped id and the ``/`` after it.

    Raises:
        UnicodeEncodeError: (a ValueError) for a lone surrogate, which has no UTF-8 form.
    """
    # Not shared with event_key: the worker calls both for every event, and a further call would cost as much as the
    # rest.
    if "%" in application_id or "/" in application_id:
        application_id = _escape(application_id)
    return f"{application_id}/".encode()


def event_key(application_id: str, event_id: str) -> bytes:
    """The canonical key of a lifecycle event in ``executions``: ``<application_id>/<event_id>``.

    Both ids are non-empty, as validated where events are decoded.

    Raises:
        UnicodeEncodeError: (a ValueError) for a lone surrogate, which has no UTF-8 form.
    """
    if "%" in application_id or "/" in application_id:
        application_id = _escape(application_id)
    return f"{application_id}/{event_id}".encode()


def parse_event_key(key: bytes) -> tuple[str, str] | None:
    """The application id and event id of a canonical key; None for any other key.

    Canonical means: valid UTF-8, both parts non-empty, and :func:`event_key` of the parts gives the same bytes.
    Change keys and factors keys are built alike, and are taken apart by it too.
    """
    try:
        text = key.decode()
    except UnicodeDecodeError:
        return None
    escaped, _, identity = text.partition("/")
    if not escaped or not identity:
        return None
    if "%" not in escaped:
        return escaped, identity
    application_id = _unescape(escaped)
    return (application_id, identity) if _escape(application_id) == escaped else None


change_key = event_key
"""The key of a change in ``factor-changes``: ``<application_id>/<change_id>``, unique for each change."""

factors_key = event_key
"""The key of the current factors of a pair in ``factors``: ``<application_id>/<processor>``."""


def murmur2(data: bytes) -> int:
    """The 32-bit murmur2 hash of ``data``, signed: the same number that Java's ``Utils.murmur2`` returns."""
    length = len(data)
    words = length >> 2
    state = _SEED ^ length
    for word in unpack_from(f"<{words}I", data):
        mixed = word * _MULTIPLIER & _MASK
        state = (state * _MULTIPLIER ^ (mixed ^ mixed >> 24) * _MULTIPLIER) & _MASK
    if length & 3:
        state = (state ^ int.from_bytes(data[words << 2 :], "little")) * _MULTIPLIER & _MASK
    state = (state ^ state >> 13) * _MULTIPLIER & _MASK
    return ((state ^ state >> 15) ^ _SIGN) - _SIGN


@lru_cache(maxsize=_CACHED_APPLICATIONS)
def partition_of(application_id: str, partitions: int) -> int:
    """The partition of an application's records, from 0, in a topic with ``partitions`` partitions."""
    return (murmur2(application_id.encode()) & 0x7FFF_FFFF) % partitions


def _escape(application_id: str) -> str:
    return application_id.replace("%", "%25").replace("/", "%2F")


def _unescape(escaped: str) -> str:
    # The order matters: "%252F" does not contain "%2F", so an escaped percent sign is not unescaped twice.
    return escaped.replace("%2F", "/").replace("%25", "%")
