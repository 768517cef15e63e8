"""A byte-level fuzzer: valid events after a few seeded mutations. The same seed gives the same bytes."""

import random
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tests.inputs.workloads import believable, to_json
from tests.oracle.expected import Tombstone

__all__ = ["fuzzed"]

_EVENTS_PER_APPLICATION = 20
_MUTATIONS_EACH = (1, 1, 1, 2, 3)
"""Mostly one: after several, little is left that is nearly good."""
_UNTOUCHED_SHARE = 0.05
"""Left as they are: what is rejected without reason is a fault, too."""

_TOKENS = (
    b"null", b"true", b"false", b"NaN", b"Infinity", b"-Infinity", b"{}", b"[]", b'""', b"0", b"-0", b"-1", b"1.0",
    b"1e1", b"1E-38", b"1e39", b"1e999", b"9" * 38, b"9" * 39, b"9" * 5_000, b"0." + b"1" * 38, b"012", b"+1", b"0x1",
    b'"\\ud800"', b'"\\u0000"', b'"\xe2\x80\xae"', b'"<script>"', b'"a/b%2F"', b"\xef\xbb\xbf", b"\xff", b"\x00", b"\n",
    b'"completed"', b'"failed"', b'"superseded"', b'"exploded"', b'"2025-02-30T09:00:00Z"', b'"9999-12-31T23:59:59Z"',
    b'"0001-01-01T00:00:00Z"', b'"2025-03-03T09:00:00"', b'"2025-03-03T09:00:60Z"', b'"2025-03-03t09:00:00.1234567z"',
    b"1.0e-38", b"1e38", b"1" + b"0" * 38, b"0e400", b"1e999999999",
    b'"2016-12-31T23:59:60Z"', b'"2016-12-31T15:59:60.5-08:00"',
)  # fmt: skip
_MEMBERS = (
    b'"attempt":', b'"sequence":', b'"schema_version":', b'"supersedes":', b'"event_id":', b'"status":', b'"output":',
    b'"error":', b'"data":', b'"data_base64":', b'"specversion":', b'"unknown":', b'"application_id":',
    b'"occurred_at":', b'"factors":', b'"outputs":',
)  # fmt: skip


