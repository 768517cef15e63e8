"""A partition's fold, record by record: what is published again, erased, skipped, refused or kept."""

from dataclasses import replace

import pytest

from consolidator.keys import event_key, partition_of
from models.errors import ContractError, Defect
from models.quality import Issue, QualityIssue
from models.rows import MAX_EXECUTIONS, Erasures, PartitionMark, Row
from streams.partition.observer import Observer
from streams.partition.state.row_codec import MARK_KEY, decode_row
from tests.inputs.cases import event, failed, ok, one_factor
from tests.inputs.workloads import load_catalogue, to_json
from tests.oracle.expected import Tombstone
from tests.oracle.folds import (
    RECORDED_MS,
    Partition,
    Record,
    StoredRows,
    decoded,
    record_of,
    records_of,
    rules_of,
    topics_of,
)

SUM = one_factor("sum")
PARTITIONS = 4
HOME = partition_of("app", PARTITIONS)
ELSEWHERE = next(name for name in ("b", "c", "d", "e") if partition_of(name, PARTITIONS) != HOME)


def fold(*records, content=SUM, **settings):
    partition = Partition(content, partition=HOME, partitions=PARTITIONS, **settings)
    if records:
        partition.take(*records)
    return partition


def outcomes(partition):
    return [change["outcome"] for change in partition.values("factor-changes")]


def row_of(partition, key=b"app/p"):
    return decode_row(partition.rows[key])


def erasure_of(item):
    return Tombstone(item["application_id"], item["event_id"])


def headers_of(sent):
    return dict(sent.headers)


class Told(Observer):
    def __init__(self):
        self.heard = []

    def folded(self, events):
        self.heard += [(event.event_id, position.offset, issues) for event, position, issues, _ in events]

    def rejected(self, position, error):
        self.heard.append((error.defect, position.offset))

    def republished(self, position):
        self.heard.append(("again", position.offset))


def test_an_event_gives_a_change_the_factors_and_a_row():
    """Each goes to its topic under its key, in the partition of the source, with CloudEvents headers."""
    partition = fold(record_of(7, ok("a", 1)))
    change, factors = partition.sent
    (value,) = partition.values("factor-changes")
    assert (change.topic, change.partition, change.key) == ("factor-changes", HOME, f"app/{value['id']}".encode())
    assert (factors.topic, factors.partition, factors.key) == ("factors", HOME, b"app/p")
    assert headers_of(change) == {
        "content-type": b"application/json",
        "ce_specversion": b"1.0",
        "ce_id": value["id"].encode(),
        "ce_type": b"consolidator.factor-change.v1",
        "ce_source": b"/consolidator",
        "ce_subject": b"app",
    }
    assert headers_of(factors) == headers_of(change) | {"ce_type": b"consolidator.factors.v1"}
    assert {*partition.rows} == {b"app/p", MARK_KEY}
    assert decode_row(partition.rows[MARK_KEY]) == PartitionMark(HOME, 7, row_of(partition).ruleset)


