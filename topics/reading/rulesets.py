"""Rulesets in Kafka: which catalogues there were, and from which offset on a partition was folded with which.

The topic ``rulesets`` has two kinds of records: ``catalogue/<digest>``, a catalogue as JSON; and
``adoption/<partition>/<offset>``, which says that a record of ``executions`` adopts a ruleset. That record itself,
under a key that no application has, makes a replay switch at the very offset at which the worker did. It counts only if
the other one is there, in the same transaction: whoever may publish events may not write to ``rulesets``.
"""

import json
from collections.abc import Container, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from topics.contract.declared import Topics
from topics.writing.delivery import Written, write_records
from topics.reading.positions import Beginning
from topics.reading.reader import Record, TopicReader

__all__ = ["ADOPTION_PREFIX", "Adoption", "KnownRulesets", "keep_catalogue", "read_rulesets"]

ADOPTION_PREFIX: Final = b"/ruleset/"
"""What the keys of adoptions in ``executions`` start with; an application's id is not empty."""

_CATALOGUE: Final = b"catalogue/"
_ADOPTION: Final = b"adoption/"


@dataclass(frozen=True, slots=True)
class Adoption:
    """From one offset on, another ruleset.

    Attributes:
        partition: of the source.
        offset: of the record that adopts it.
        before: the digest of the ruleset until then.
        after: the digest of the ruleset from then on.
    """

    partition: int
    offset: int
    before: str
    after: str

    @property
    def key(self) -> bytes:
        """The key in ``rulesets``."""
        return _ADOPTION + f"{self.partition}/{self.offset}".encode()

    @property
    def value(self) -> bytes:
        """The value, in both topics."""
        return json.dumps({"schema_version": 1, "adopts": self.after, "instead_of": self.before}).encode()


@dataclass(frozen=True, slots=True)
class KnownRulesets:
    """What the topic has.

    Attributes:
        catalogues: JSON by digest.
        adoptions: by partition, in the order of their offsets.
    """

    catalogues: Mapping[str, bytes] = field(default_factory=dict)
    adoptions: Mapping[int, tuple[Adoption, ...]] = field(default_factory=dict)


def keep_catalogue(config: Mapping[str, str | int], topics: Topics, digest: str, text: str) -> None:
    """Put a catalogue into the topic, and wait until it is there.

    Args:
        config: for librdkafka.
        topics: the declared topics.
        digest: the catalogue's.
        text: the catalogue as JSON.

    Raises:
        InfrastructureError: Kafka refuses it or does not answer.
    """
    write_records(config, [Written(topics.rulesets.name, 0, _CATALOGUE + digest.encode(), text.encode())])


def read_rulesets(config: Mapping[str, str | int], topics: Topics, *, settled: Container[int] = ()) -> KnownRulesets:
    """Read the topic as far as it goes.

    Args:
        config: for librdkafka.
        topics: the declared topics.
        settled: partitions whose adoptions must all be known: an adoption's record in the source can be read before
            its entry here, as the broker ends a transaction partition by partition. What is open is waited for.

    Raises:
        ContractError: there is no such topic.
        InfrastructureError: Kafka does not answer.
    """
    catalogues: dict[str, bytes] = {}
    adoptions: dict[int, dict[int, Adoption]] = {}
    with TopicReader(config, topics.rulesets.name, Beginning(), settled=settled) as reader:
        for record in reader.until_end():
            key = record.key or b""
            if key.startswith(_CATALOGUE) and record.value is not None:
                catalogues[key.removeprefix(_CATALOGUE).decode(errors="replace")] = record.value
            for adoption in _adoptions(record):
                adoptions.setdefault(adoption.partition, {})[adoption.offset] = adoption
    return KnownRulesets(
        catalogues,
        {
            partition: tuple(by_offset[offset] for offset in sorted(by_offset))
            for partition, by_offset in adoptions.items()
        },
    )


def _adoptions(record: Record) -> Iterator[Adoption]:
    """The adoption that a record tells of, if it does."""
    if not (record.key or b"").startswith(_ADOPTION) or record.value is None:
        return
    with suppress(ValueError, KeyError, TypeError):
        partition, offset = map(int, (record.key or b"").removeprefix(_ADOPTION).split(b"/"))
        members = json.loads(record.value)
        yield Adoption(partition, offset, str(members["instead_of"]), str(members["adopts"]))
