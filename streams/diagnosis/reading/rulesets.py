"""Which ruleset each partition has, by the topic of rulesets alone: no change has to be read for that."""

from collections.abc import Mapping
from dataclasses import dataclass

from models.errors import CatalogueError
from streams.rulesets.catalogue_file import parse_catalogue
from topics.contract.declared import Topics
from topics.reading.rulesets import read_rulesets
from topics.records.adoptions import KnownRulesets

__all__ = ["LiveRulesets", "read_live"]

_SHOWN_DIGITS = 8


@dataclass(frozen=True, slots=True)
class LiveRulesets:
    """The rulesets of an installation.

    Attributes:
        names: name and version of each kept ruleset, by digest.
        by_partition: the digest of each partition's ruleset; None: several are kept and none was adopted there.
        bound_to: the application id to which the topics belong; None: to none yet.
    """

    names: Mapping[str, str]
    by_partition: Mapping[int, str | None]
    bound_to: str | None

    @property
    def digests(self) -> frozenset[str]:
        """The digests of all partitions, as far as they are known."""
        return frozenset(digest for digest in self.by_partition.values() if digest is not None)

    def text(self, digest: str) -> str:
        """A ruleset's name and version, and the beginning of its digest."""
        return f"{self.names.get(digest, 'a ruleset that is not kept')} ({digest[:_SHOWN_DIGITS]})"

    def members(self) -> dict[str, object]:
        """As a JSON object."""
        return {
            "bound_to": self.bound_to,
            "partitions": [
                {
                    "partition": partition,
                    "ruleset": None if digest is None else self.names.get(digest),
                    "digest": digest,
                }
                for partition, digest in sorted(self.by_partition.items())
            ],
        }


def read_live(config: Mapping[str, str | int], topics: Topics) -> LiveRulesets:
    """The rulesets that the partitions have now.

    Raises:
        ContractError: there is no topic of rulesets, or it may not be read.
        InfrastructureError: Kafka does not answer.
    """
    return live_of(read_rulesets(config, topics), topics.partitions)


def live_of(known: KnownRulesets, partitions: int) -> LiveRulesets:
    """The rulesets that the partitions have, by what is kept in Kafka.

    A partition has the ruleset that it adopted last. One that never adopted any has what the others had before their
    first adoption, or the only ruleset that is kept.

    Args:
        known: what the topic of rulesets has.
        partitions: how many there are.
    """
    adopted = {partition: adoptions for partition, adoptions in known.adoptions.items() if adoptions}
    firsts = {adoptions[0].before for adoptions in adopted.values()} or set(known.catalogues)
    first = firsts.pop() if len(firsts) == 1 else None
    live = {one: adopted[one][-1].after if one in adopted else first for one in range(partitions)}
    binding = known.binding
    return LiveRulesets(
        {digest: _name(raw) for digest, raw in known.catalogues.items()},
        live if known.catalogues or adopted else {},
        None if binding is None else binding.app_id,
    )


def _name(raw: bytes) -> str:
    try:
        catalogue = parse_catalogue(raw, suffix=".json", source="the catalogue in Kafka")
    except CatalogueError:
        return "a ruleset of a later version"
    return f"{catalogue.name}/{catalogue.version}"