def test_the_scenarios_come_out_of_one_batch():
    """The mission's figures, as a reader of the factors topic sees them."""
    items = [
        ok("a", 1, {"f_revenue_monthly": 10000}, processor="bank_statement"),
        failed("b", 2, processor="bank_statement"),
        ok("c", 3, {"f_revenue_monthly": 12000}, processor="bank_statement"),
        failed("a", 1, processor="credit_check", event_id="f1"),
        failed("b", 2, processor="credit_check", event_id="f2"),
        ok("a", 1, {"f_license_verified": True}, processor="drivers_license", event_id="d1"),
        failed("b", 2, processor="drivers_license", event_id="d2"),
        ok("c", 3, {"f_license_verified": True}, processor="drivers_license", event_id="d3"),
    ]
    partition = fold(*records_of(items), content=load_catalogue())
    assert [(value["processor"], value["outcome"], value["factors"]) for value in partition.values("factors")] == [
        ("bank_statement", "partial", {"f_months_analyzed": 2, "f_revenue_monthly_avg": 11000}),
        ("credit_check", "cleared", {}),
        ("drivers_license", "partial", {"f_total_licenses_processed": 2, "f_verified_licenses_count": 2}),
    ]
    assert len(partition.values("factor-changes")) == len(items)


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(replace(record_of(0, ok("a", 1)), key=b"a", headers=(("trace", b"1"),)), id="foreign key"),
        pytest.param(replace(record_of(0, ok("a", 1)), key=None), id="no key"),
        pytest.param(record_of(0, ok("a", 1, application_id=ELSEWHERE)), id="foreign partition"),
    ],
)
def test_a_foreign_record_is_published_again_and_not_folded(record):
    """Once more under its canonical key, to the application's own partition, value and headers untouched."""
    told = Told()
    partition = fold(record, observer=told)
    item = decoded(ok("a", 1))
    application = "app" if partition_of("app", PARTITIONS) == partition.sent[0].partition else ELSEWHERE
    (again,) = partition.sent
    assert (again.topic, again.partition) == ("executions", partition_of(application, PARTITIONS))
    assert (again.key, again.value) == (event_key(application, item.event_id), record.value)
    assert again.headers == list(record.headers)
    assert told.heard == [("again", 0)]
    assert {*partition.rows} == {MARK_KEY}


def test_what_was_published_again_is_folded_where_it_arrives():
    """The copy under the canonical key is an event like any other; the foreign one, arriving again, changes nothing."""
    foreign = replace(record_of(0, ok("a", 1)), key=b"a")
    partition = fold(foreign)
    (again,) = partition.sent
    partition.take(Record(1, again.key, again.value, headers=again.headers))
    partition.take(replace(foreign, offset=2))
    assert outcomes(partition) == ["consolidated"]
    assert [sent.topic for sent in partition.sent] == ["executions", "factor-changes", "factors", "executions"]


def test_a_tombstone_erases_an_event_for_good():
    """The factors go with it, a late copy is ignored, and the cause is the erased event."""
    item = ok("a", 1)
    records = records_of([item, erasure_of(item), item])
    partition = fold(*records)
    assert outcomes(partition) == ["consolidated", "withdrawn"]
    (current,) = partition.values("factors")
    assert (current["factors"], current["version"]["offset"]) == ({}, 1)
    assert partition.values("factor-changes")[1]["cause"] | {"topic": ""} == {
        "execution_id": "a",
        "status": "erased",
        "attempt": 1,
        "event_id": item["event_id"],
        "topic": "",
        "partition": HOME,
        "offset": 1,
    }
    assert row_of(partition).executions == {}


def test_a_tombstone_before_its_event_works_as_well():
    """The key is remembered, not the event: the first copy that arrives is late already."""
    item = ok("a", 1)
    partition = fold(*records_of([erasure_of(item), item]))
    assert partition.sent == []
    erasures = row_of(partition, b"app/")
    assert isinstance(erasures, Erasures)
    assert (erasures.applied, len(erasures.hashes)) == (0, 1)
    assert decode_row(partition.rows[MARK_KEY]).erasures == 1


@pytest.mark.parametrize(("cached", "weight"), [(0, 1_000_000), (10, 0), (10, 1_000_000)])
def test_an_erasure_reaches_every_pair_wherever_its_row_is(cached, weight):
    """One event id in two processors, one row stored and cached, one still pinned: all forget it."""
    first, second = ok("a", 1, event_id="e"), ok("b", 2, event_id="e", processor="q")
    partition = fold(cached_pairs=cached, cached_weight=weight)
    partition.take(record_of(0, first))
    pinned = partition.begin([record_of(1, second)])
    partition.take(record_of(2, erasure_of(first)))
    partition.finish(pinned)
    erased = [change for change in partition.values("factor-changes") if change["cause"]["status"] == "erased"]
    assert [(change["processor"], change["outcome"]) for change in erased] == [("p", "withdrawn"), ("q", "withdrawn")]


