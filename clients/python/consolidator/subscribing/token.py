"""Tokens: where a subscription goes on, in a text that names everything it depends on.

``c1.`` and, in base 64 for addresses, a checksum (CRC-32) and MessagePack. Callers keep it as it is: what is in it may
change with any release.
"""

import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha256
from typing import Final

import msgspec

from consolidator.errors import TokenError
from consolidator.subscribing.start import Filter

__all__ = ["Stamp", "Token", "filter_digests", "read_token", "write_token"]

_PREFIX: Final = "c1."
_ANY_PREFIX: Final = "c"
_CHECKSUM_BYTES: Final = 4
_DIGEST_BYTES: Final = 8
_MEMBERS: Final = ("applications", "processors", "factors", "outcomes", "kinds")

_Position = tuple[int, int, int, bytes]


class Stamp(msgspec.Struct, frozen=True, array_like=True):
    """What a token belongs to.

    Attributes:
        cluster: the cluster's id.
        prefix: of the topics' names.
        changes: the id of ``factor-changes`` (KIP-516); "" where the cluster gives topics none.
        factors: the id of ``factors``.
        partitions: how many both have.
        filter: a digest of each member of the filter; see :func:`filter_digests`.
    """

    cluster: str
    prefix: str
    changes: str
    factors: str
    partitions: int
    filter: tuple[bytes, ...]

    def refuse_other(self, other: "Stamp") -> None:
        """Raise if a token's stamp shows that the caller has given a wrong one.

        Args:
            other: the token's.

        Raises:
            TokenError: it is of another cluster, of other topics or of another filter.
        """
        if other.cluster != self.cluster:
            raise TokenError(f"the token is of another cluster: of {other.cluster}, and this one is {self.cluster}")
        if other.prefix != self.prefix:
            raise TokenError(
                f"the token is of the topics {other.prefix}factors and {other.prefix}factor-changes, the subscription "
                f"of {self.prefix}factors and {self.prefix}factor-changes (CONSOLIDATOR_TOPIC_PREFIX)"
            )
        differing = [name for name, mine, its in zip(_MEMBERS, self.filter, other.filter, strict=False) if mine != its]
        if differing or len(self.filter) != len(other.filter):
            raise TokenError(
                f"the token is of another filter: {', '.join(differing) or 'it'} differs. Records that only the new "
                "filter lets pass would be missing from before the token: take a snapshot, or the filter of the token"
            )

    def differs_in(self, other: "Stamp") -> str | None:
        """What happened to the topics since a token was made; None: nothing.

        Args:
            other: the token's.
        """
        for name, mine, its in (
            ("factor-changes", self.changes, other.changes),
            ("factors", self.factors, other.factors),
        ):
            if mine != its:
                return f"the topic {self.prefix}{name} was re-created: its id was {its}, and is {mine}"
        if self.partitions != other.partitions:
            return f"the topics have {self.partitions} partitions, and had {other.partitions}"
        return None


class Token(msgspec.Struct, frozen=True, array_like=True):
    """What is in a token.

    Attributes:
        stamp: what it belongs to.
        fresh_ms: when the subscription had last read everything that there was, or had begun, in milliseconds since the
            epoch: no tombstone that was written before is missing.
        positions: by partition; see :class:`~consolidator.subscribing.positions.Position`.
    """

    stamp: Stamp
    fresh_ms: int
    positions: dict[int, _Position]


_DECODER: Final = msgspec.msgpack.Decoder(Token)


def filter_digests(wanted: Filter) -> tuple[bytes, ...]:
    """A digest of each member of a filter, so that a token can name what differs."""
    return tuple(
        b"" if not values else sha256(msgspec.json.encode(sorted(values))).digest()[:_DIGEST_BYTES]
        for values in (getattr(wanted, name) for name in _MEMBERS)
    )


def write_token(stamp: Stamp, positions: Mapping[int, _Position], fresh_ms: int) -> str:
    """Make a token.

    Args:
        stamp: what it belongs to.
        positions: how far each partition was read.
        fresh_ms: see :class:`Token`.
    """
    content = msgspec.msgpack.encode(Token(stamp, fresh_ms, dict(positions)))
    whole = zlib.crc32(content).to_bytes(_CHECKSUM_BYTES, "big") + content
    return _PREFIX + urlsafe_b64encode(whole).rstrip(b"=").decode()


def read_token(text: str) -> Token:
    """Take a token apart.

    Raises:
        TokenError: it is damaged, none at all, or of a later version of this package.
    """
    if not text.startswith(_PREFIX):
        later = text.startswith(_ANY_PREFIX) and text[1:].partition(".")[0].isdecimal()
        raise TokenError(
            "the token is of a later version of factor-consolidator-client: use that, or a later one"
            if later
            else f"start: {text[:40]!r} is no token, and neither 'snapshot' nor 'beginning'"
        )
    encoded = text.removeprefix(_PREFIX)
    try:
        whole = urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
        content = whole[_CHECKSUM_BYTES:]
        is_whole = zlib.crc32(content) == int.from_bytes(whole[:_CHECKSUM_BYTES], "big")
        found = _DECODER.decode(content) if is_whole else None
    except (ValueError, msgspec.MsgspecError):
        found = None
    if found is None:
        raise TokenError("the token is damaged: it is not as it was when it was given out")
    return found
