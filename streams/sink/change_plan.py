"""What the changes of one cut make of the journal, the results and the factors, net: as if each had come in turn."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from consolidator.keys import parse_event_key
from streams.sink.lane import Change
from streams.sink.rows import Row, change_row, consolidation_row, factor_rows

__all__ = ["ChangePlan", "plan_changes"]


@dataclass(slots=True)
class ChangePlan:
    """Rows to insert and to delete; those to insert in the order of their keys.

    Attributes:
        journal: rows of ``factor_changes``.
        results: rows of ``consolidations``: of each pair its last state in the cut, as one statement takes a key once.
        factors: rows of ``factors``, likewise.
        cleared: application, processor and factor of each factor that is not there any more.
        erased: application and change of each tombstone.
    """

    journal: list[Row] = field(default_factory=list)
    results: list[Row] = field(default_factory=list)
    factors: list[Row] = field(default_factory=list)
    cleared: list[Row] = field(default_factory=list)
    erased: list[Row] = field(default_factory=list)


def plan_changes(changes: Sequence[Change]) -> ChangePlan:
    """Plan the changes of a cut, in order."""
    journal: dict[bytes, Row] = {}
    results: dict[tuple[str, str], Row] = {}
    factors: dict[tuple[str, str, str], Row | None] = {}
    erased: list[Row] = []
    for one in changes:
        key, change = one.record.key or b"", one.change
        if change is None:
            identity = parse_event_key(key)
            journal.pop(key, None)
            if identity is not None:
                erased.append(identity)
            continue
        journal[key] = change_row(change, one.record)
        results[change.application_id, change.processor] = consolidation_row(change)
        if change.changed:
            factors |= factor_rows(change)
    return ChangePlan(
        sorted(journal.values()),
        sorted(results.values()),
        sorted(row for row in factors.values() if row is not None),
        [key for key, row in factors.items() if row is None],
        erased,
    )
