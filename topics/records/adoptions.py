"""Records about rulesets: catalogues, and adoptions with their place in the source."""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from consolidator.source_records import ADOPTION_PREFIX
from topics.records.bindings import Binding
from topics.records.record import Record
from topics.records.schema_version import require_known_version

__all__ = ["ADOPTION_PREFIX", "CATALOGUE_PREFIX", "Adoption", "KnownRulesets", "adoptions_in"]

CATALOGUE_PREFIX: Final = b"catalogue/"
_ADOPTION: Final = b"adoption/"

_SCHEMA_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Adoption:
    """The adoption of another ruleset by a partition, at an offset.

    Attributes:
        partition: of the source.
        offset: of the record that adopts it.
        before: the digest of the old ruleset.
        after: the digest of the new ruleset.
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
        return json.dumps({"schema_version": _SCHEMA_VERSION, "adopts": self.after, "instead_of": self.before}).encode()


@dataclass(frozen=True, slots=True)
class KnownRulesets:
    """The content of the topic ``rulesets``.

    Attributes:
        catalogues: JSON by digest.
        adoptions: by partition, in the order of their offsets.
        binding: the application id that the topics belong to; None: there is none yet.
    """

    catalogues: Mapping[str, bytes] = field(default_factory=dict)
    adoptions: Mapping[int, tuple[Adoption, ...]] = field(default_factory=dict)
    binding: Binding | None = None


def adoptions_in(record: Record) -> Iterator[Adoption]:
    """The adoption in a record, if the record is one.

    Raises:
        ContractError: it is of a later version. If it were ignored, the partition would continue with its old ruleset.
    """
    if not (record.key or b"").startswith(_ADOPTION) or record.value is None:
        return
    require_known_version(record, "an adoption", _SCHEMA_VERSION)
    with suppress(ValueError, KeyError, TypeError):
        partition, offset = map(int, (record.key or b"").removeprefix(_ADOPTION).split(b"/"))
        members = json.loads(record.value)
        yield Adoption(partition, offset, str(members["instead_of"]), str(members["adopts"]))
