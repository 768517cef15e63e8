"""Checks the laws: records in Kafka and rows on disk have to equal the oracle's results from the source topic.

- *No loss, no duplicate*: every change that the oracle derives is there exactly once, by id and by (cause, pair).
- *Content*: each change and each ``factors`` record says what the oracle says; the oracle does not know ids, quality
  issues and the ruleset, so they are masked.
- *Order*: in the order of a partition a pair's versions grow, and an application's never go back.
- *State*: every row of every copy of the table adds up to the oracle's outcome, factors, counts and lists.
- *Dead letters* are the records that are known to be bad and those that the oracle refuses: no more, no less.
- A *foreign* record, under another key or in another partition, is there exactly once more under its canonical ones.
  (So a test publishes the same bytes either under a foreign key or under their canonical key, never both.)

The log that the oracle folds is read from the source topic: its canonical records, without those known to be bad.
Which partition is canonical comes from ``consolidator.keys``, proven there against Kafka's own vectors.
"""

import re
from base64 import b64decode
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from consolidator.keys import partition_of
from models.rows import PartitionMark, Row
from streams.core.fold import load_pair
from streams.core.rules import Rules
from streams.partition.state.row_codec import MARK_KEY, decode_row
from tests.inputs.workloads import parse_json
from tests.oracle.executions import MAX_LISTED, PairState
from tests.oracle.expected import Expectation, PairKey, SourceRecord, Tombstone, expected
from tests.oracle.rules import canonical_json
from topics.records.record import Record

Position = tuple[int, int]
"""Partition and offset."""

Table = Mapping[int, Mapping[bytes, bytes]]
"""By partition: row keys with their bytes."""

COUNTS = ("active", "completed", "failed", "contributing")
_MASKED = frozenset({"schema_version", "id", "ruleset", "quality"})
_OF_A_CHANGE_ONLY = frozenset({"previous_outcome", "changed", "cause"})
_DIGEST = re.compile(r"[0-9a-f]{64}")
_SHOWN = 5


@dataclass(frozen=True)
class Observed:
    """The contents of topics and databases.

    Attributes:
        source: the source topic, each partition in its order.
        changes: ``factor-changes``.
        factors: ``factors``.
        dead_letters: ``executions.dlq``.
        tables: copies of the table by name: the changelog, a RocksDB.
        bad: the places of source records that have to become dead letters.
    """

    source: Sequence[Record]
    changes: Sequence[Record]
    factors: Sequence[Record]
    dead_letters: Sequence[Record] = ()
    tables: Mapping[str, Table] = field(default_factory=dict)
    bad: frozenset[Position] = frozenset()


@dataclass
class Report:
    """The violations in words; every list is empty if the laws hold."""

    events: int = 0
    changes: int = 0
    rows: int = 0
    lost: list[str] = field(default_factory=list)
    duplicated: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    altered: list[str] = field(default_factory=list)
    disordered: list[str] = field(default_factory=list)
    state: list[str] = field(default_factory=list)

    def problems(self) -> dict[str, list[str]]:
        """The laws that are broken, with every case."""
        found = {name: value for name, value in vars(self).items() if isinstance(value, list)}
        return {name: value for name, value in found.items() if value}

    def require(self) -> None:
        """Fail with the first cases of each broken law."""
        problems = self.problems()
        lines = [f"{len(cases)} {law}: " + "\n    ".join(cases[:_SHOWN]) for law, cases in problems.items()]
        assert not problems, f"of {self.events} events and {self.changes} changes\n" + "\n".join(lines)


def check(catalogue: Mapping[str, Any], rules: Rules, observed: Observed) -> Report:
    """Check every law.

    Args:
        catalogue: for the oracle, as :func:`tests.inputs.workloads.load_catalogue` gives it.
        rules: the same catalogue for the product, which has to decode its rows.
        observed: the contents of topics and databases.
    """
    report = Report(events=len(observed.source))
    log = list(_log(observed, report))
    topic = observed.source[0].topic if observed.source else ""
    oracle = expected(catalogue, log, topic=topic)
    report.changes = len(oracle.changes)
    _check_dead_letters(oracle, observed, report)
    _check_changes(oracle, observed.changes, report)
    _check_factors(oracle, observed.factors, report)
    for name, table in observed.tables.items():
        _check_marks(name, table, observed.source, rules, report)
        _check_rows(name, table, oracle, rules, report)
    return report


# -- the source