def test_the_cache_holds_no_more_than_its_weight():
    """Of pairs that have grown, fewer stay in memory, the latest ones; what is forgotten is read again."""
    names = ["p", "q", "r"]
    events = [ok(f"{name}{number}", number, processor=name) for name in names for number in range(5)]
    rows = fold(*(record_of(offset, event) for offset, event in enumerate(events))).rows
    weight = max(decode_row(rows[key]).weight + len(key) + 128 for key in rows if key != MARK_KEY)
    partition = fold(cached_weight=2 * weight)
    partition.take(*(record_of(offset, event) for offset, event in enumerate(events)))
    assert [key for key in rows if key != MARK_KEY and partition.fold._rows._pairs.get(key) is None] == [b"app/p"]
    partition.take(record_of(len(events), ok("late", 9, processor="p")))
    assert len(row_of(partition, b"app/p").executions) == 6


def test_an_erasure_in_a_pinned_batch_is_known_to_the_next():
    """Before its row is stored, an erasure already holds; a second tombstone adds nothing."""
    item = ok("a", 1)
    partition = fold()
    pinned = partition.begin([record_of(0, erasure_of(item))])
    other = partition.take(record_of(1, item), record_of(2, erasure_of(item)), record_of(3, ok("b", 1)))
    partition.finish(pinned)
    assert (other.erasures, other.mark.erasures) == ({}, 1)
    assert [change["cause"]["offset"] for change in partition.values("factor-changes")] == [3]


def test_a_second_erasure_of_an_application_adds_to_the_first():
    """All that was erased stays erased; the mark counts applications, not events."""
    items = [ok("a", 1), ok("b", 2), ok("c", 3)]
    partition = fold(*records_of([*items, erasure_of(items[0]), erasure_of(items[1]), *items]))
    assert {*row_of(partition).executions} == {"c"}
    assert (len(row_of(partition, b"app/").hashes), partition.fold.mark.erasures) == (2, 1)


def test_other_applications_keep_their_events():
    """An erasure is of one application's event: the same event id elsewhere is another event."""
    mine = ok("a", 1, event_id="e")
    neighbour = next(name for name in map(str, range(99)) if partition_of(name, PARTITIONS) == HOME)
    other = ok("a", 1, event_id="e", application_id=neighbour)
    partition = fold(*records_of([mine, other, erasure_of(mine), other]))
    assert {*row_of(partition).executions} == set()
    assert {*row_of(partition, f"{neighbour}/p".encode()).executions} == {"a"}


def test_a_tombstone_of_another_partition_is_published_again():
    """With its key alone; this partition's state knows nothing of it."""
    key = event_key(ELSEWHERE, "e")
    partition = fold(Record(0, key, None))
    (again,) = partition.sent
    assert (again.topic, again.partition) == ("executions", partition_of(ELSEWHERE, PARTITIONS))
    assert (again.key, again.value) == (key, None)
    assert {*partition.rows} == {MARK_KEY}


@pytest.mark.parametrize("key", [None, b"", b"app", b"app/", b"/e", b"app%41/e", b"\xff/e"])
def test_a_tombstone_without_a_canonical_key_is_a_dead_letter(key):
    """It would erase nothing, and somebody wanted it to."""
    (letter,) = fold(Record(0, key, None)).sent
    assert (letter.topic, letter.value) == ("executions.dlq", None)
    assert headers_of(letter)["dlq_error_class"] == b"tombstone_key"
    assert headers_of(letter)["dlq_key"] == key


