"""The head of a published record, read from Kafka: whose it is, and what caused it. The rest is not decoded."""

from typing import Final

import msgspec

from consolidator.keys import application_prefix

__all__ = ["PublishedHead", "head_of"]


class CausePlace(msgspec.Struct, frozen=True, gc=False):
    """Where the causing record stands."""

    partition: int
    offset: int


class PublishedHead(msgspec.Struct, frozen=True, gc=False):
    """What a change, or current factors, begin with; current factors have no id."""

    application_id: str
    processor: str
    version: CausePlace
    id: str = ""
    schema_version: int = 1

    @property
    def pair_key(self) -> bytes:
        """The key of the pair: of its row, and of its record in ``factors``."""
        return application_prefix(self.application_id) + self.processor.encode()


_HEAD: Final = msgspec.json.Decoder(PublishedHead)


def head_of(value: bytes) -> PublishedHead:
    """Read the head of a published value.

    Raises:
        msgspec.DecodeError: it is not what a worker publishes.
    """
    return _HEAD.decode(value)