def _log(observed: Observed, report: Report) -> Iterator[SourceRecord]:
    """The canonical records; at the end, each foreign one has to have had one canonical copy."""
    partitions = 1 + max((record.partition for record in observed.source), default=0)
    partitions = max(partitions, *(1 + max(table, default=0) for table in observed.tables.values()), 1)
    foreign: Counter[tuple[bytes | None, bytes | None]] = Counter()
    canonical: Counter[tuple[bytes | None, bytes | None]] = Counter()
    for record in observed.source:
        if (record.partition, record.offset) in observed.bad:
            continue
        # A tombstone is identified by its key, which is canonical in every partition.
        content = (record.value, record.key if record.value is None else None)
        payload = canonical_payload(record, partitions)
        if payload is None:
            foreign[content] += 1
            continue
        canonical[content] += 1
        yield SourceRecord(record.partition, record.offset, payload)
    for content, times in foreign.items():
        if canonical[content] < times:
            report.lost.append(f"{times - canonical[content]} re-publications of {content}")
        if canonical[content] > times:
            report.duplicated.append(f"{canonical[content] - times} re-publications too many of {content}")


def canonical_payload(record: Record, partitions: int) -> Mapping[str, Any] | Tombstone | None:
    """The payload of a canonical record; None for a foreign one."""
    escaped, _, identity = (record.key or b"").decode(errors="replace").partition("/")
    application = escaped.replace("%2F", "/").replace("%25", "%")
    if not application or not identity or partition_of(application, partitions) != record.partition:
        return None
    if record.value is None:
        return Tombstone(application, identity)
    event = parse_json(record.value)
    if "specversion" in event and "data_base64" in event:
        event = parse_json(b64decode(event["data_base64"]))
    elif "specversion" in event and "data" in event:
        event = event["data"]
    if event["application_id"] != application:
        return None
    if event.get("event_id") is not None:
        return event if event["event_id"] == identity else None
    # The oracle does not hash the content: it takes the id from the key.
    return event | {"event_id": identity} if _DIGEST.fullmatch(identity) else None


def _check_dead_letters(oracle: Expectation, observed: Observed, report: Report) -> None:
    wanted = observed.bad | {(record.partition, record.offset) for record in oracle.dead_letters}
    topic = observed.source[0].topic if observed.source else ""
    keys = {f"{topic}/{partition}/{offset}".encode(): (partition, offset) for partition, offset in wanted}
    # The mark of a redrive is no dead letter.
    found = Counter(r.key for r in observed.dead_letters if not (r.key or b"").endswith(b"/redriven"))
    report.lost += [f"the dead letter of {place}" for key, place in keys.items() if key not in found]
    report.unexpected += [f"dead letter {key!r}" for key in found if key not in keys]
    report.duplicated += [f"{times} times dead letter {key!r}" for key, times in found.items() if times > 1]


# -- changes and factors


def _check_changes(oracle: Expectation, records: Sequence[Record], report: Report) -> None:
    wanted = {_cause_of(change): change for change in oracle.changes}
    assert len(wanted) == len(oracle.changes)
    ids: Counter[str] = Counter()
    causes: Counter[tuple[Any, ...]] = Counter()
    for record, change in _parsed(records):
        ids[change["id"]] += 1
        cause = _cause_of(change)
        causes[cause] += 1
        if cause not in wanted:
            report.unexpected.append(f"{_place(record)}: the oracle has no change for {cause}")
        elif _text(change) != _text(wanted[cause]):
            report.altered.append(f"{_place(record)}: {_text(change)}\n     is not {_text(wanted[cause])}")
        if record.key != f"{_escape(change['application_id'])}/{change['id']}".encode():
            report.altered.append(f"{_place(record)}: the key is {record.key!r}")
    report.lost += [f"the change of {cause}" for cause in wanted if cause not in causes]
    report.duplicated += [f"{times} times the id {change_id}" for change_id, times in ids.items() if times > 1]
    report.duplicated += [f"{times} times the change of {cause}" for cause, times in causes.items() if times > 1]
    _check_order(records, report)


def _check_factors(oracle: Expectation, records: Sequence[Record], report: Report) -> None:
    wanted = {(_pair_of(change), change["version"]["offset"]): change for change in oracle.changes}
    last: dict[PairKey, dict[str, Any]] = {}
    for record, factors in _parsed(records):
        pair = _pair_of(factors)
        last[pair] = factors
        change = wanted.get((pair, factors["version"]["offset"]))
        if change is None:
            report.unexpected.append(f"{_place(record)}: the oracle has no change of {pair} at that version")
        elif _text(factors) != _text(change, without=_OF_A_CHANGE_ONLY):
            report.altered.append(f"{_place(record)}: {_text(factors)}\n     is not {_text(change)}")
        if record.key != f"{_escape(pair.application_id)}/{pair.processor}".encode():
            report.altered.append(f"{_place(record)}: the key is {record.key!r}")
    # Lists may have changed since without a change record; outcome, factors and counts must be the present ones.
    newest = dict(wanted.keys())
    for pair, state in oracle.pairs.items():
        if pair not in last:
            report.lost.append(f"the factors of {pair}")
        elif last[pair]["version"]["offset"] != newest[pair]:
            report.lost.append(f"the factors of {pair} at {newest[pair]}, there is {last[pair]['version']['offset']}")
        elif _essence_of_record(last[pair]) != _essence(state):
            report.state.append(f"factors of {pair}: {last[pair]}\n     is not {_essence(state)}")
    _check_order(records, report)