def test_a_bad_event_is_a_dead_letter_and_the_partition_goes_on():
    """The original value, key and headers, and where, when and why; the events around it are folded."""
    told = Told()
    bad = Record(5, b"k\xff", b'{"application_id":"app"}', headers=(("trace", None), ("trace", b"2")))
    partition = fold(record_of(4, ok("a", 1)), bad, record_of(6, ok("b", 2)), observer=told)
    (letter,) = [sent for sent in partition.sent if sent.topic == "executions.dlq"]
    assert (letter.partition, letter.key, letter.value) == (HOME, f"executions/{HOME}/5".encode(), bad.value)
    assert letter.headers[:2] == [("trace", None), ("trace", b"2")]
    assert dict(letter.headers[2:]) == {
        "dlq_topic": b"executions",
        "dlq_partition": str(HOME).encode(),
        "dlq_offset": b"5",
        "dlq_timestamp": str(RECORDED_MS).encode(),
        "dlq_time": b"2026-01-01T00:00:00.000000Z",
        "dlq_key": b"k\xff",
        "dlq_error_class": b"missing_field",
        "dlq_error_message": b"status is missing",
    }
    assert outcomes(partition) == ["consolidated", "consolidated"]
    assert told.heard[1] == (Defect.MISSING_FIELD, 5)


def test_the_far_future_is_judged_by_the_records_own_time():
    """No clock of ours is asked: an event more than a day after its record's timestamp is a dead letter."""
    late = record_of(0, ok("a", 1))
    partition = fold(replace(late, timestamp=RECORDED_MS - 400 * 24 * 3600 * 1000))
    assert headers_of(partition.sent[0])["dlq_error_class"] == b"far_future"


def test_an_oversized_event_is_a_dead_letter():
    """Larger than the limit: refused unread, and passed on whole."""
    raw = b" " * (256 * 1024 + 1)
    (letter,) = fold(Record(0, b"app/e", raw)).sent
    assert headers_of(letter)["dlq_error_class"] == b"too_large"
    assert letter.value is raw


def test_the_execution_limit_is_a_dead_letter():
    """The 2,001st execution of a pair is refused; known ones and other pairs go on."""
    full = [event(f"e{number:04d}", "requested", 0) for number in range(MAX_EXECUTIONS)]
    rest = [ok("one more", 1), ok("e0007", 2, {"x": 5}), ok("one more", 3, processor="q")]
    partition = fold(*records_of([*full, *rest]))
    letters = [headers_of(sent) for sent in partition.sent if sent.topic == "executions.dlq"]
    assert [(letter["dlq_offset"], letter["dlq_error_class"]) for letter in letters] == [(b"2000", b"execution_limit")]
    assert [value["factors"] for value in partition.values("factors")] == [{"f": 5}, {"x": 1}]


def test_a_row_that_grows_too_heavy_is_a_dead_letter_and_stays_as_it_was():
    """Huge events end before a changelog record could exceed the broker's limit."""
    heavy = [ok(f"e{number}", number, {f"n{number}": "x" * 200_000}, processor="unknown") for number in range(9)]
    partition = fold(*records_of(heavy))
    letters = [headers_of(sent) for sent in partition.sent if sent.topic == "executions.dlq"]
    assert [letter["dlq_offset"] for letter in letters] == [b"7", b"8"]
    row = row_of(partition, b"app/unknown")
    assert (len(row.executions), row.applied) == (7, 6)
    assert max(len(sent.value) for sent in partition.sent) < 8 * 1024 * 1024
    assert len(partition.rows[b"app/unknown"]) <= row.weight + 1_000


def test_the_largest_change_stays_below_the_topics_limit():
    """Thousands of tiny factors, a whole output of them cleared by one event, fit into one record of factor-changes."""
    limit = int(topics_of().factor_changes.config["max.message.bytes"])
    names = [f"{number:x}" for number in range(15_000)]
    many = [ok(f"e{part}", part, {f"{part}{name}": 1 for name in names}, processor="u") for part in range(6)]
    partition = fold(*records_of([*many, event("e3", "cancelled", 60, processor="u")]))
    assert row_of(partition, b"app/u").weight > 1_000_000
    *_, last = [sent.value for sent in partition.sent if sent.topic == "factor-changes"]
    assert last.count(b'"op":"cleared"') == len(names)
    assert max(len(sent.value) for sent in partition.sent) < limit


