"""What holds at each offset: the rulesets that Kafka knows, ready for the fold, and who tells which erasures count."""

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
        configured: what the settings say; they hold in a partition in which nothing was ever adopted.
        read: gives the other catalogues, and the adoptions, when first asked for. Whoever folds a log asks after the
            log's end is known, so that no adoption before that end is missed.
        erasures: knows which erasures count; None: none does.

    Attributes:
        configured: what the settings say.
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
        """Of every catalogue that is kept in Kafka."""
        return frozenset(self._known.catalogues)

    def knows(self, digest: str) -> bool:
        """Whether there is a ruleset with this digest."""
        return digest == self.configured.digest or digest in self._known.catalogues

    def known_of(self, partition: int) -> KnownRulesets:
        """What a partition's replay needs of it."""
        adoptions = self.adoptions(partition)
        digests = {digest for one in adoptions for digest in (one.before, one.after)}
        kept = {digest: raw for digest, raw in self._known.catalogues.items() if digest in digests}
        return KnownRulesets(kept, {partition: adoptions} if adoptions else {})

    def of_row(self, row: Row) -> Rules:
        """The rules of a row."""
        return self.of_tag(row.ruleset)

    def of_digest(self, digest: str) -> Rules:
        """The rules with a digest.

        Raises:
            ContractError: nobody has kept that catalogue, or it is not what its digest says.
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
            ContractError: nobody has kept it, or it is not what its digest says.
        """
        self.kept(digest)
        return self._known.catalogues[digest].decode()

    def adoptions(self, partition: int) -> tuple[Adoption, ...]:
        """What a partition adopted, in order."""
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
            ContractError: nobody has kept it, or it is not what its digest says.
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
    catalogue: Catalogue, config: Mapping[str, str | int], topics: Topics, *, settled: Container[int] = ()
) -> RuleBook:
    """The rule book of an installation, read when it is first asked for more than what the settings say.

    Args:
        catalogue: what the settings say.
        config: for librdkafka.
        topics: the declared topics.
        settled: as of :func:`~topics.reading.rulesets.read_rulesets`.

    Raises:
        ContractError: from its methods, when the topic of rulesets is not there, or has another content under the name
            and version of what the settings say.
        InfrastructureError: from its methods, when Kafka does not answer.
    """

    def read() -> KnownRulesets:
        known = read_rulesets(config, topics, settled=settled)
        require_one_content(known.catalogues, catalogue.digest, catalogue_json(catalogue))
        return known

    return RuleBook(Rules(catalogue), read, ConfirmedErasures(config, topics))