def _check_order(records: Iterable[Record], report: Report) -> None:
    applications: dict[str, int] = defaultdict(lambda: -1)
    pairs: dict[PairKey, int] = defaultdict(lambda: -1)
    for record, change in _parsed(records):
        pair, version = _pair_of(change), change["version"]
        if version["partition"] != record.partition:
            report.disordered.append(f"{_place(record)}: caused in partition {version['partition']}")
        if version["offset"] <= pairs[pair] or version["offset"] < applications[pair.application_id]:
            report.disordered.append(f"{_place(record)}: {pair} goes back to version {version['offset']}")
        pairs[pair] = applications[pair.application_id] = version["offset"]


def _parsed(records: Iterable[Record]) -> Iterator[tuple[Record, dict[str, Any]]]:
    for record in records:
        yield record, parse_json(record.value or b"null")


def _cause_of(change: Mapping[str, Any]) -> tuple[Any, ...]:
    cause = change["cause"]
    return cause["partition"], cause["offset"], change["application_id"], change["processor"]


def _pair_of(change: Mapping[str, Any]) -> PairKey:
    return PairKey(change["application_id"], change["processor"])


def _text(change: Mapping[str, Any], *, without: frozenset[str] = frozenset()) -> str:
    return canonical_json({name: change[name] for name in change if name not in _MASKED | without})


# -- the table


def _check_marks(name: str, table: Table, source: Iterable[Record], rules: Rules, report: Report) -> None:
    last = {record.partition: record.offset for record in source}
    for partition, offset in last.items():
        raw = table.get(partition, {}).get(MARK_KEY)
        mark = None if raw is None else decode_row(raw)
        if not isinstance(mark, PartitionMark) or (mark.partition, mark.ruleset) != (partition, rules.tag):
            report.state.append(f"{name}: the mark of partition {partition} is {mark}")
        elif mark.applied < offset:
            report.state.append(f"{name}: partition {partition} is applied to {mark.applied}, the source has {offset}")


def _check_rows(name: str, table: Table, oracle: Expectation, rules: Rules, report: Report) -> None:
    pairs = oracle.pairs
    versions = {_pair_of(change): change["version"]["offset"] for change in oracle.changes}
    found: dict[PairKey, str] = {}
    for partition, rows in table.items():
        for key, row in ((key, decode_row(raw)) for key, raw in rows.items()):
            if not isinstance(row, Row):
                continue
            pair = PairKey(row.application_id, row.processor)
            if key != f"{_escape(pair.application_id)}/{pair.processor}".encode() or pair in found:
                report.state.append(f"{name}: {pair} stands under {key!r} in partition {partition}")
            found[pair] = f"version {row.version}: {_state_of_row(row, rules)}"
    report.rows += len(found)
    for pair in pairs.keys() | found.keys():
        text = f"version {versions[pair]}: {_state_text(pairs[pair])}" if pair in pairs else "nothing"
        if found.get(pair) != text:
            report.state.append(f"{name}: {pair}: {found.get(pair)}\n     is not {text}")


def _state_of_row(row: Row, rules: Rules) -> str:
    tally = load_pair(row, rules).tally
    factors = {name: parse_json(text) for name, text in tally.factors.items()}
    failures = [
        {"execution_id": execution, "attempt": attempt} | ({} if code is None else {"code": code})
        for _, execution, attempt, code in tally.failures
    ]
    contributors = [execution for _, execution, _ in tally.contributions]
    counts = {name: getattr(tally.counts, name) for name in COUNTS}
    executions = counts | {
        "contributors": contributors[-MAX_LISTED:],
        "failures": failures[-MAX_LISTED:],
        "truncated": len(contributors) > MAX_LISTED or len(failures) > MAX_LISTED,
    }
    return canonical_json([str(tally.outcome), factors, executions])


def _essence_of_record(factors: Mapping[str, Any]) -> str:
    counts = [factors["executions"][name] for name in COUNTS]
    return canonical_json([factors["outcome"], factors["factors"], counts])


def _essence(state: PairState) -> str:
    return canonical_json([state.outcome, state.factors, state.counts])


def _state_text(state: PairState) -> str:
    return canonical_json([state.outcome, state.factors, state.executions])


def _escape(application_id: str) -> str:
    return application_id.replace("%", "%25").replace("/", "%2F")


def _place(record: Record) -> str:
    return f"{record.topic}[{record.partition}] at {record.offset}"