def test_applied_offsets_are_skipped():
    """State and outputs were committed together: what the mark contains is neither folded nor published again."""
    told = Told()
    records = records_of([ok("a", 1), failed("b", 2)])
    partition = fold(*records, observer=told)
    sent, rows = len(partition.sent), dict(partition.rows)
    assert partition.take(*records).events == 0
    assert (len(partition.sent), partition.rows) == (sent, rows)
    assert partition.take(*records, record_of(2, ok("c", 3))).events == 1
    assert [heard[1] for heard in told.heard] == [0, 1, 2]


def test_the_mark_reaches_the_end_of_the_batch():
    """Past the last record by what compaction left empty, and never back."""
    partition = fold(record_of(3, ok("a", 1)), record_of(9, ok("b", 2)))
    assert partition.fold.mark.applied == 9
    partition.take(record_of(5, ok("c", 3)))
    assert partition.fold.mark.applied == 9


def test_the_factors_of_a_batch_are_those_of_its_last_change():
    """However many changes a pair has in a batch, one factors record goes out, in the order of the last changes."""
    items = [ok("a", 1), ok("a", 1, processor="q", event_id="q1"), ok("b", 2), event("b", "started", 3, attempt=2)]
    partition = fold(*records_of(items))
    assert [(value["processor"], value["version"]["offset"]) for value in partition.values("factors")] == [
        ("q", 1),
        ("p", 2),
    ]


def test_a_batch_says_everything_once():
    """What was written out holds memory no longer, and cannot be written out again."""
    partition = fold(content=SUM)
    folded = partition.begin([record_of(0, ok("a", 1)), Record(1, b"app/b", b"no JSON")])
    assert len(folded.outgoing) == 3
    assert folded.outbox.drained(topics_of(PARTITIONS), HOME, rules_of(SUM)) == ([], [])


def test_another_catalogue_than_the_rows_is_refused():
    """The error names both rulesets and says what to do; the same meaning in another order is the same catalogue."""
    rows = fold(record_of(0, ok("a", 1))).rows
    with pytest.raises(ContractError, match=r"CONSOLIDATOR_CATALOGUE.*CONSOLIDATOR_APP_ID") as caught:
        fold(content=one_factor("mean"), rows=rows)
    assert row_of(fold(rows=StoredRows(rows))).ruleset in str(caught.value)
    assert fold(rows=rows).fold.mark.applied == 0


def test_the_observer_hears_of_events_with_their_issues():
    """Copies too: they were received. Erased ones were not."""
    told = Told()
    odd = ok("a", 1, {"x": "text"})
    fold(*records_of([odd, odd, erasure_of(odd), odd]), observer=told)
    issue = QualityIssue(Issue.FACTOR_WRONG_TYPE, "x")
    assert told.heard == [(odd["event_id"], 0, (issue,)), (odd["event_id"], 1, ())]


def test_a_quiet_partition_needs_no_observer():
    """What a replay does not care for is not said."""
    bad = Record(1, b"k", b"{")
    partition = fold(replace(record_of(0, ok("a", 1)), key=b"foreign"), bad)
    assert [sent.topic for sent in partition.sent] == ["executions", "executions.dlq"]


def test_rows_keep_where_they_were_applied_and_published():
    """An event that changes nothing visible moves applied and not version."""
    partition = fold(record_of(3, ok("a", 1)), record_of(8, event("a", "started", 2, attempt=2)))
    row = row_of(partition)
    assert isinstance(row, Row)
    assert (row.applied, row.version) == (8, 3)
    assert partition.values("factor-changes")[0]["cause"]["offset"] == 3


def test_a_structured_cloudevent_is_folded_by_what_is_in_it():
    """The payload decides, wherever the payload is."""
    item = ok("a", 1)
    envelope = to_json({"specversion": "1.0", "id": "1", "source": "/x", "type": "y", "data": item})
    partition = fold(replace(record_of(0, item), value=envelope))
    assert outcomes(partition) == ["consolidated"]
