"""Which erasures count: those that are confirmed at their very place, in the worker's fold and in every replay."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import ContractError
from streams.core.rules import Rules
from streams.partition.batch import Batch
from streams.partition.kafka_questions import asks_kafka, look_up
from streams.partition.state.row_codec import MARK_KEY, decode_row
from streams.replay.application_log import KeptLog
from streams.replay.replay import Replay
from streams.replay.tables import MemoryTable
from streams.rulesets.rule_book import RuleBook
from tests.inputs.cases import ok, one_factor
from tests.oracle.folds import MAX_EVENT_BYTES, Partition, Record, catalogue_of, record_of, topics_of
from topics.reading.ranges import Range
from topics.records.dead_letter_format import CLASS
from topics.records.erasure_authority import EveryErasure, NoErasure, NoneEarlier
from topics.records.erasures import erasure_of, parse_erasure
from topics.records.record import Record as KafkaRecord

CONTENT = one_factor("sum")
SALT = bytes(range(16))


class Entries(NoErasure):
    """What is confirmed, and which offsets were asked about, up to which end."""

    def __init__(self, *records):
        self.entries = {record.offset: parse_erasure(record.key, record.value) for record in records}
        self.asked = []
        self.end = 0

    def fetched(self, partition, end):
        assert partition == 0
        self.end = max(self.end, end)

    def confirms(self, partition, offset, erasure):
        assert partition == 0
        assert offset < self.end, "what was not read yet cannot be asked about"
        self.asked.append(offset)
        return self.entries.get(offset) == erasure


def erasure_at(offset, application="app", *, lifted=False):
    erasure = erasure_of(application, SALT, lifted=lifted)
    return Record(offset, erasure.key, erasure.value)


def letters_of(partition):
    return [dict(sent.headers)[CLASS].decode() for sent in partition.sent if sent.topic == "executions.dlq"]


def folded(records, authority, *, cut=None):
    partition = Partition(CONTENT, authority=authority)
    for part in (records[:cut], records[cut:]) if cut else (records,):
        if part:
            partition.take(*part)
    return partition


@pytest.mark.parametrize("cut", [None, 1, 2, 3])
def test_a_record_without_an_entry_is_a_dead_letter(cut):
    """Nothing is erased by it, wherever the batches are cut, and the application's next event is folded."""
    records = [record_of(0, ok("a", 1, {"x": 5})), erasure_at(1), record_of(2, ok("b", 2, {"x": 7}))]
    partition = folded(records, Entries(), cut=cut)
    assert letters_of(partition) == ["unconfirmed_erasure"]
    assert set(decode_row(partition.rows[b"app/p"]).executions) == {"a", "b"}
    assert partition.fold.mark.erasures == 0


def test_whoever_folds_without_asking_erases_nothing():
    """The default is that nothing is confirmed."""
    assert not NoErasure().confirms(0, 1, erasure_of("app", SALT))
    assert NoErasure().forgotten(0, "app") is EveryErasure().forgotten(0, "app") is None


@pytest.mark.parametrize("first", ["erasure", "lift"])
def test_old_bytes_written_again_do_nothing(first):
    """The entry names one offset: at another one, whoever wrote them there, they are a dead letter."""
    erasure, lift = erasure_at(1), erasure_at(3, lifted=True)
    again = replace(erasure, offset=4) if first == "erasure" else replace(lift, offset=2)
    records = sorted([record_of(0, ok("a", 1)), erasure, lift, again], key=lambda one: one.offset)
    partition = folded(records, Entries(erasure, lift))
    assert letters_of(partition) == ["unconfirmed_erasure"]
    after = Partition(CONTENT, rows=partition.rows, authority=Entries(erasure, lift))
    after.take(record_of(5, ok("b", 2)))
    assert letters_of(after) == [], "it is lifted, as the entries say"
    assert set(decode_row(after.rows[b"app/p"]).executions) == {"b"}


@pytest.mark.parametrize("other", [erasure_at(1, "other"), erasure_at(1, lifted=True)])
def test_an_entry_confirms_what_it_says_and_nothing_else(other):
    """Were the topic made anew, another record at that offset would not be confirmed by an old entry."""
    assert letters_of(folded([record_of(0, ok("a", 1)), erasure_at(1)], Entries(other))) == ["unconfirmed_erasure"]


@given(st.lists(st.tuples(st.sampled_from("el"), st.booleans()), max_size=8), st.integers(1, 9))
def test_replay_and_worker_come_to_the_same(steps, cut):
    """Erasures and lifts, confirmed or not, between events: the same rows and records, however the log is cut."""
    records, confirmed = [record_of(0, ok("a", 0))], []
    for kind, is_confirmed in steps:
        records.append(erasure_at(len(records), lifted=kind == "l"))
        if is_confirmed:
            confirmed.append(records[-1])
        records.append(record_of(len(records), ok(f"b{len(records)}", len(records) % 60)))
    partition = folded(records, Entries(*confirmed), cut=cut)
    kept = KeptLog(
        "executions",
        1,
        [KafkaRecord("executions", 0, one.offset, one.timestamp, one.key, one.value, ()) for one in records],
    )
    rows = MemoryTable()
    replay = Replay(
        topics_of(),
        RuleBook(Rules(catalogue_of(CONTENT)), erasures=Entries(*confirmed)),
        rows,
        MAX_EVENT_BYTES,
    )
    sent = [
        (one.topic, one.key, one.value)
        for batch in replay.run(kept, {0: Range(0, 0, len(records))})
        for one in batch.folded.outgoing
    ]

    def without_dead_letters(found):
        return sorted(one for one in found if one[0] == "factor-changes")

    assert without_dead_letters(sent) == without_dead_letters(
        [(one.topic, one.key, one.value) for one in partition.sent]
    )
    assert {key: raw for key, raw in rows.between(b"", None) if key != MARK_KEY} == {
        key: raw for key, raw in partition.rows.items() if key != MARK_KEY
    }


def test_kafka_is_asked_before_the_fold_and_only_where_there_is_a_reason():
    """A batch of events asks nothing; one with an erasure asks for it, and for nothing that is applied already."""
    erasure = erasure_at(1)
    entries = Entries(erasure)
    partition = folded([record_of(0, ok("a", 1))], entries)
    assert entries.asked == []
    plain = Batch("executions", 0, 1, 2, [record_of(1, ok("b", 2))])
    assert not asks_kafka(plain)
    batch = Batch("executions", 0, 0, 3, [replace(erasure, offset=0), erasure, Record(2, b"/erasure/x", b"")])
    assert asks_kafka(batch)
    look_up(partition.fold, batch)
    assert entries.asked == [1], "the first one is applied, and the last one is no erasure"


def test_whoever_makes_state_anew_stops_at_an_erasure_that_is_not_confirmed_yet():
    """What earlier workers have forgotten would come back; a forged one of today is a dead letter there, too."""
    records = [record_of(0, ok("a", 1)), erasure_at(1), erasure_at(2)]
    with pytest.raises(ContractError, match=r"partition 0 offset 1: .*--confirm-earlier"):
        folded(records, NoneEarlier(Entries(), taken_over=2))
    confirmed = folded(records, NoneEarlier(Entries(records[1]), taken_over=2))
    assert letters_of(confirmed) == ["unconfirmed_erasure"]
    assert confirmed.fold.mark.erasures == 1
    assert NoneEarlier(Entries(), taken_over=2).forgotten(0, "app") is None
