"""Evidence about one application: its records, the rules and the offsets, as values that are checked without Kafka."""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Final

from models.catalogue import Catalogue
from models.errors import ContractError
from streams.audit.verification.findings import Finding, PlaceInTopic
from streams.audit.verification.verify import Report, Verification
from streams.core.rules import Rules
from streams.replay.application_log import KeptLog
from streams.replay.tables import MemoryTable
from streams.rulesets.rule_book import RuleBook
from topics.contract.declared import Topics, declare
from topics.reading.ranges import Range
from topics.records.adoptions import ADOPTION_PREFIX, KnownRulesets
from topics.records.erasure_authority import EveryErasure
from topics.records.record import Record

__all__ = ["Evidence", "EvidenceCheck", "TopicNames", "checked"]


@dataclass(frozen=True, slots=True)
class TopicNames:
    """The topics that the records were read from, and how many partitions each has."""

    executions: str
    factor_changes: str
    factors: str
    partitions: int

    @classmethod
    def of(cls, topics: Topics) -> "TopicNames":
        """The topics of an installation."""
        return cls(topics.executions.name, topics.factor_changes.name, topics.factors.name, topics.partitions)

    def topics(self) -> Topics:
        """The declaration that the fold needs; it uses only the names and the partition count."""
        plain = declare(
            "",
            app_id="evidence",
            partitions=self.partitions,
            replication_factor=1,
            audit_window_days=0,
            max_event_bytes=0,
        )
        return replace(
            plain,
            executions=replace(plain.executions, name=self.executions),
            factor_changes=replace(plain.factor_changes, name=self.factor_changes),
            factors=replace(plain.factors, name=self.factors),
        )


@dataclass(frozen=True, slots=True)
class Evidence:
    """All records about one application, up to the offset that the worker had committed.

    Attributes:
        application_id: the application.
        topics: where the records were read.
        partition: the application's partition.
        first: the first offset of ``executions`` that the partition still had.
        end: the offset before which the range ends.
        max_event_bytes: larger events are dead letters.
        catalogue: the rules at the beginning, or throughout.
        rulesets: what the partition adopted, and those catalogues.
        executions: its source records, without those of erased events.
        changes: its records of ``factor-changes``.
        factors: its records of ``factors``.
        left_out: how many records of erased events were left out.
    """

    application_id: str
    topics: TopicNames
    partition: int
    first: int
    end: int
    max_event_bytes: int
    catalogue: Catalogue
    rulesets: KnownRulesets
    executions: Sequence[Record]
    changes: Sequence[Record]
    factors: Sequence[Record]
    left_out: int

    @property
    def is_empty(self) -> bool:
        """Whether no record is the application's. Adoptions belong to no application, so they do not count."""
        own = [record for record in self.executions if not (record.key or b"").startswith(ADOPTION_PREFIX)]
        return not (own or self.changes or self.factors)


class EvidenceCheck:
    """Folds the events of some evidence again, and compares.

    Args:
        evidence: what to check.
    """

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._log = KeptLog(evidence.topics.executions, evidence.topics.partitions, evidence.executions)
        self._verification = Verification(
            evidence.topics.topics(),
            # Erasures without effect were left out when the evidence was collected.
            RuleBook(Rules(evidence.catalogue), lambda: evidence.rulesets, EveryErasure()),
            lambda _: MemoryTable(),
            evidence.max_event_bytes,
            application_id=evidence.application_id,
            look_up=self._look_up,
            open_log=lambda: nullcontext(self._log),
        )

    def run(self) -> Iterator[Finding]:
        """Every difference between what was published and what the events give."""
        evidence = self._evidence
        yield from self._verification.index(evidence.changes)
        ranges = {evidence.partition: Range(evidence.first, evidence.first, evidence.end)}
        ends = {evidence.partition: evidence.end}
        yield from self._verification.run(self._log, ranges, ends, evidence.factors)

    def report(self) -> Report:
        """After :meth:`run`: the report, with the offsets that it covers and the counts."""
        return self._verification.report()

    def _look_up(self, place: PlaceInTopic) -> bytes | None:
        for record in (*self._evidence.changes, *self._evidence.factors):
            if (record.topic, record.partition, record.offset) == (place.topic, place.partition, place.offset):
                return record.value
        return None


def checked(evidence: Evidence, source: str) -> tuple[list[Finding], Report]:
    """Check evidence that was read from files, and may be forged.

    Args:
        evidence: what to check.
        source: the name of the evidence in messages.

    Raises:
        ContractError: its records and rules do not belong together in a way that no installation can have written.
    """
    check = EvidenceCheck(evidence)
    try:
        return list(check.run()), check.report()
    except _NONSENSE as error:
        raise ContractError(f"{source} has no evidence that can be checked: {type(error).__name__}: {error}") from error


_NONSENSE: Final = (ArithmeticError, AssertionError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""The errors that folding and comparing raise if records contradict themselves, such as by impossible offsets."""
