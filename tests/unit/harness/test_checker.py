"""The checker's self-test: it accepts what the fold gives, and no single planted defect goes unnoticed."""

import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

import msgspec
import pytest

from consolidator.keys import event_key, partition_of
from models.rows import PartitionMark, Row
from streams.core.rules import Rules
from streams.partition.batch import Batch, Headers, Outgoing
from streams.partition.partition_fold import PartitionFold
from streams.partition.state.row_codec import MARK_KEY, decode_row, encode_row
from streams.rulesets.catalogue_file import load_catalogue as load_rules
from tests.inputs.workloads import Rates, believable, load_catalogue, to_json
from tests.oracle.checker import Observed, Report, check
from tests.oracle.expected import Tombstone
from topics.contract.declared import declare
from topics.records.record import Record

PARTITIONS = 2
TIMESTAMP_MS = 1_750_000_000_000
TOPICS = declare(
    "", app_id="unit", partitions=PARTITIONS, replication_factor=1, audit_window_days=1, max_event_bytes=262_144
)

Plant = Callable[[Observed], Observed]


class Log:
    """A topic in memory."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self.partitions: dict[int, list[Record]] = defaultdict(list)

    def add(self, partition: int, key: bytes | None, value: bytes | None) -> None:
        records = self.partitions[partition]
        records.append(Record(self._topic, partition, len(records), TIMESTAMP_MS, key, value, ()))

    def records(self) -> list[Record]:
        return [record for partition in sorted(self.partitions) for record in self.partitions[partition]]


class Fed(NamedTuple):
    """A source record as the fold reads it."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class Rows(dict[bytes, bytes]):
    """A partition's rows in memory."""

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        return ((key, self[key]) for key in sorted(self) if key.startswith(prefix))


@pytest.fixture(scope="module")
def rules() -> Rules:
    return Rules(load_rules(None))


@pytest.fixture(scope="module")
def honest(rules: Rules) -> Observed:
    """What the fold makes of a believable log with erasures, a foreign record and a bad one, in batches of 100."""
    logs = {topic.name: Log(topic.name) for topic in TOPICS}
    source = logs[TOPICS.executions.name]
    for item in believable(7, 30, rates=Rates(erased=0.02, missing_event_id=0.0)):
        application = item.application_id if isinstance(item, Tombstone) else item["application_id"]
        identity = item.event_id if isinstance(item, Tombstone) else item["event_id"]
        value = None if isinstance(item, Tombstone) else to_json(item)
        source.add(partition_of(application, PARTITIONS), event_key(application, identity), value)
    stranger = believable(8, 1)[0]
    assert isinstance(stranger, dict)
    home = partition_of(stranger["application_id"], PARTITIONS)
    source.add(1 - home, b"foreign", to_json(stranger))
    bad = (home, len(source.partitions[home]))
    source.add(home, b"bad", b"{")
    tables = {partition: Rows() for partition in range(PARTITIONS)}
    # The other partition first: its foreign record goes to the end of this one.
    for partition in (1 - home, home):
        _fold_partition(partition, rules, logs, tables[partition])
    return Observed(
        source.records(),
        logs[TOPICS.factor_changes.name].records(),
        logs[TOPICS.factors.name].records(),
        logs[TOPICS.dlq.name].records(),
        {"the table": tables},
        frozenset({bad}),
    )


def _fold_partition(partition: int, rules: Rules, logs: dict[str, Log], rows: Rows) -> None:
    fold = PartitionFold(
        partition, TOPICS, rules, rows, max_event_bytes=262_144, cached_pairs=10, cached_weight=1_000_000
    )
    records = logs[TOPICS.executions.name].partitions[partition]
    for start in range(0, len(records), 100):
        some = [Fed(record.offset, TIMESTAMP_MS, record.key, record.value) for record in records[start : start + 100]]
        folded = fold.fold(Batch(TOPICS.executions.name, partition, start, start + len(some), some))
        for record in folded.outgoing:
            _send(record, logs)
        rows.update(folded.rows())
        fold.written(folded)


def _send(record: Outgoing, logs: dict[str, Log]) -> None:
    logs[record.topic].add(record.partition, record.key, record.value)


