"""The worker's fold of an erased application: forgotten at the erasure, refused behind it, in whatever batch."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consolidator.source_records import ERASURE_HEADER
from models.errors import BadEventError, Defect
from streams.partition.state.erased_applications import ErasedApplications
from streams.partition.state.row_codec import MARK_KEY, decode_row
from tests.inputs.cases import event, failed, ok, one_factor
from tests.oracle.expected import Tombstone
from tests.oracle.folds import Partition, Record, StoredRows, record_of
from topics.records.dead_letter_format import CLASS, KEY
from topics.records.erasures import ERASURE_PREFIX, Erasure, erasure_of, parse_erasure

CATALOGUE = one_factor("sum")
SALT = bytes(range(16))
SECRET = "420417"
"""A factor's value that may stand nowhere."""


def erasure_record(offset, application="app", *, lifted=False):
    erasure = erasure_of(application, SALT, lifted=lifted)
    return Record(offset, erasure.key, erasure.value)


def of(application, *events):
    return [one | {"application_id": application} for one in events]


def folded(*records, **more):
    partition = Partition(CATALOGUE, **more)
    partition.take(*records)
    return partition


def log(*items):
    """Records in their order; an item may be one already."""
    return [
        replace(item, offset=offset) if isinstance(item, Record) else record_of(offset, item)
        for offset, item in enumerate(items)
    ]


def test_everything_about_it_is_gone():
    """Rows of all its processors and of its erased events go, its factors get tombstones, others' rows stay."""
    erased = ok("a", 1, {"x": 1})
    partition = folded(
        *log(
            ok("a", 2, {"x": int(SECRET)}),
            ok("b", 3, processor="q"),
            erased | {"event_id": "e"},
            Tombstone("app", "e"),
            *of("other", ok("a", 1)),
            erasure_record(0),
        )
    )
    assert {key for key in partition.rows if not key.startswith(b"\x00")} == {b"other/p"}
    assert not any(SECRET.encode() in raw for raw in partition.rows.values())
    assert decode_row(partition.rows[MARK_KEY]).erasures == 1
    tombs = [sent.key for sent in partition.sent if sent.topic == "factors" and sent.value is None]
    assert tombs == [b"app/p", b"app/q"]


def test_the_hash_alone_remains():
    """Neither the erasure nor the row that is kept of it names the application."""
    record = erasure_record(0, "a-telling-name")
    partition = folded(*log(*of("a-telling-name", ok("a", 1)), record))
    assert b"telling" not in record.key + record.value
    assert not any(b"telling" in key + raw for key, raw in partition.rows.items())


@pytest.mark.parametrize("together", [True, False])
def test_late_events_are_refused_without_a_trace(together):
    """A late event becomes a dead letter without content, and a tombstone takes it out of the source."""
    records = log(ok("a", 1), erasure_record(0), ok("b", 2, {"x": int(SECRET)}), *of("other", ok("a", 1)))
    partition = Partition(CATALOGUE)
    for batch in [records] if together else [[one] for one in records]:
        partition.take(*batch)
    [letter] = [sent for sent in partition.sent if sent.topic == "executions.dlq"]
    headers = dict(letter.headers)
    assert (letter.value, headers[CLASS], headers[KEY]) == (b"", b"application_erased", None)
    [tomb] = [sent for sent in partition.sent if sent.topic == "executions"]
    assert (tomb.key, tomb.value) == (records[2].key, None)
    assert dict(tomb.headers) == {ERASURE_HEADER: b"late"}
    assert {key for key in partition.rows if not key.startswith(b"\x00")} == {b"other/p"}
    late = partition.take(Record(4, tomb.key, None, headers=tomb.headers))
    assert late.outgoing == []


def test_a_restart_knows_it():
    """What is erased is in the stored rows: a new owner of the partition refuses its events as well."""
    partition = folded(*log(ok("a", 1), erasure_record(0)))
    again = Partition(CATALOGUE, rows=partition.rows)
    again.take(record_of(2, ok("b", 2)))
    assert [dict(sent.headers)[CLASS] for sent in again.sent if sent.topic == "executions.dlq"] == [
        b"application_erased"
    ]


