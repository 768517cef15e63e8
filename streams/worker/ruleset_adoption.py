"""With which ruleset a partition goes on, and how it goes over to another one (``docs/decisions/0012``)."""

from contextlib import AbstractContextManager

import structlog

from models.catalogue import Catalogue
from models.errors import ContractError
from models.rows import PartitionMark
from streams.core.rules import Rules
from streams.partition.batch import Outgoing
from streams.partition.row_codec import RowReader
from streams.partition.ruleset_switches import RulesetSwitches
from streams.replay.replay import folded_until
from streams.replay.source_log import source_reader
from streams.rulesets.catalogue_file import catalogue_json
from streams.rulesets.rule_book import RuleBook, book_of
from streams.worker.transactions.partition_transactions import PartitionTransactions
from topics.cluster.connection import Connection
from topics.contract.declared import Topics
from topics.records.adoptions import ADOPTION_PREFIX, Adoption
from topics.writing.catalogues import keep_catalogue

__all__ = ["Rulesets"]

_log = structlog.get_logger()


class Rulesets:
    """What a worker knows of rulesets. Every method blocks.

    Args:
        connection: how to reach Kafka.
        topics: the declared topics.
        catalogue: what this worker was started with.
        adopt: whether partitions of another ruleset go over to it.
        max_event_bytes: larger events become dead letters.

    Attributes:
        own: the ruleset that this worker was started with.

    Raises:
        ContractError: from every method: another ruleset is in the way, or is not to be had.
        InfrastructureError: from every method: Kafka does not answer.
    """

    def __init__(
        self, connection: Connection, topics: Topics, catalogue: Catalogue, *, adopt: bool, max_event_bytes: int
    ) -> None:
        self.own = Rules(catalogue)
        self._config = connection.librdkafka()
        self._topics = topics
        self._catalogue = catalogue
        self._adopt = adopt
        self._max_event_bytes = max_event_bytes

    def resume(self, partition: int, mark: PartitionMark | None, transactions: PartitionTransactions) -> Rules:
        """The rules with which a partition goes on.

        1. State of this worker's ruleset, or none: with that.
        2. Otherwise with the state's, up to a record that adopts this worker's: one that is in the log already, or one
           that is written now.

        Args:
            partition: the partition.
            mark: how far it is applied, and with which ruleset; None: no state.
            transactions: its transactions, fenced.
        """
        # 1.
        if mark is None or mark.ruleset == self.own.tag:
            return self.own
        # 2.
        book = self._book(partition)
        pending = [adoption for adoption in book.adoptions(partition) if adoption.offset > mark.applied]
        if not pending and not self._adopt:
            raise ContractError(
                f"partition {partition} was folded with catalogue {mark.ruleset}, this worker has {self.own.tag}: "
                "start it with the catalogue of the state (CONSOLIDATOR_CATALOGUE), or go over to this one "
                "(--adopt-ruleset; see first what differs: consolidator compare --catalogue), or begin anew under "
                "another CONSOLIDATOR_APP_ID, which rebuilds all factors with it"
            )
        rules = book.of_tag(mark.ruleset)
        if not pending:
            self._write(partition, mark.applied, rules, transactions)
        elif pending[-1].after != self.own.digest:
            raise self._other_adopted(pending[-1])
        return rules

    def switches(self, partition: int) -> RulesetSwitches:
        """The adoptions of a partition, looked up when the fold meets one."""
        return _Switches(self, partition)

    def adopted_at(self, partition: int, offset: int) -> Rules | None:
        """This worker's rules, if the record at an offset adopts them; None: it adopts none.

        Raises:
            ContractError: it adopts others.
        """
        adoption = next((one for one in self._book(partition).adoptions(partition) if one.offset == offset), None)
        if adoption is None:
            return None
        if adoption.after != self.own.digest:
            raise self._other_adopted(adoption)
        return self.own

    def refolded(self, partition: int, offset: int, rules: Rules) -> AbstractContextManager[RowReader]:
        """See :class:`~streams.partition.ruleset_switches.RulesetSwitches`."""
        return folded_until(
            lambda: source_reader(self._config, self._topics),
            self._topics,
            rules,
            partition,
            offset,
            max_event_bytes=self._max_event_bytes,
        )

    def keep(self) -> None:
        """Put this worker's catalogue into the topic of rulesets, unless it is there."""
        if self.own.digest not in self._book().digests:
            keep_catalogue(self._config, self._topics, self.own.digest, catalogue_json(self._catalogue))
            _log.info("ruleset kept", ruleset=self.own.name, digest=self.own.digest, topic=self._topics.rulesets.name)

    def _write(self, partition: int, applied: int, before: Rules, transactions: PartitionTransactions) -> None:
        """Write the adoption of this worker's ruleset into the source, and where it stands."""

        def adoption_at(offset: int) -> Adoption:
            return Adoption(partition, offset, before.digest, self.own.digest)

        def entry_at(offset: int) -> Outgoing:
            adoption = adoption_at(offset)
            return Outgoing(self._topics.rulesets.name, partition, adoption.key, adoption.value)

        self.keep()
        # Never the same key again: compaction would take an earlier adoption away.
        key = ADOPTION_PREFIX + f"{before.digest}/{self.own.digest}/{applied}".encode()
        record = Outgoing(self._topics.executions.name, partition, key, adoption_at(0).value)
        offset = transactions.announce(record, entry_at)
        _log.info(
            "ruleset is adopted",
            partition=partition,
            offset=offset,
            instead_of=before.name,
            ruleset=self.own.name,
        )

    def _book(self, *settled: int) -> RuleBook:
        return book_of(self._catalogue, self._config, self._topics, settled=settled)

    def _other_adopted(self, adoption: Adoption) -> ContractError:
        return ContractError(
            f"{self._topics.executions.name} partition {adoption.partition}: at offset {adoption.offset} the ruleset "
            f"with digest {adoption.after} was adopted, this worker has {self.own.tag}: start it with that catalogue "
            "(CONSOLIDATOR_CATALOGUE)"
        )


class _Switches:
    """See :class:`~streams.partition.ruleset_switches.RulesetSwitches`."""

    def __init__(self, rulesets: Rulesets, partition: int) -> None:
        self._rulesets = rulesets
        self._partition = partition

    def rules_at(self, offset: int) -> Rules | None:
        """See :class:`~streams.partition.ruleset_switches.RulesetSwitches`."""
        return self._rulesets.adopted_at(self._partition, offset)

    def refolded(self, offset: int, rules: Rules) -> AbstractContextManager[RowReader]:
        """See :class:`~streams.partition.ruleset_switches.RulesetSwitches`."""
        return self._rulesets.refolded(self._partition, offset, rules)
