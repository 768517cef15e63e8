"""The oracle's view of the sink's database: what each table must show when the partitions stand at given offsets.

Nothing of the product's fold or sink is in it. An application's erasure is not the oracle's: the view knows which
application is erased in the log, and that nothing of it remains from there on but dead letters of what comes late.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.inputs.workloads import parse_json
from tests.oracle.checker import Observed, Report, canonical_payload
from tests.oracle.executions import Event, content_digest, utc_text
from tests.oracle.expected import Derivation, PairKey, SourceRecord, Tombstone
from tests.oracle.rules import canonical_json
from topics.records.record import Record

__all__ = ["TABLES", "DatabaseView", "TableRows", "canonical_row", "compare", "without_application"]

TableRows = Mapping[str, Counter[tuple[Any, ...]]]
"""By table or view: its rows, each a tuple of the columns in :data:`TABLES`, and how often it is there."""

TABLES = {
    "lifecycle_events": (
        "application_id, processor, execution_id, event_id, status, attempt, sequence, occurred_at, error_code,"
        " supersedes, output, source_partition, source_offset"
    ),
    "factors": "application_id, processor, factor, value, source_partition, version_offset",
    "consolidations": (
        "application_id, processor, processor_type, outcome, active, completed, failed, contributing,"
        " source_partition, version_offset"
    ),
    "factor_changes": (
        "application_id, processor, previous_outcome, outcome, cause_status, cause_execution_id, cause_event_id,"
        " occurred_at, changed, source_partition, version_offset"
    ),
    "processor_executions": "application_id, processor, execution_id, status",
    "dead_letters": "source_partition, source_offset",
}
"""The tables and views that are compared, and the columns of each: those of ``docs/sql.md`` that an event decides."""

JSON_COLUMNS = {"factors": ("value",), "factor_changes": ("changed",), "lifecycle_events": ("output",)}
"""Columns whose text is JSON: compared by what they say."""

_ERASURE = b"/erasure/"
_SHOWN_CHARACTERS = 400


class DatabaseView:
    """What a database must show; it moves from cut to cut, and never back.

    Args:
        catalogue: for the oracle, as :func:`tests.inputs.workloads.load_catalogue` gives it.
        observed: the source, and which of its records are bad.
        partitions: how many there are.
        erased: the application that the erasure in the log is of, if there is one.
    """

    def __init__(
        self, catalogue: Mapping[str, Any], observed: Observed, partitions: int, *, erased: str | None = None
    ) -> None:
        topic = observed.source[0].topic if observed.source else ""
        self._derivation = Derivation(catalogue, topic=topic)
        self._partitions = partitions
        self._bad = observed.bad
        self._erased = erased
        self._is_erased = False
        self._waiting: dict[int, deque[Record]] = defaultdict(deque)
        for record in observed.source:
            self._waiting[record.partition].append(record)
        # Where the first copy of each event stands, and the output that it has.
        self._first: dict[tuple[PairKey, str, str], tuple[Any, int, int]] = {}
        self._letters: set[tuple[int, int]] = set()

    def advance(self, positions: Mapping[int, int]) -> None:
        """Take every record before these offsets."""
        for partition, offset in positions.items():
            waiting = self._waiting[partition]
            while waiting and waiting[0].offset < offset:
                self._take(waiting.popleft())

    def rows(self) -> TableRows:
        """The rows of every table and view."""
        state = self._derivation.result()
        letters = self._letters | {(record.partition, record.offset) for record in state.dead_letters}
        rows: dict[str, Iterator[tuple[Any, ...]]] = {
            "lifecycle_events": (self._event_row(pair, event) for pair, event in self._derivation.events()),
            "processor_executions": ((*pair, *standing) for pair, *standing in self._derivation.standings()),
            "dead_letters": iter(letters),
            "factor_changes": (_change_row(change) for change in state.changes),
        }
        versions, set_by = self._last_versions()
        rows["consolidations"] = (
            (*pair, one.processor_type, one.outcome, *one.counts, *versions[pair]) for pair, one in state.pairs.items()
        )
        rows["factors"] = (
            (*pair, name, canonical_json(value), *set_by[pair, name])
            for pair, one in state.pairs.items()
            for name, value in one.factors.items()
        )
        gone = self._erased if self._is_erased else None
        return {table: Counter(row for row in found if row[0] != gone) for table, found in rows.items()}

    def _take(self, record: Record) -> None:
        place = record.partition, record.offset
        if (record.key or b"").startswith(_ERASURE):
            self._is_erased = True
            return
        if place in self._bad:
            self._letters.add(place)
            return
        payload = canonical_payload(record, self._partitions)
        if payload is None:
            return
        if self._is_erased and _application(payload) == self._erased:
            if not isinstance(payload, Tombstone):
                self._letters.add(place)
            return
        self._derivation.take(SourceRecord(*place, payload))
        if isinstance(payload, Tombstone):
            return
        pair = PairKey(payload["application_id"], payload["processor"])
        self._first.setdefault((pair, payload["event_id"], content_digest(payload)), (payload, *place))

    def _event_row(self, pair: PairKey, event: Event) -> tuple[Any, ...]:
        payload, *place = self._first[pair, event.event_id, event.digest]
        factors = (payload.get("output") or {}).get("factors") if event.status == "completed" else None
        return (
            *pair,
            event.execution_id,
            event.event_id,
            event.status,
            event.attempt,
            None if event.sequence < 0 else event.sequence,
            utc_text(event.occurred_at),
            event.code,
            event.supersedes,
            canonical_json({"factors": factors}) if factors else None,
            *place,
        )

    def _last_versions(self) -> tuple[dict[PairKey, tuple[int, int]], dict[tuple[PairKey, str], tuple[int, int]]]:
        """Of each pair the version of its last change; of each factor that of the change that set it."""
        versions, set_by = {}, {}
        for change in self._derivation.result().changes:
            pair = PairKey(change["application_id"], change["processor"])
            versions[pair] = _version(change)
            for one in change["changed"]:
                set_by[pair, one["factor"]] = _version(change)
        return versions, set_by


def compare(view: TableRows, found: TableRows, report: Report, *, where: str) -> int:
    """Add what differs to a report.

    Args:
        view: the oracle's.
        found: the database's.
        report: rows that are missing are lost; those that the oracle has not are unexpected, or there twice.
        where: for people: which look at the database it is.

    Returns:
        How many rows were compared.
    """
    for table in TABLES:
        missing, more = view[table] - found[table], found[table] - view[table]
        report.lost += [_shown(where, table, row) for row in missing.elements()]
        for row in more.elements():
            (report.duplicated if row in view[table] else report.unexpected).append(_shown(where, table, row))
    return sum(found[table].total() for table in TABLES)


def without_application(observed: Observed, application: str | None) -> Observed:
    """What was observed, without an erased application and its erasure: the rest must be as if it had never been."""
    if application is None:
        return observed
    prefix = f"{application}/".encode()
    gone = {
        (record.topic, record.partition, record.offset)
        for record in observed.source
        if (record.key or b"").startswith((prefix, _ERASURE))
    }
    letters = {f"{topic}/{partition}/{offset}".encode() for topic, partition, offset in gone}
    return Observed(
        source=[one for one in observed.source if (one.topic, one.partition, one.offset) not in gone],
        changes=_others(observed.changes, prefix),
        factors=_others(observed.factors, prefix),
        dead_letters=[record for record in observed.dead_letters if record.key not in letters],
        tables=observed.tables,
        bad=observed.bad,
    )


def _others(records: Sequence[Record], prefix: bytes) -> list[Record]:
    return [record for record in records if not (record.key or b"").startswith(prefix)]


def _application(payload: Mapping[str, Any] | Tombstone) -> str:
    found: str = payload.application_id if isinstance(payload, Tombstone) else payload["application_id"]
    return found


def _change_row(change: Mapping[str, Any]) -> tuple[Any, ...]:
    cause = change["cause"]
    return (
        change["application_id"],
        change["processor"],
        change["previous_outcome"],
        change["outcome"],
        cause["status"],
        cause["execution_id"],
        cause["event_id"],
        change["occurred_at"],
        canonical_json(change["changed"]),
        *_version(change),
    )


def _version(change: Mapping[str, Any]) -> tuple[int, int]:
    return change["version"]["partition"], change["version"]["offset"]


def _shown(where: str, table: str, row: tuple[Any, ...]) -> str:
    return f"{where}: {table} {row}"[:_SHOWN_CHARACTERS]


def canonical_row(table: str, row: Sequence[Any]) -> tuple[Any, ...]:
    """A row as the database gives it, in the form of this module."""
    columns = TABLES[table].split(", ")
    return tuple(
        canonical_json(parse_json(value)) if name in JSON_COLUMNS.get(table, ()) and value is not None else value
        for name, value in zip(columns, row, strict=True)
    )