def broken(rules: Rules, observed: Observed) -> set[str]:
    """The laws that the checker finds broken."""
    return set(check(load_catalogue(), rules, observed).problems())


def test_an_honest_run_is_accepted(rules: Rules, honest: Observed) -> None:
    """What the fold made keeps every law, and there was something to check."""
    report = check(load_catalogue(), rules, honest)
    report.require()
    assert report.changes > 300
    assert report.rows > 80


def _middle(records: list[Record]) -> int:
    return len(records) // 2


def drop(records: list[Record]) -> list[Record]:
    index = _middle(records)
    return records[:index] + records[index + 1 :]


def duplicate(records: list[Record]) -> list[Record]:
    return [*records, records[_middle(records)]]


def duplicate_under_another_id(records: list[Record]) -> list[Record]:
    record = records[_middle(records)]
    identity = (record.key or b"").rpartition(b"/")[2]
    other = identity[::-1]
    copy = replace(record, key=(record.key or b"").replace(identity, other))
    return [*records, replace(copy, value=(record.value or b"").replace(identity, other))]


def reorder(records: list[Record]) -> list[Record]:
    """Exchange a record with the next one of the same pair."""
    pairs: dict[bytes, int] = {}
    for index, record in enumerate(records):
        pair = b",".join((record.value or b"").split(b'"processor_type"')[0].split(b",")[-3:-1])
        if pair in pairs:
            exchanged = list(records)
            exchanged[index], exchanged[pairs[pair]] = exchanged[pairs[pair]], exchanged[index]
            return exchanged
        pairs[pair] = index
    raise AssertionError("no pair has two records")


def alter(records: list[Record]) -> list[Record]:
    return _changed(records, b'"active":', b'"active":1')


def alter_a_factor(records: list[Record]) -> list[Record]:
    return _changed(records, b'"f_months_analyzed":', b'"f_months_analyzed":1')


def _changed(records: list[Record], old: bytes, new: bytes) -> list[Record]:
    index = next(index for index, record in enumerate(records) if old in (record.value or b""))
    value = (records[index].value or b"").replace(old, new)
    return [*records[:index], replace(records[index], value=value), *records[index + 1 :]]


@pytest.mark.parametrize(
    ("plant", "law"),
    [
        (drop, "lost"),
        (duplicate, "duplicated"),
        (duplicate_under_another_id, "duplicated"),
        (reorder, "disordered"),
        (alter, "altered"),
        (alter_a_factor, "altered"),
    ],
)
def test_a_defect_in_the_changes_is_found(
    rules: Rules, honest: Observed, plant: Callable[[list[Record]], list[Record]], law: str
) -> None:
    """One change dropped, doubled, exchanged with another or altered is named as what it is."""
    assert law in broken(rules, replace(honest, changes=plant(list(honest.changes))))


@pytest.mark.parametrize(
    ("plant", "law"),
    [(duplicate, "disordered"), (reorder, "disordered"), (alter, "altered"), (alter_a_factor, "altered")],
)
def test_a_defect_in_the_factors_is_found(
    rules: Rules, honest: Observed, plant: Callable[[list[Record]], list[Record]], law: str
) -> None:
    """One factors record that is doubled, exchanged with another or altered is named as what it is."""
    assert law in broken(rules, replace(honest, factors=plant(list(honest.factors))))


def test_a_lost_factors_record_is_found(rules: Rules, honest: Observed) -> None:
    """Without the last factors record of a pair the view is stale, and that is a loss."""
    assert "lost" in broken(rules, replace(honest, factors=honest.factors[:-1]))


def test_a_changed_order_of_applications_is_found(rules: Rules, honest: Observed) -> None:
    """Two pairs of one application keep their order, too: no application's version goes back."""
    changes = list(honest.changes)
    owners = [(record.key or b"").partition(b"/")[0] for record in changes]
    index = next(
        index
        for index in range(len(changes) - 1)
        if owners[index] == owners[index + 1] and _processor(changes[index]) != _processor(changes[index + 1])
    )
    changes[index], changes[index + 1] = changes[index + 1], changes[index]
    assert broken(rules, replace(honest, changes=changes)) == {"disordered"}


def _processor(record: Record) -> bytes:
    return (record.value or b"").partition(b'"processor":')[2].partition(b",")[0]


