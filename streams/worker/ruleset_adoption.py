"""The ruleset with which a partition continues, and its adoption of another one (``docs/decisions/0023``)."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial

import structlog

from consolidator.connecting.connection import Connection
from models.catalogue import Catalogue
from models.errors import ContractError
from models.rows import HalfwayMark, PartitionMark
from streams.core.rules import Rules
from streams.partition.adoption import Refolded
from streams.partition.batch import Outgoing
from streams.partition.ruleset_switches import RulesetSwitches
from streams.rulesets.binding import require_bound
from streams.rulesets.catalogue_file import catalogue_json
from streams.rulesets.rule_book import RuleBook, book_of
from streams.worker.patience import patiently
from streams.worker.round import Membership
from streams.worker.transactions.partition_transactions import PartitionTransactions
from topics.contract.declared import Topics
from topics.reading.erasures import ConfirmedErasures
from topics.reading.rulesets import read_rulesets
from topics.records.adoptions import ADOPTION_PREFIX, Adoption
from topics.writing.catalogues import keep_catalogue, require_one_content

__all__ = ["Resumed", "Rulesets"]

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Resumed:
    """The rules with which a partition continues.

    Attributes:
        rules: the rules.
        catalogue: the catalogue of these rules as JSON, if the partition goes over to this worker's; else None.
        adopted_at: the offset of the record that adopts them; None: that record is not written yet.
    """

    rules: Rules
    catalogue: str | None = None
    adopted_at: int | None = None


class Rulesets:
    """The rulesets of a worker: its own, and those in Kafka. Every method blocks.

    Args:
        connection: how to reach Kafka.
        topics: the declared topics.
        catalogue: what this worker was started with.
        adopt: name and version of the ruleset that partitions with another one adopt; None: such partitions are
            refused.
        patience_s: how long the worker asks Kafka again, once it has begun (after :meth:`admit`).

    Attributes:
        own: the ruleset that this worker was started with.
        erasures: knows which erasures count.
        taken_over: by partition, the offset up to which earlier versions consolidated, in which erasures needed no
            entry.

    Raises:
        ContractError: from every method: the partition has another ruleset, or Kafka has no such ruleset.
        InfrastructureError: from every method: Kafka does not answer.
    """

    def __init__(
        self, connection: Connection, topics: Topics, catalogue: Catalogue, *, adopt: str | None, patience_s: float
    ) -> None:
        self.own = Rules(catalogue)
        if adopt not in {None, self.own.name}:
            raise ContractError(
                f"--adopt-ruleset (CONSOLIDATOR_ADOPT_RULESET) names {adopt}, the catalogue is {self.own.name}: name "
                "the one that is meant, or leave it out. Nothing was done"
            )
        self._config = connection.librdkafka()
        self._patience_s = patience_s
        self.erasures = ConfirmedErasures(self._config, topics, partial(patiently, patience_s=patience_s))
        self.taken_over: dict[int, int] = {}
        self._topics = topics
        self._catalogue = catalogue
        self._adopts = adopt is not None

    def admit(self, app_id: str, prefix: str) -> None:
        """Raise unless this worker may work on the topics, with its application id and its catalogue.

        To be called before anything else. If the topics belong to no application id yet, they are bound to this one.

        Args:
            app_id: the application id.
            prefix: of the topics' names.
        """
        known = read_rulesets(self._config, self._topics, settled=[0])
        require_one_content(known.catalogues, self.own.digest, self.own_catalogue)
        binding = require_bound(self._config, self._topics, app_id, prefix, known.binding)
        self.taken_over = dict(binding.taken_over)

    def resume(self, partition: int, mark: PartitionMark | None) -> Resumed:
        """The rules with which a partition continues.

        1. If the state is of this worker's ruleset, or there is no state: this worker's rules.
        2. Otherwise the state's rules, up to a record that adopts this worker's. The record is in the log already, or
           is still to be written (:meth:`adopt`).

        Args:
            partition: the partition.
            mark: how far it is applied, and with which ruleset; None: no state.
        """
        # 1.
        # A halfway mark names the old ruleset.
        if mark is None or (mark.ruleset == self.own.tag and not isinstance(mark, HalfwayMark)):
            return Resumed(self.own)
        # 2.
        book = self._book(partition)
        pending = [adoption for adoption in book.adoptions(partition) if adoption.offset > mark.applied]
        if not pending and not self._adopts:
            raise ContractError(
                f"partition {partition} was folded with catalogue {mark.ruleset}, this worker has {self.own.tag}: "
                "start it with the catalogue of the state (CONSOLIDATOR_CATALOGUE), or go over to this one "
                f"(--adopt-ruleset {self.own.name}; see first what differs: consolidator compare --catalogue), or "
                "start over with another CONSOLIDATOR_APP_ID (consolidator topics bind), which rebuilds all factors "
                "with this one"
            )
        rules = book.of_tag(mark.ruleset)
        if not pending:
            return Resumed(rules, book.catalogue_text(rules.digest))
        for adoption in (pending[-1], pending[0]):
            if adoption.after != self.own.digest:
                raise self._other_adopted(adoption)
        return Resumed(rules, book.catalogue_text(rules.digest), pending[0].offset)

    @property
    def own_catalogue(self) -> str:
        """The catalogue that this worker was started with, as JSON."""
        return catalogue_json(self._catalogue)

    def switches(self, partition: int) -> RulesetSwitches:
        """The adoptions of a partition, looked up when the fold meets one."""
        return _Switches(self, partition)

    def adoptions(self, partition: int) -> tuple[Adoption, ...]:
        """The adoptions of a partition, read up to the end of what is readable now."""
        return self._book(partition).adoptions(partition)

    def require_own(self, adoption: Adoption) -> Rules:
        """This worker's rules.

        Raises:
            ContractError: the adoption is of another ruleset.
        """
        if adoption.after != self.own.digest:
            raise self._other_adopted(adoption)
        return self.own

    def keep(self) -> None:
        """Put this worker's catalogue into the topic of rulesets, unless it is there."""
        if self.own.digest not in self._book().digests:
            keep_catalogue(self._config, self._topics, self.own.digest, self.own_catalogue)
            _log.info("ruleset kept", ruleset=self.own.name, digest=self.own.digest, topic=self._topics.rulesets.name)

    def adopt(
        self,
        partition: int,
        applied: int,
        before: Rules,
        transactions: PartitionTransactions,
        membership: Membership,
    ) -> int:
        """Write the adoption of this worker's ruleset into the source, with its entry; return its offset.

        Args:
            partition: the partition.
            applied: how far it is applied.
            before: its ruleset.
            transactions: its transactions; none is open.
            membership: the member of the group as which this worker has the partition.

        The catalogue has to be there before (:meth:`keep`).
        """

        def adoption_at(offset: int) -> Adoption:
            return Adoption(partition, offset, before.digest, self.own.digest)

        def entry_at(offset: int) -> Outgoing:
            adoption = adoption_at(offset)
            return Outgoing(self._topics.rulesets.name, partition, adoption.key, adoption.value)

        # Each adoption needs a key of its own, or compaction would remove an earlier one.
        key = ADOPTION_PREFIX + f"{before.digest}/{self.own.digest}/{applied}".encode()
        record = Outgoing(self._topics.executions.name, partition, key, adoption_at(0).value)
        offset = transactions.announce(record, entry_at, membership)
        _log.info(
            "ruleset is adopted",
            partition=partition,
            offset=offset,
            instead_of=before.name,
            ruleset=self.own.name,
        )
        return offset

    def _book(self, *settled: int) -> RuleBook:
        asking = partial(patiently, patience_s=self._patience_s)
        return book_of(self._catalogue, self._config, self._topics, settled=settled, asking=asking)

    def _other_adopted(self, adoption: Adoption) -> ContractError:
        return ContractError(
            f"{self._topics.executions.name} partition {adoption.partition}: at offset {adoption.offset} the ruleset "
            f"with digest {adoption.after} was adopted, this worker has {self.own.tag}: start it with that catalogue "
            "(CONSOLIDATOR_CATALOGUE)"
        )


