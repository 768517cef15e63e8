"""A partition that goes over to another ruleset, with interruptions at chosen places, and without Kafka."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

from models.catalogue import Catalogue
from models.rows import PartitionMark
from streams.core.rules import Rules
from streams.partition.batch import Batch, Outgoing
from streams.partition.batch_parts import fold_in_parts
from streams.partition.partition_fold import PartitionFold
from streams.partition.ruleset_switches import NoSwitches
from streams.partition.state.row_codec import MARK_KEY, decode_row
from streams.replay.application_log import KeptLog
from streams.replay.replay import Replay, folded_until
from streams.replay.tables import MemoryTable
from streams.rulesets.catalogue_file import catalogue_json
from streams.rulesets.rule_book import RuleBook
from tests.inputs.workloads import Item, load_catalogue
from tests.oracle.folds import MAX_EVENT_BYTES, RECORDED_MS, StoredRows, catalogue_of, record_of, topics_of
from topics.reading.ranges import Range
from topics.records.adoptions import ADOPTION_PREFIX, Adoption, KnownRulesets
from topics.records.erasure_authority import EveryErasure
from topics.records.record import Record

__all__ = ["AdoptedLog", "AdoptingWorker", "adopted_sample", "sample"]


def sample(version: str, **factors: Any) -> Catalogue:
    """The sample catalogue in a version, with these factors of ``bank_statement`` instead of its own or beside them."""
    catalogue = load_catalogue() | {"version": version}
    catalogue["processors"]["bank_statement"]["factors"] |= factors
    return catalogue_of(catalogue)


def adopted_sample(items: Sequence[Item], at: int) -> "AdoptedLog":
    """A log in which another version of the sample catalogue is adopted: of one factor the highest, not the mean."""
    highest = {"reducer": "max", "field": "f_revenue_monthly"}
    return AdoptedLog(sample("1"), sample("2", f_revenue_monthly_avg=highest), items, at)


@dataclass(frozen=True)
class AdoptedLog:
    """A log of one partition in which another catalogue is adopted.

    Attributes:
        before: the old catalogue.
        after: the new catalogue.
        items: the published items, without the adoption.
        at: how many of them come before the adoption.
    """

    before: Catalogue
    after: Catalogue
    items: Sequence[Item]
    at: int

    @property
    def log(self) -> KeptLog:
        """The log, with the adoption in it."""
        records = []
        for offset, item in enumerate([*self.items[: self.at], self.adoption, *self.items[self.at :]]):
            if isinstance(item, Adoption):
                records.append(Record("executions", 0, offset, RECORDED_MS, ADOPTION_PREFIX + b"x", item.value, ()))
            else:
                found = record_of(offset, item)
                records.append(Record("executions", 0, offset, found.timestamp, found.key, found.value, ()))
        return KeptLog("executions", 1, records)

    @property
    def adoption(self) -> Adoption:
        """The adoption."""
        return Adoption(0, self.at, self.before.digest, self.after.digest)

    @property
    def book(self) -> RuleBook:
        """The rules of every offset."""
        texts = {one.digest: catalogue_json(one).encode() for one in (self.before, self.after)}
        return RuleBook(Rules(self.after), lambda: KnownRulesets(texts, {0: (self.adoption,)}), EveryErasure())

    def replayed(self) -> tuple[dict[bytes, bytes], list[Outgoing]]:
        """The rows of a replay, and all records that it would publish."""
        log, rows = self.log, MemoryTable()
        replay = Replay(topics_of(), self.book, rows, MAX_EVENT_BYTES, open_log=lambda: nullcontext(log))
        sent = [
            one for replayed in replay.run(log, {0: Range(0, 0, len(log.records))}) for one in replayed.folded.outgoing
        ]
        return dict(rows.between(b"", None)), sent


@dataclass
class AdoptingWorker:
    """A worker that dies after given numbers of transactions; each time another worker follows.

    Attributes:
        adopted: the log.
        part_pairs: the greatest number of pairs that go over in one transaction.
        lives: the number of transactions of each worker; the last one does not die.
        rows: the stored rows.
        sent: everything that was published, in order.
        marks: the mark after each transaction.
    """

    adopted: AdoptedLog
    part_pairs: int
    lives: Sequence[int] = ()
    batch_records: int = 4
    rows: StoredRows = field(default_factory=StoredRows)
    sent: list[Outgoing] = field(default_factory=list)
    marks: list[PartitionMark] = field(default_factory=list)

    def run(self) -> None:
        """Fold the log to its end."""
        for transactions in (*self.lives, len(self.rows) + 10**6):
            self.live(transactions)

    def stored(self) -> Mapping[bytes, Any]:
        """The rows, without the mark."""
        return {key: raw for key, raw in self.rows.items() if key != MARK_KEY}

    def switches(self) -> "_Switches":
        """The refolded pairs that the fold needs to go over."""
        return _Switches(self.adopted.log, self.adopted.book)

    def batch_at(self, offset: int) -> Batch:
        """A batch of one record."""
        return Batch("executions", 0, offset, offset + 1, [self.adopted.log.records[offset]])

    def live(self, transactions: int) -> None:
        """Continue from the stored rows, and die after a number of transactions."""
        log = self.adopted.log
        book = self.adopted.book
        raw = self.rows.get(MARK_KEY)
        mark = None if raw is None else decode_row(raw)
        rules = book.first(0) if mark is None else book.of_tag(mark.ruleset)  # type: ignore[union-attr]
        fold = PartitionFold(
            0,
            topics_of(),
            rules,
            self.rows,
            max_event_bytes=MAX_EVENT_BYTES,
            cached_pairs=2,
            cached_weight=10**6,
            switches=self.switches(),
            authority=EveryErasure(),
        )
        start = fold.mark.applied + 1
        for batch in _batches(log.records[start:], start, self.batch_records):
            for _, folded in fold_in_parts(fold, batch, part_pairs=self.part_pairs):
                if not transactions:
                    # This part was folded, and not committed.
                    return
                transactions -= 1
                self.sent += folded.outgoing
                self.rows.store(folded.rows())
                self.marks.append(folded.mark)
                fold.written(folded)


def _batches(records: Sequence[Record], start: int, size: int) -> Iterable[Batch]:
    for first in range(0, len(records), size):
        part = records[first : first + size]
        yield Batch("executions", 0, start + first, start + first + len(part), part)


@dataclass(frozen=True)
class _Switches(NoSwitches):
    log: KeptLog
    book: RuleBook

    def rules_at(self, offset: int) -> Rules | None:
        return self.book.adopted_at(0, offset)

    def refolded(self, offset: int, rules: Rules) -> Any:
        return folded_until(
            lambda: nullcontext(self.log), topics_of(), rules, 0, offset, max_event_bytes=MAX_EVENT_BYTES
        )
