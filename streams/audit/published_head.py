"""The first members of a published record: its pair and its cause. The other members are not decoded."""

from typing import Final

import msgspec

from consolidator.keys import application_prefix

__all__ = ["PublishedHead", "head_of"]


class CausePlace(msgspec.Struct, frozen=True, gc=False):
    """Where the causing record stands."""

    partition: int
    offset: int


class PublishedHead(msgspec.Struct, frozen=True, gc=False):
    """The first members of a change or of current factors; current factors have no id."""

    application_id: str
    processor: str
    version: CausePlace
    id: str = ""
    schema_version: int = 1

    @property
    def pair_key(self) -> bytes:
        """The key of the pair, for its row and for its record in ``factors``."""
        return application_prefix(self.application_id) + self.processor.encode()


_HEAD: Final = msgspec.json.Decoder(PublishedHead)


def head_of(value: bytes) -> PublishedHead:
    """Read the head of a published value.

    Raises:
        msgspec.DecodeError: the value cannot be read.
    """
    return _HEAD.decode(value)