def fuzzed(seed: int, count: int, *, prefix: str) -> Iterator[bytes]:
    """Mutated events.

    Args:
        seed: the seed of all random choices.
        count: how many.
        prefix: the prefix of the event ids; the event's number follows. Two payloads have the same id only by mutation.
    """
    rng = random.Random(seed)
    story = believable(seed, max(1, count // _EVENTS_PER_APPLICATION))
    events = [event for event in story if not isinstance(event, Tombstone)]
    for number in range(count):
        raw = _written(events[number % len(events)], f"{prefix}-{number}")
        if rng.random() >= _UNTOUCHED_SHARE:
            other = _written(rng.choice(events), f"{prefix}-{number}")
            for _ in range(rng.choice(_MUTATIONS_EACH)):
                raw = rng.choice(_MUTATIONS)(rng, raw, other)
        yield raw


def _written(event: dict[str, Any], event_id: str) -> bytes:
    return to_json(event | {"event_id": event_id})


def _flip(rng: random.Random, raw: bytes, _other: bytes) -> bytes:
    """Flip one bit."""
    if not raw:
        return raw
    place = rng.randrange(len(raw))
    return raw[:place] + bytes([raw[place] ^ 1 << rng.randrange(8)]) + raw[place + 1 :]


def _truncate(rng: random.Random, raw: bytes, _other: bytes) -> bytes:
    """Cut at the end, or at the start."""
    place = rng.randint(0, len(raw))
    return raw[:place] if rng.random() < 0.8 else raw[place:]


def _insert(rng: random.Random, raw: bytes, _other: bytes) -> bytes:
    """Some bytes more."""
    place = rng.randint(0, len(raw))
    return raw[:place] + rng.randbytes(rng.randint(1, 8)) + raw[place:]


def _drop(rng: random.Random, raw: bytes, _other: bytes) -> bytes:
    """A slice less."""
    start = rng.randint(0, len(raw))
    return raw[:start] + raw[start + rng.randint(1, 30) :]


def _double(rng: random.Random, raw: bytes, _other: bytes) -> bytes:
    """A slice twice."""
    start = rng.randint(0, len(raw))
    end = start + rng.randint(1, 80)
    return raw[:end] + raw[start:end] + raw[end:]


def _splice(rng: random.Random, raw: bytes, other: bytes) -> bytes:
    """The start of one and the end of another, joined at a comma of each."""
    return _comma(rng, raw, ending=False) + _comma(rng, other, ending=True)


def _comma(rng: random.Random, raw: bytes, *, ending: bool) -> bytes:
    places = [place for place, byte in enumerate(raw) if byte == ord(",")] or [len(raw) // 2]
    place = rng.choice(places)
    return raw[place:] if ending else raw[:place]


def _replace_value(rng: random.Random, raw: bytes, _other: bytes) -> bytes:
    """Replace a value by another token."""
    places = [place + 1 for place, byte in enumerate(raw) if byte == ord(":")]
    if not places:
        return raw
    start = rng.choice(places)
    end = next((n for n in range(start, len(raw)) if raw[n] in b",}"), len(raw))
    return raw[:start] + rng.choice(_TOKENS) + raw[end:]


def _insert_token(rng: random.Random, raw: bytes, _other: bytes) -> bytes:
    """A token anywhere."""
    place = rng.randint(0, len(raw))
    return raw[:place] + rng.choice(_TOKENS) + raw[place:]


def _add_member(rng: random.Random, raw: bytes, _other: bytes) -> bytes:
    """Add a member, possibly a duplicate one."""
    return raw[:-1] + b"," + rng.choice(_MEMBERS) + rng.choice(_TOKENS) + b"}"


def _replace_digits(rng: random.Random, raw: bytes, _other: bytes) -> bytes:
    """Replace a digit by another digit, a point or an exponent."""
    places = [place for place, byte in enumerate(raw) if byte in b"0123456789"]
    if not places:
        return raw
    place = rng.choice(places)
    return raw[:place] + rng.choice((b"0", b"9", b".", b"-", b"e3", b"99999")) + raw[place + 1 :]


def _nest(rng: random.Random, raw: bytes, _other: bytes) -> bytes:
    """Nest arrays or objects, about as deep as the limit, and much deeper."""
    depth = rng.choice((1, 30, 31, 32, 33, 200, 5_000))
    opening, closing = rng.choice(((b"[", b"]"), (b'{"a":', b"}")))
    return raw[:-1] + b',"nested":' + opening * depth + b"1" + closing * depth + b"}"


def _lengthen(rng: random.Random, raw: bytes, _other: bytes) -> bytes:
    """A text that is as long as an id or a name may be, or a little more, or very long."""
    places = [place for place, byte in enumerate(raw) if byte == ord('"')]
    if not places:
        return raw
    place = rng.choice(places) + 1
    length = rng.choice((200, 255, 256, 257, 500, 511, 512, 513, 5_000))
    return raw[:place] + rng.choice((b"x", "é".encode(), "😀".encode())) * length + raw[place:]


def _wrap(rng: random.Random, raw: bytes, _other: bytes) -> bytes:
    """Put the event into a CloudEvent, valid or not."""
    if rng.random() < 0.3:
        encoded = b64encode(raw)
        cut = rng.choice((0, 0, 1, len(encoded) // 2))
        return b'{"specversion":"1.0","data_base64":"' + encoded[cut:] + b'"}'
    return b'{"specversion":' + rng.choice((b'"1.0"', b"1", b"null")) + b',"data":' + raw + b"}"


_MUTATIONS: Sequence[Callable[[random.Random, bytes, bytes], bytes]] = (
    _flip, _truncate, _insert, _drop, _double, _splice, _replace_value, _replace_value, _insert_token, _add_member,
    _replace_digits, _nest, _lengthen, _wrap,
)  # fmt: skip