class _Switches:
    """See :class:`~streams.partition.ruleset_switches.RulesetSwitches`.

    Any publisher can write thousands of records that look like adoptions, so the topic of rulesets is read only once
    for all records that were fetched together.
    """

    def __init__(self, rulesets: Rulesets, partition: int) -> None:
        self._rulesets = rulesets
        self._partition = partition
        self._fetched = 0
        self._looked_up = 0
        self._adoptions: dict[int, Adoption] = {}

    def fetched(self, end: int) -> None:
        """See :class:`~streams.partition.ruleset_switches.RulesetSwitches`."""
        self._fetched = max(self._fetched, end)

    def rules_at(self, offset: int) -> Rules | None:
        """See :class:`~streams.partition.ruleset_switches.RulesetSwitches`."""
        if offset >= self._looked_up:
            fetched = self._fetched
            self._adoptions = {one.offset: one for one in self._rulesets.adoptions(self._partition)}
            self._looked_up = max(fetched, offset + 1)
        adoption = self._adoptions.get(offset)
        return None if adoption is None else self._rulesets.require_own(adoption)

    def refolded(self, offset: int, rules: Rules) -> AbstractContextManager[Refolded]:
        """See :class:`~streams.partition.ruleset_switches.RulesetSwitches`."""
        raise NotImplementedError("a worker folds a partition again in streams.worker.adoption_job only")
