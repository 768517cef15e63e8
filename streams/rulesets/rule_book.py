"""The ruleset of every offset, prepared for the fold, and the authority that decides which erasures count."""

from collections.abc import Callable, Container, Mapping
from functools import cached_property

from models.catalogue import Catalogue
from models.errors import CatalogueError, ContractError
from models.rows import Row
from streams.core.rules import Rules
from streams.rulesets.catalogue_file import catalogue_json, parse_catalogue
from topics.contract.declared import Topics
from topics.reading.erasures import ConfirmedErasures
from topics.reading.rulesets import read_rulesets
from topics.records.adoptions import Adoption, KnownRulesets
from topics.records.erasure_authority import ErasureAuthority, NoErasure
from topics.writing.catalogues import require_one_content

__all__ = ["RuleBook", "book_of"]


class RuleBook:
    """The rules of every offset, and the authority over its erasures.

    Args:
        configured: the settings' catalogue; it holds in a partition in which no ruleset was ever adopted.
        read: reads the other catalogues and the adoptions; called once, when they are first needed. A fold needs them
            after the log's end is known, so that no adoption before that end is missed.
        erasures: knows which erasures count; None: none does.

    Attributes:
        configured: the settings' catalogue.
        erasures: knows which erasures count.
    """

    def __init__(
        self,
        configured: Rules,
        read: Callable[[], KnownRulesets] = KnownRulesets,
        erasures: ErasureAuthority | None = None,
    ) -> None:
        self.configured = configured
        self.erasures = erasures or NoErasure()
        self._read = read
        self._prepared = {self.configured.digest: self.configured}

    @cached_property
    def _known(self) -> KnownRulesets:
        return self._read()

    @property
    def digests(self) -> frozenset[str]:
        """The digests of all catalogues in Kafka."""
        return frozenset(self._known.catalogues)

    def knows(self, digest: str) -> bool:
        """Whether there is a ruleset with this digest."""
        return digest == self.configured.digest or digest in self._known.catalogues

    def known_of(self, partition: int) -> KnownRulesets:
        """The adoptions and the catalogues that a partition's replay needs."""
        adoptions = self.adoptions(partition)
        digests = {digest for one in adoptions for digest in (one.before, one.after)}
        kept = {digest: raw for digest, raw in self._known.catalogues.items() if digest in digests}
        return KnownRulesets(kept, {partition: adoptions} if adoptions else {})

    def of_row(self, row: Row) -> Rules:
        """The rules with which a row was folded."""
        return self.of_tag(row.ruleset)

    def of_digest(self, digest: str) -> Rules:
        """The rules with a digest.

        Raises:
            ContractError: Kafka does not have that catalogue, or its content does not have that digest.
        """
        found = self._prepared.get(digest)
        if found is None:
            found = self._prepared[digest] = Rules(self.kept(digest))
        return found

    def of_tag(self, tag: str) -> Rules:
        """The rules by name and digest, as they stand in a row (:attr:`streams.core.rules.Rules.tag`)."""
        return self.of_digest(tag.rpartition("@")[2])

    def catalogue_text(self, digest: str) -> str:
        """The catalogue with a digest, as it is kept in Kafka: JSON.

        Raises:
            ContractError: Kafka does not have it, or its content does not have that digest.
        """
        self.kept(digest)
        return self._known.catalogues[digest].decode()

    def adoptions(self, partition: int) -> tuple[Adoption, ...]:
        """The adoptions of a partition, in order."""
        return self._known.adoptions.get(partition, ())

    def first(self, partition: int) -> Rules:
        """The rules at the beginning of a partition."""
        adoptions = self.adoptions(partition)
        return self.of_digest(adoptions[0].before) if adoptions else self.configured

    def last(self, partition: int, end: int) -> Rules:
        """The rules before an offset of a partition."""
        until = [adoption for adoption in self.adoptions(partition) if adoption.offset < end]
        return self.of_digest(until[-1].after) if until else self.first(partition)

    def adopted_at(self, partition: int, offset: int) -> Rules | None:
        """The rules that a record adopts; None: it adopts none."""
        return next((self.of_digest(one.after) for one in self.adoptions(partition) if one.offset == offset), None)

    def kept(self, digest: str) -> Catalogue:
        """A catalogue that is kept in Kafka.

        Raises:
            ContractError: Kafka does not have it, or its content does not have that digest.
        """
        raw = self._known.catalogues.get(digest)
        if raw is None:
            raise ContractError(
                f"the catalogue with digest {digest} is not in the topic of rulesets: start a worker with it once, "
                "which keeps it there"
            )
        try:
            catalogue = parse_catalogue(raw, suffix=".json", source=f"the catalogue of digest {digest} in Kafka")
        except CatalogueError as error:
            raise ContractError(str(error)) from None
        if catalogue.digest != digest:
            raise ContractError(f"the catalogue that is kept in Kafka as {digest} has the digest {catalogue.digest}")
        return catalogue


def book_of(
    catalogue: Catalogue,
    config: Mapping[str, str | int],
    topics: Topics,
    *,
    settled: Container[int] = (),
    asking: Callable[[Callable[[], KnownRulesets]], KnownRulesets] = lambda question: question(),
) -> RuleBook:
    """The rule book of an installation. Kafka is read when more than the settings' catalogue is first needed.

    Args:
        catalogue: the settings' catalogue.
        config: for librdkafka.
        topics: the declared topics.
        settled: see :func:`~topics.reading.rulesets.read_rulesets`.
        asking: asks Kafka what is given to it, for who wants to ask again.

    Raises:
        ContractError: from its methods, when the topic of rulesets is not there, or has another catalogue under the
            name and version of the settings' one.
        InfrastructureError: from its methods, when Kafka does not answer.
    """

    def read() -> KnownRulesets:
        known = asking(lambda: read_rulesets(config, topics, settled=settled))
        require_one_content(known.catalogues, catalogue.digest, catalogue_json(catalogue))
        return known

    return RuleBook(Rules(catalogue), read, ConfirmedErasures(config, topics))
