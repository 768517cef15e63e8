"""One cut becomes rows, in one transaction; or nothing of it does."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, Engine, select, union

from consolidator.keys import application_prefix
from models.errors import BadEventError
from streams.partition.state.erased_events import erased_hash
from streams.sink.bulk import Bulk, Refused
from streams.sink.change_plan import ChangePlan, plan_changes
from streams.sink.database import transaction
from streams.sink.event_plan import EventPlan, plan_events
from streams.sink.failures import BAD_ROW
from streams.sink.lane import Cut
from streams.sink.ownership import ERASED, Ownership, move
from streams.sink.rows import Row, letter_row, place_of
from streams.sink.schema import CURRENT, Tables
from streams.sink.sets.table_sets import sets_beside
from streams.sink.source_rows import LIFTED, RowsBeside, copy_row, further_copies, has_adoption, rows_beside
from topics.contract.declared import Topics
from topics.records.adoptions import KnownRulesets
from topics.records.dead_letter_format import DeadLetter, marked_letter
from topics.records.erasure_authority import ErasureAuthority, confirmed_erasure
from topics.records.erasures import Erasure, salted_hash
from topics.records.record import Record

__all__ = ["CutWriter", "Planned", "Written"]

_EVENT_ID: Final = 3
_REDRIVEN: Final = "redriven"

_NOT_WAITING_FOR_THE_DISK: Final = "SET LOCAL synchronous_commit = off"
"""After a crash of the server the last transactions may be gone, each as a whole and with its position: they are
written again from the log. Taking a partition over does wait for the disk, and so for all transactions before."""


@dataclass(frozen=True, slots=True)
class Planned:
    """The rows of a cut, made and not written.

    Attributes:
        cut: the cut.
        owned: its partition.
        events: of the event log.
        changes: of what is consolidated.
        letters: of each dead letter of the cut; None: it is a mark or a tombstone.
        erasure: the application's erasure that the cut is.
        asked: the applications of which single events were erased before: late copies of these stay out.
        keeping: the rows of ``processor_policies``; None: they stay.
        ruleset_digest: of the ruleset whose policies are in the database after this.
        beside: what there is beside events, changes and letters.
    """

    cut: Cut
    owned: Ownership
    events: EventPlan
    changes: ChangePlan
    letters: list[Row | None]
    erasure: Erasure | None
    asked: Collection[str]
    keeping: list[Row] | None
    ruleset_digest: str
    beside: RowsBeside


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a cut.

    Attributes:
        events: how many events it had.
        changes: how many changes.
        refused: rows that the database refused; they are in ``sink_quarantine``.
    """

    events: int
    changes: int
    refused: int


