"""The product's fold with the oracle's types: it takes items, and gives pairs, changes, dead letters and rows.

There are two ways to run it. :func:`run_core` drives the pure functions one event at a time; :class:`Partition` drives
the worker's fold of a whole partition, batch by batch, with its rows in a dictionary.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from consolidator.keys import event_key
from models.catalogue import Catalogue
from models.errors import BadEventError
from models.events import LifecycleEvent, Position
from streams.core.change import Change
from streams.core.fold import Pair, apply_event, erase_event, holds_event
from streams.core.rules import Rules
from streams.partition.batch import Batch, Headers, Outgoing
from streams.partition.observer import Observer
from streams.partition.partition_fold import PartitionFold
from streams.partition.result import Folded
from streams.partition.state.row_codec import decode_row
from tests.inputs.workloads import Item, parse_json, to_json
from tests.oracle.executions import PairState
from tests.oracle.expected import PairKey, Tombstone
from tests.oracle.rules import canonical_json
from topics.contract.declared import Topics, declare
from topics.records.decoding import decode_event
from topics.records.erasure_authority import ErasureAuthority, EveryErasure

MAX_EVENT_BYTES = 256 * 1024
# Later than all generated events, so that none is in the far future.
RECORDED_MS = 1_767_225_600_000


def catalogue_of(content: Mapping[str, Any]) -> Catalogue:
    """The catalogue of a test, with a default name and version."""
    return Catalogue.model_validate({"schema_version": 1, "name": "test", "version": "1"} | dict(content))


def rules_of(content: Mapping[str, Any]) -> Rules:
    return Rules(catalogue_of(content))


def decoded(item: Mapping[str, Any]) -> LifecycleEvent:
    return decode_event(to_json(item), max_bytes=MAX_EVENT_BYTES)


@dataclass
class Run:
    """The core's results for a log."""

    pairs: dict[PairKey, Pair] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    dead: list[tuple[int, BadEventError]] = field(default_factory=list)


def run_core(content: Mapping[str, Any], items: Iterable[Item]) -> Run:
    """Fold a log of one partition event by event, without rows or batches."""
    return list(steps(content, items))[-1]


def steps(content: Mapping[str, Any], items: Iterable[Item]) -> Iterator[Run]:
    """Yield the run after each item; it is always the same, growing object."""
    rules = rules_of(content)
    run = Run()
    erased: set[tuple[str, str]] = set()
    for offset, item in enumerate(items):
        position = Position("executions", 0, offset)
        if isinstance(item, Tombstone):
            erased.add((item.application_id, item.event_id))
            for key, pair in sorted(run.pairs.items(), key=lambda found: found[0]):
                if key.application_id == item.application_id and holds_event(pair, item.event_id):
                    _keep(run, key, erase_event(pair, item.event_id, position, rules))
        else:
            event = decoded(item)
            key = PairKey(event.application_id, event.processor)
            if (event.application_id, event.event_id) not in erased:
                try:
                    _keep(run, key, apply_event(run.pairs.get(key), event, position, rules))
                except BadEventError as error:
                    run.dead.append((offset, error))
        yield run


def _keep(run: Run, key: PairKey, step: Any) -> None:
    run.pairs[key] = step.pair
    if step.change is not None:
        run.changes.append(step.change)


def state_of(pair: Pair, rules: Rules) -> dict[str, Any]:
    """A pair in the form of :func:`oracle_state`."""
    tally = pair.tally
    failures = [
        {"execution_id": execution_id, "attempt": attempt} | ({} if code is None else {"code": code})
        for _, execution_id, attempt, code in tally.failures
    ]
    return {
        "processor_type": rules.of(pair.row.processor).processor_type,
        "outcome": str(tally.outcome),
        "factors": tally.factors,
        "counts": (tally.counts.active, tally.counts.completed, tally.counts.failed, tally.counts.contributing),
        "contributors": [execution_id for _, execution_id, _ in tally.contributions][-50:],
        "failures": failures[-50:],
    }


