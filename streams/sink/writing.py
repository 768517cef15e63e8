"""One cut becomes rows, in one transaction; or nothing of it does."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Engine, select, union

from consolidator.keys import application_prefix, parse_event_key
from models.errors import BadEventError
from streams.partition.state.erased_events import erased_hash
from streams.sink.bulk import Bulk, Refused
from streams.sink.database import transaction
from streams.sink.event_plan import EventPlan, plan_events
from streams.sink.failures import BAD_ROW
from streams.sink.lane import Cut
from streams.sink.ownership import Ownership, move
from streams.sink.rows import Row, change_row, consolidation_row, factor_rows, letter_row
from streams.sink.schema import Tables
from topics.contract.declared import Topics
from topics.records.dead_letter_format import marked_letter
from topics.records.erasure_authority import ErasureAuthority, confirmed_erasure
from topics.records.erasures import Erasure, salted_hash

__all__ = ["CutWriter", "Written"]

_EVENT_ID: Final = 3
_REDRIVEN: Final = "redriven"


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
    """

    def __init__(
        self,
        engine: Engine,
        topics: Topics,
        *,
        max_event_bytes: int,
        authority: ErasureAuthority,
        keeping: Callable[[str], Collection[str]],
    ) -> None:
        self._engine = engine
        self._topics = topics
        self._max_event_bytes = max_event_bytes
        self._authority = authority
        self._keeping = keeping

    def write(self, cut: Cut, owned: Ownership, now_ms: int) -> Written:
        """Write one cut.

        1. Plan it, without the database.
        2. Write it; where a row is refused, once more and carefully.
        3. Remember what it has erased.

        Args:
            cut: the cut.
            owned: its partition.
            now_ms: this machine's clock, in milliseconds since the epoch.

        Raises:
            FencedError: another process has the partition; nothing was written.
            DatabaseAwayError: the database does not answer. Whether it was written is seen when it does.
            ContractError: a ruleset is not in Kafka, or the tables are not as they should be.
        """
        # 1.
        erasure = self._erasure(cut)
        plan = EventPlan()
        if cut.erasure is None:
            plan = plan_events(
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
        digest = digest or owned.ruleset_digest
        # 2.
        try:
            refused = self._write(cut, owned, plan, erasure, keeping, digest, now_ms, careful=False)
        except BAD_ROW:
            refused = self._write(cut, owned, plan, erasure, keeping, digest, now_ms, careful=True)
        # 3.
        owned.ruleset_digest = digest
        owned.with_erased_events.update(application for application, _ in plan.erased)
        if erasure is not None:
            owned.erased.follow(erasure)
        return Written(len(plan.inserts), len(cut.changes), refused)

    def _erasure(self, cut: Cut) -> Erasure | None:
        """The application's erasure that a cut is; None: it is none, or none that counts."""
        if cut.erasure is None:
            return None
        self._authority.fetched(cut.partition, cut.after.next)
        try:
            return confirmed_erasure(cut.erasure, cut.partition, self._authority)
        except BadEventError:
            return None

    def _write(
        self,
        cut: Cut,
        owned: Ownership,
        plan: EventPlan,
        erasure: Erasure | None,
        keeping: list[Row] | None,
        digest: str,
        now_ms: int,
        *,
        careful: bool,
    ) -> int:
        """One transaction: 1. the fence, 2. what goes, 3. what comes, 4. what was refused."""
        with transaction(self._engine) as connection:
            bulk, tables = Bulk(connection, careful), owned.tables
            # 1.
            move(
                connection,
                owned,
                cut.before,
                cut.after,
                ruleset_digest=digest,
                record_time_ms=cut.record_time_ms,
                now_ms=now_ms,
            )
            # 2.
            if erasure is not None:
                self._erase(bulk, tables, cut, erasure)
            if plan.erased:
                bulk.delete(tables.lifecycle_events, ("application_id", "event_id"), [*plan.erased])
                bulk.insert(tables.erased_events, plan.hashes(cut.partition))
            if keeping is not None:
                bulk.delete(tables.processor_policies, ("source_partition",), [(cut.partition,)])
                bulk.insert(tables.processor_policies, keeping)
            # 3.
            bulk.insert(tables.lifecycle_events, self._without_late_copies(bulk, plan, owned))
            self._write_changes(bulk, tables, cut)
            self._write_letters(bulk, tables, cut)
            # 4.
            bulk.insert(tables.sink_quarantine, [self._place(tables, one) for one in [*bulk.refused]])
            return len(bulk.refused)

    def _erase(self, bulk: Bulk, tables: Tables, cut: Cut, erasure: Erasure) -> None:
        """An application goes from every table, or its events are accepted again."""
        row = (cut.partition, erasure.salt.hex(), erasure.hash.hex())
        if erasure.lifted:
            bulk.delete(tables.erased_applications, ("source_partition", "salt", "application_hash"), [row])
            return
        bulk.insert(tables.erased_applications, [(*row, cut.before.next)])
        known = union(*(select(table.c.application_id) for table in tables.of_application))
        for application in bulk.connection.execute(known).scalars():
            if application is not None and salted_hash(erasure.salt, application_prefix(application)) == erasure.hash:
                for table in tables.of_application:
                    bulk.delete(table, ("application_id",), [(application,)])

    def _without_late_copies(self, bulk: Bulk, plan: EventPlan, owned: Ownership) -> list[Row]:
        """The rows to insert, without copies of events that were erased before."""
        rows = [*plan.inserts.values()]
        asked = owned.with_erased_events and {row[0] for row in rows} & owned.with_erased_events
        if not asked:
            return rows
        table = owned.tables.erased_events
        wanted = select(table.c.application_id, table.c.event_hash).where(table.c.application_id.in_(asked))
        erased = {tuple(row) for row in bulk.connection.execute(wanted)}
        return [row for row in rows if row[0] not in asked or (row[0], erased_hash(row[_EVENT_ID]).hex()) not in erased]

    def _write_changes(self, bulk: Bulk, tables: Tables, cut: Cut) -> None:
        """The journal; and of each pair and factor the last state in the cut, as one statement takes a key once."""
        journal: dict[bytes, Row] = {}
        pairs: dict[tuple[str, str], Row] = {}
        factors: dict[tuple[str, str, str], Row | None] = {}
        erased: list[Row] = []
        for one in cut.changes:
            key = one.record.key or b""
            if one.change is None:
                identity = parse_event_key(key)
                journal.pop(key, None)
                if identity is not None:
                    erased.append(identity)
                continue
            change = one.change
            journal[key] = change_row(change, (one.record.value or b"").decode())
            pairs[change.application_id, change.processor] = consolidation_row(change)
            factors |= factor_rows(change)
        if erased:
            bulk.delete(tables.factor_changes, ("application_id", "change_id"), erased)
        bulk.insert(tables.factor_changes, [*journal.values()])
        bulk.insert(tables.consolidations, [*pairs.values()], replace=True)
        cleared = [key for key, row in factors.items() if row is None]
        if cleared:
            bulk.delete(tables.factors, ("application_id", "processor", "factor"), cleared)
        bulk.insert(tables.factors, [row for row in factors.values() if row is not None], replace=True)

    def _write_letters(self, bulk: Bulk, tables: Tables, cut: Cut) -> None:
        """Dead letters, in order: a mark or a tombstone comes after its letter."""
        source = self._topics.executions.name
        waiting: list[Row] = []
        for one in cut.letters:
            if one.letter is not None:
                waiting.append(letter_row(one.letter, one.record.offset))
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
        values = dict(zip(refused.table.columns.keys(), refused.row, strict=True))
        offset = values.get("source_offset", values.get("version_offset", -1))
        target = tables.name_of(refused.table)
        return (self._topics.executions.name, values.get("source_partition", -1), offset, target, refused.cause)