def test_a_second_erasure_changes_nothing():
    """Given twice, an erasure holds once, and its tombstones are not repeated."""
    partition = folded(*log(ok("a", 1), erasure_record(0), erasure_record(0)))
    assert decode_row(partition.rows[MARK_KEY]).erasures == 1
    assert len([sent for sent in partition.sent if sent.value is None]) == 1


@pytest.mark.parametrize("split", range(5))
def test_lifted_it_begins_anew(split):
    """Events are accepted again, and nothing of what was erased comes back, wherever the batch was cut."""
    records = log(
        ok("a", 1, {"x": 5}),
        erasure_record(0),
        erasure_record(0, lifted=True),
        ok("b", 2, {"x": 7}),
        failed("c", 3),
    )
    partition = Partition(CATALOGUE)
    # The second batch is folded while the first one commits.
    for batch in [partition.begin(part) for part in (records[:split], records[split:]) if part]:
        partition.finish(batch)
    row = decode_row(partition.rows[b"app/p"])
    assert set(row.executions) == {"b", "c"}
    assert partition.values("factors")[-1]["factors"] == {"f": 7}
    assert partition.fold.mark.erasures == 0


def test_what_was_never_erased_cannot_be_lifted():
    """A lifting without an erasure does nothing."""
    partition = folded(*log(ok("a", 1), erasure_record(0, lifted=True)))
    assert {*partition.rows} == {MARK_KEY, b"app/p"}


def test_a_foreign_record_is_taken_out_without_a_word():
    """A tombstone of an erasure under a key that is not canonical is no dead letter; any other one is."""
    taken = Record(0, b"a-key-of-the-producers-own", None, headers=((ERASURE_HEADER, b"application"),))
    assert folded(taken).sent == []
    assert [sent.topic for sent in folded(replace(taken, headers=())).sent] == ["executions.dlq"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (erasure_of("app", SALT).key, b""),
        (erasure_of("app", SALT).key, b"{}"),
        (erasure_of("app", SALT).key, b'{"salt":1,"erasure":"erased"}'),
        (erasure_of("app", SALT).key, b'{"salt":"00","erasure":"erased"}'),
        (erasure_of("app", SALT).key, b'{"salt":"%s","erasure":"forgotten"}' % SALT.hex().encode()),
        (ERASURE_PREFIX + b"xyz", erasure_of("app", SALT).value),
        (ERASURE_PREFIX, event("a", "started", 1)),
        (ERASURE_PREFIX + b"\xff", None),
    ],
)
def test_what_only_looks_like_an_erasure_is_a_dead_letter(key, value):
    """Anybody can use such a key: nothing is erased by it, and the next event is folded."""
    raw = value if isinstance(value, bytes | None) else str(value).encode()
    partition = folded(record_of(0, ok("a", 1)), Record(1, key, raw), record_of(2, ok("b", 2)))
    letters = [dict(sent.headers)[CLASS] for sent in partition.sent if sent.topic == "executions.dlq"]
    assert letters == [b"invalid_erasure"]
    assert set(decode_row(partition.rows[b"app/p"]).executions) == {"a", "b"}


@given(st.text(min_size=1, max_size=20), st.binary(min_size=16, max_size=16), st.booleans())
def test_an_erasure_is_read_as_it_was_written(application, salt, lifted):
    """Key and value give the erasure back, for every id that has a UTF-8 form."""
    try:
        erasure = erasure_of(application, salt, lifted=lifted)
    except UnicodeEncodeError:
        return
    assert parse_erasure(erasure.key, erasure.value) == erasure


def test_an_altered_hash_is_refused():
    """Upper case is another key, so it is none."""
    erasure = Erasure(SALT, b"\xab" * 32)
    with pytest.raises(BadEventError) as caught:
        parse_erasure(erasure.key.upper().replace(b"/ERASURE/", ERASURE_PREFIX), erasure.value)
    assert caught.value.defect is Defect.INVALID_ERASURE


def test_of_long_keys_no_answer_is_remembered():
    """The cache counts its entries, so each of them is bounded; the answer is the same."""
    erased = ErasedApplications(StoredRows(), stored=False)
    for length in (10, 5_000):
        erased.add(erasure_of("x" * length, SALT))
        assert erased.holds(b"x" * length + b"/")
        assert not erased.holds(b"y" * length + b"/")
    assert not erased._known
    assert erased.holds(b"x" * 10 + b"/")
    assert [*erased._known] == [b"x" * 10 + b"/"]