def oracle_state(state: PairState) -> dict[str, Any]:
    return {
        "processor_type": state.processor_type,
        "outcome": state.outcome,
        "factors": {name: canonical_json(value) for name, value in state.factors.items()},
        "counts": state.counts,
        "contributors": state.executions["contributors"],
        "failures": state.executions["failures"],
    }


_NOT_THE_ORACLES = frozenset({"schema_version", "id", "quality", "ruleset"})


def comparable_changes(changes: Iterable[Mapping[str, Any]], log: Iterable[Item]) -> list[str]:
    """Changes without members that only the product knows: ids, the ruleset, quality, and computed event ids."""
    named = {item["event_id"] for item in log if isinstance(item, dict) and "event_id" in item}
    found = []
    for change in changes:
        cause = change["cause"] if change["cause"]["event_id"] in named else change["cause"] | {"event_id": "derived"}
        rest = {name: value for name, value in change.items() if name not in _NOT_THE_ORACLES}
        found.append(canonical_json(rest | {"cause": cause}))
    return found


class StoredRows(dict[bytes, bytes]):
    """The rows of one partition, in memory."""

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        return iter(sorted((key, raw) for key, raw in self.items() if key.startswith(prefix)))

    def store(self, rows: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Write rows, or remove those with None."""
        for key, raw in rows:
            if raw is None:
                self.pop(key, None)
            else:
                self[key] = raw


@dataclass(frozen=True)
class Record:
    """A record of the source topic."""

    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int = RECORDED_MS
    headers: Headers = ()


def record_of(offset: int, item: Item) -> Record:
    """The item as a producer that keeps to the canonical key sends it."""
    if isinstance(item, Tombstone):
        return Record(offset, event_key(item.application_id, item.event_id), None)
    event = decoded(item)
    return Record(offset, event_key(event.application_id, event.event_id), to_json(item))


def records_of(items: Iterable[Item]) -> list[Record]:
    return [record_of(offset, item) for offset, item in enumerate(items)]


def topics_of(partitions: int = 1) -> Topics:
    return declare(
        "",
        app_id="app",
        partitions=partitions,
        replication_factor=1,
        audit_window_days=1,
        max_event_bytes=MAX_EVENT_BYTES,
    )


class Partition:
    """The worker's fold of one partition over rows in memory. Every erasure counts, unless an authority is given.

    Attributes:
        rows: the stored rows.
        sent: everything that was produced, in order.
    """

    def __init__(
        self,
        content: Mapping[str, Any],
        *,
        rows: StoredRows | None = None,
        partition: int = 0,
        partitions: int = 1,
        cached_pairs: int = 10,
        cached_weight: int = 1_000_000,
        max_event_bytes: int = MAX_EVENT_BYTES,
        observer: Observer | None = None,
        authority: ErasureAuthority | None = None,
    ) -> None:
        self.rows = StoredRows() if rows is None else rows
        self.sent: list[Outgoing] = []
        self._partition = partition
        self.fold = PartitionFold(
            partition,
            topics_of(partitions),
            rules_of(content),
            self.rows,
            max_event_bytes=max_event_bytes,
            cached_pairs=cached_pairs,
            cached_weight=cached_weight,
            observer=observer,
            authority=authority or EveryErasure(),
        )

    def begin(self, records: Sequence[Record]) -> Folded:
        """Fold a batch and leave it pinned, as while its transaction is under way."""
        batch = Batch("executions", self._partition, records[0].offset, records[-1].offset + 1, tuple(records))
        folded = self.fold.fold(batch)
        self.sent += folded.outgoing
        return folded

    def finish(self, folded: Folded) -> None:
        """Write a batch's rows, as after its commit."""
        self.rows.store(folded.rows())
        self.fold.written(folded)

    def take(self, *records: Record) -> Folded:
        """Fold a batch and write its rows."""
        folded = self.begin(records)
        self.finish(folded)
        return folded

    def stored(self) -> dict[bytes, Any]:
        """Every row by its key, decoded, so that the order within sets does not matter."""
        return {key: decode_row(raw) for key, raw in self.rows.items()}

    def values(self, topic: str) -> list[Any]:
        """The JSON values that were sent to a topic, with exact numbers."""
        return [parse_json(sent.value) for sent in self.sent if sent.topic == topic and sent.value is not None]