class CutWriter:
    """Writes the cuts of partitions that this process owns.

    Args:
        engine: the database.
        topics: the declared topics.
        max_event_bytes: larger events are dead letters.
        authority: knows which erasures count.
        keeping: which processors keep, under the ruleset with a digest, what a failed rerun replaces elsewhere.
        rulesets: what Kafka keeps of rulesets now, every adoption that was read included.
    """

    def __init__(
        self,
        engine: Engine,
        topics: Topics,
        *,
        max_event_bytes: int,
        authority: ErasureAuthority,
        keeping: Callable[[str], Collection[str]],
        rulesets: Callable[[], KnownRulesets],
    ) -> None:
        self._engine = engine
        self._topics = topics
        self._max_event_bytes = max_event_bytes
        self._authority = authority
        self._keeping = keeping
        self._rulesets = rulesets

    def plan(self, cut: Cut, owned: Ownership) -> Planned:
        """Make the rows of one cut, without the database.

        The cuts of an ownership are planned in order, each before or after the earlier ones are written: what a cut
        erases is remembered here at once. An ownership of which a cut was not written is given up.

        Args:
            cut: the cut.
            owned: its partition.

        Raises:
            ContractError: a ruleset is not in Kafka.
            InfrastructureError: Kafka does not answer.
        """
        erasure = self._erasure(cut)
        events = EventPlan()
        if cut.erasure is None:
            events = plan_events(
                cut.events,
                partition=cut.partition,
                partitions=self._topics.partitions,
                max_event_bytes=self._max_event_bytes,
                erased=owned.erased,
            )
        digest = next((one.change.ruleset.digest for one in reversed(cut.changes) if one.change is not None), "")
        keeping = None
        if digest and digest != owned.ruleset_digest:
            keeping = [(cut.partition, processor, True) for processor in sorted(self._keeping(digest))]
        uncounted = [cut.erasure] if cut.erasure is not None and erasure is None else []
        others = [*cut.refused, *events.others, *uncounted]
        known = self._rulesets() if keeping is not None or has_adoption(others) else None
        # Only now is anything remembered: whatever brokers did not answer is asked again with the same cut.
        owned.ruleset_digest = digest or owned.ruleset_digest
        beside = rows_beside(others, cut, self._topics.partitions, owned, known)
        owned.record_time_ms = beside.latest_ms
        letters = [None if one.letter is None else _letter_row(one.letter, one.record, owned) for one in cut.letters]
        asked = owned.with_erased_events and {row[0] for row in events.inserts} & owned.with_erased_events
        owned.with_erased_events.update(application for application, _ in events.erased)
        if erasure is not None:
            owned.erased.follow(erasure)
        changes = plan_changes(cut.changes)
        return Planned(
            cut, owned, events, changes, letters, erasure, asked or (), keeping, owned.ruleset_digest, beside
        )

    def write(self, planned: Planned, now_ms: int) -> Written:
        """Write one cut; where a row is refused, once more and carefully. Any thread may do so.

        Args:
            planned: its rows.
            now_ms: this machine's clock, in milliseconds since the epoch.

        Raises:
            FencedError: another process has the partition; nothing was written.
            DatabaseAwayError: the database does not answer. Whether it was written is seen when it does.
            ContractError: the tables are not as they should be.
        """
        try:
            refused = self._write(planned, now_ms, careful=False)
        except BAD_ROW:
            refused = self._write(planned, now_ms, careful=True)
        return Written(len(planned.events.inserts), len(planned.cut.changes), refused)

    def _erasure(self, cut: Cut) -> Erasure | None:
        """The application's erasure that a cut is; None: it is none, or none that counts."""
        if cut.erasure is None:
            return None
        self._authority.fetched(cut.partition, cut.after.next)
        try:
            return confirmed_erasure(cut.erasure, cut.partition, self._authority)
        except BadEventError:
            return None

    def _write(self, planned: Planned, now_ms: int, *, careful: bool) -> int:
        """One transaction: 1. the fence, 2. what goes, 3. what comes, 4. what was refused."""
        cut, owned, events = planned.cut, planned.owned, planned.events
        with transaction(self._engine) as connection:
            bulk, tables = Bulk(connection, careful), owned.tables
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql(_NOT_WAITING_FOR_THE_DISK)
            # 1.
            move(
                connection,
                owned,
                cut.before,
                cut.after,
                ruleset_digest=planned.ruleset_digest,
                record_time_ms=planned.beside.latest_ms,
                now_ms=now_ms,
            )
            # 2.
            if planned.erasure is not None:
                self._erase(bulk, tables, cut, planned.erasure)
            if events.erased:
                for each in (tables, *_left_behind(connection, tables, cut)):
                    bulk.delete(each.lifecycle_events, ("application_id", "event_id"), [*events.erased])
                    bulk.delete(each.event_copies, ("application_id", "event_id"), [*events.erased])
                bulk.insert(tables.erased_events, events.hashes(cut.partition))
            if planned.keeping is not None:
                bulk.delete(tables.processor_policies, ("source_partition",), [(cut.partition,)])
                bulk.insert(tables.processor_policies, planned.keeping)
            # 3.
            self._write_events(bulk, planned)
            self._write_changes(bulk, tables, planned.changes)
            self._write_letters(bulk, tables, planned)
            planned.beside.write(bulk, tables)
            # 4.
            refused = [*bulk.refused]
            bulk.insert(tables.sink_quarantine, [self._place(tables, one) for one in refused])
            bulk.insert(tables.incomplete_applications, _incomplete(tables, cut.partition, refused))
            return len(refused)

    def _erase(self, bulk: Bulk, tables: Tables, cut: Cut, erasure: Erasure) -> None:
        """An application goes from every table, or its events are accepted again."""
        row = (cut.partition, erasure.salt.hex(), erasure.hash.hex())
        state = LIFTED if erasure.lifted else ERASED
        # The erasure is the last record before the cut's end.
        bulk.insert(tables.erased_applications, [(*row, cut.after.next - 1, state)], replace=True)
        if erasure.lifted:
            return
        for each in (tables, *_left_behind(bulk.connection, tables, cut)):
            known = union(*(select(table.c.application_id) for table in each.of_application))
            for name in [*bulk.connection.execute(known).scalars()]:
                if name is not None and salted_hash(erasure.salt, application_prefix(name)) == erasure.hash:
                    for table in each.of_application:
                        bulk.delete(table, ("application_id",), [(name,)])

    def _write_events(self, bulk: Bulk, planned: Planned) -> None:
        """The events; and further copies of what is there, which are looked for only where a row was left out."""
        tables = planned.owned.tables
        events = self._without_late_copies(bulk, planned, planned.events.inserts)
        copies = self._without_late_copies(bulk, planned, planned.events.copies)
        refused = len(bulk.refused)
        if bulk.insert(tables.lifecycle_events, events) + len(bulk.refused) - refused < len(events):
            bad = {id(one.row) for one in bulk.refused}
            there = [row for row in events if id(row) not in bad]
            copies = [*copies, *further_copies(bulk.connection, tables.lifecycle_events, there)]
        bulk.insert(tables.event_copies, [copy_row(row) for row in copies])

    def _without_late_copies(self, bulk: Bulk, planned: Planned, rows: list[Row]) -> list[Row]:
        """The rows to insert, without copies of events that were erased before."""
        asked = planned.asked
        if not asked or not rows:
            return rows
        table = planned.owned.tables.erased_events
        wanted = select(table.c.application_id, table.c.event_hash).where(table.c.application_id.in_(asked))
        erased = {tuple(row) for row in bulk.connection.execute(wanted)}
        return [row for row in rows if row[0] not in asked or (row[0], erased_hash(row[_EVENT_ID]).hex()) not in erased]

    def _write_changes(self, bulk: Bulk, tables: Tables, changes: ChangePlan) -> None:
        """The journal, the results and the factors."""
        if changes.erased:
            bulk.delete(tables.factor_changes, ("application_id", "change_id"), changes.erased)
        bulk.insert(tables.factor_changes, changes.journal)
        bulk.insert(tables.consolidations, changes.results, replace=True)
        if changes.cleared:
            bulk.delete(tables.factors, ("application_id", "processor", "factor"), changes.cleared)
        bulk.insert(tables.factors, changes.factors, replace=True)

    def _write_letters(self, bulk: Bulk, tables: Tables, planned: Planned) -> None:
        """Dead letters, in order: a mark or a tombstone comes after its letter."""
        source, cut = self._topics.executions.name, planned.cut
        waiting: list[Row] = []
        for one, row in zip(cut.letters, planned.letters, strict=True):
            if row is not None:
                waiting.append(row)
                continue
            bulk.insert(tables.dead_letters, waiting)
            waiting = []
            key = marked_letter(one.record) or one.record.key or b""
            topic, _, place = key.decode(errors="replace").rpartition(f"/{cut.partition}/")
            if topic != source or not place.isdecimal():
                continue
            where = (cut.partition, int(place))
            if one.record.value is None:
                bulk.delete(tables.dead_letters, ("source_partition", "source_offset"), [where])
            else:
                table = tables.dead_letters
                bulk.connection.execute(
                    table.update()
                    .where(table.c.source_partition == where[0], table.c.source_offset == where[1])
                    .values(state=_REDRIVEN)
                )
        bulk.insert(tables.dead_letters, waiting)

    def _place(self, tables: Tables, refused: Refused) -> Row:
        """The row of ``sink_quarantine``: the source record that a refused row is of."""
        partition, offset = place_of(refused.table, refused.row)
        return (self._topics.executions.name, partition, offset, tables.name_of(refused.table), refused.cause)


def _incomplete(tables: Tables, partition: int, refused: Sequence[Refused]) -> list[Row]:
    """The applications of which a row was refused: what of them is there is not all."""
    found = {
        one.row[0]: (one.row[0], partition)
        for one in refused
        if one.table in tables.of_application and next(iter(one.table.columns)).name == "application_id"
    }
    return [*found.values()]


def _letter_row(letter: DeadLetter, record: Record, owned: Ownership) -> Row:
    """The row of a dead letter, as of the erasures before its cut."""
    return letter_row(letter, record.offset, lambda name: owned.erased.holds(application_prefix(name)))


def _left_behind(connection: Connection, tables: Tables, cut: Cut) -> Iterator[Tables]:
    """The sets beside the current one that have not come to this cut: what is erased is deleted there as well.

    A set that is beyond the cut has applied the erasure itself, and may have rows from after a lift.
    """
    if tables is not CURRENT:
        return
    for beside in sets_beside(connection):
        table = beside.sink_position
        at = select(table.c.next_offset).where(table.c.source_partition == cut.partition)
        place = connection.execute(at).scalar()
        if place is not None and place <= cut.before.next:
            yield beside