def with_table(observed: Observed, key: bytes, value: bytes | None) -> Observed:
    partition = next(p for p, rows in observed.tables["the table"].items() if key in rows)
    tables = {p: dict(rows) for p, rows in observed.tables["the table"].items()}
    if value is None:
        del tables[partition][key]
    else:
        tables[partition][key] = value
    return replace(observed, tables={"the table": tables})


def a_row(observed: Observed) -> bytes:
    keys = [key for rows in observed.tables["the table"].values() for key in rows if not key.endswith(b"/")]
    return random.Random(1).choice(sorted(key for key in keys if key != MARK_KEY))


def test_a_lost_row_is_found(rules: Rules, honest: Observed) -> None:
    """A row missing from one copy of the table is a state mismatch."""
    assert broken(rules, with_table(honest, a_row(honest), None)) == {"state"}


def test_an_old_row_is_found(rules: Rules, honest: Observed) -> None:
    """A row that lacks its last event is a state mismatch."""
    key = a_row(honest)
    row = decode_row(next(rows[key] for rows in honest.tables["the table"].values() if key in rows))
    assert isinstance(row, Row)
    execution, entries = next(iter(row.executions.items()))
    older = msgspec.structs.replace(row, executions={**row.executions, execution: entries[:-1]})
    assert broken(rules, with_table(honest, key, encode_row(older))) == {"state"}


def test_a_row_that_nobody_asked_for_is_found(rules: Rules, honest: Observed) -> None:
    """A row under a key that is not its own is a state mismatch."""
    partitions = {p: dict(rows) for p, rows in honest.tables["the table"].items()}
    partitions[0][b"stranger/p"] = partitions[0][next(key for key in partitions[0] if key != MARK_KEY)]
    assert broken(rules, replace(honest, tables={"the table": partitions})) == {"state"}


def test_a_mark_behind_the_source_is_found(rules: Rules, honest: Observed) -> None:
    """A partition's mark that does not reach the last source record is a state mismatch."""
    mark = PartitionMark(0, 5, rules.tag)
    partitions = {p: dict(rows) for p, rows in honest.tables["the table"].items()}
    partitions[0][MARK_KEY] = encode_row(mark)
    assert broken(rules, replace(honest, tables={"the table": partitions})) == {"state"}


@pytest.mark.parametrize(
    ("dead_letters", "law"), [(lambda found: found[1:], "lost"), (lambda found: found * 2, "duplicated")]
)
def test_a_defect_in_the_dead_letters_is_found(rules, honest, dead_letters, law) -> None:
    """A dead letter missing or doubled is named as what it is."""
    assert broken(rules, replace(honest, dead_letters=dead_letters(list(honest.dead_letters)))) == {law}


def test_a_dead_letter_of_a_good_event_is_found(rules: Rules, honest: Observed) -> None:
    """A dead letter of a record that is not bad is unexpected."""
    extra = replace(honest.dead_letters[0], key=b"executions/0/0")
    assert broken(rules, replace(honest, dead_letters=[*honest.dead_letters, extra])) == {"unexpected"}


def test_a_foreign_record_that_was_not_republished_is_found(rules: Rules, honest: Observed) -> None:
    """A record under a foreign key must have its canonical copy."""
    foreign = next(record for record in honest.source if record.key == b"foreign")
    source = [record for record in honest.source if record is foreign or record.value != foreign.value]
    assert "lost" in broken(rules, replace(honest, source=source))


def test_a_foreign_record_that_was_republished_twice_is_found(rules: Rules, honest: Observed) -> None:
    """A second canonical copy changes no state, and is a duplicate all the same."""
    foreign = next(record for record in honest.source if record.key == b"foreign")
    copy = next(record for record in honest.source if record.value == foreign.value and record is not foreign)
    twice = [*honest.source, replace(copy, offset=copy.offset + 1)]
    assert "duplicated" in broken(rules, replace(honest, source=twice))


def test_the_failure_names_the_first_cases() -> None:
    """The message of a failed check counts each broken law's cases and shows some of them."""
    report = Report(events=10, lost=["this change"], state=[f"row {number}" for number in range(9)])
    with pytest.raises(AssertionError, match=r"1 lost: this change\n9 state: row 0"):
        report.require()
