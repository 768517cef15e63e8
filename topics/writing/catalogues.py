"""Write catalogues to the topic of rulesets. A name and version can never have two contents."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from models.errors import ContractError
from topics.contract.declared import Topics
from topics.records.adoptions import CATALOGUE_PREFIX
from topics.writing.delivery import Written, write_records

__all__ = ["keep_catalogue", "require_one_content"]

_NONE: Final[Mapping[str, bytes]] = MappingProxyType({})


class _Head(msgspec.Struct):
    """The name and version in a catalogue's text."""

    name: str
    version: str


def require_one_content(kept: Mapping[str, bytes], digest: str, text: str | bytes) -> None:
    """Refuse a catalogue if the topic has another content with the same name and version.

    A catalogue that is in the topic itself is always accepted.

    Args:
        kept: the catalogues in the topic, as JSON by digest.
        digest: the catalogue's.
        text: the catalogue as JSON.

    Raises:
        ContractError: there is another content; the message names both digests, and what to do.
    """
    if digest in kept:
        return
    head = msgspec.json.decode(text, type=_Head)
    for other, raw in kept.items():
        if _head_of(raw) == head:
            name = f"{head.name}/{head.version}"
            raise ContractError(
                f"a version has only one content: the topic has {name}@{other} already, this catalogue is "
                f"{name}@{digest}. Give it a new version (CONSOLIDATOR_CATALOGUE names the file), or use the catalogue "
                "of the topic, or start over with another CONSOLIDATOR_APP_ID and CONSOLIDATOR_TOPIC_PREFIX"
            )


def keep_catalogue(
    config: Mapping[str, str | int],
    topics: Topics,
    digest: str,
    text: str,
    *,
    kept: Mapping[str, bytes] = _NONE,
) -> None:
    """Put a catalogue into the topic, and wait until it is there.

    Args:
        config: for librdkafka.
        topics: the declared topics.
        digest: the catalogue's.
        text: the catalogue as JSON.
        kept: the catalogues in the topic.

    Raises:
        ContractError: another content has its name and version.
        InfrastructureError: Kafka refuses it or does not answer.
    """
    require_one_content(kept, digest, text)
    write_records(config, [Written(topics.rulesets.name, 0, CATALOGUE_PREFIX + digest.encode(), text.encode())])


def _head_of(raw: bytes) -> _Head | None:
    try:
        return msgspec.json.decode(raw, type=_Head)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
