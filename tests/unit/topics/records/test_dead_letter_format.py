"""Dead letters taken apart, listed, and chosen for a redrive: pure functions of records."""

import json
from dataclasses import replace
from hashlib import sha256

import pytest

from consolidator.source_records import ERASURE_HEADER
from models.errors import BadEventError, Defect
from models.lengths import MAX_KEY_BYTES
from streams.cli.output.dead_letters import decision_line, letter_json, letter_line, shown_json, shown_lines
from streams.cli.output.record_lines import readable_line
from streams.operations.redrive import Choice, decide
from topics.reading.dead_letter_list import State, list_letters
from topics.records.dead_letter_format import (
    MARK_VALUE,
    MAX_CONTENT_BYTES,
    REDRIVE_OF,
    VALUE_BYTES,
    VALUE_SHA256,
    content_bytes,
    dead_letter_content,
    dead_letter_headers,
    mark_key,
    marked_letter,
    parse_dead_letter,
    redriven_headers,
    with_original,
)
from topics.records.record import Record

SOURCE = "executions"
ORIGINAL = [("h", b"1"), ("h", None)]


def letter(offset, *, source=0, headers=ORIGINAL, value=b"{", defect=Defect.INVALID_JSON, topic=SOURCE, partition=2):
    error = BadEventError(defect, "why")
    added = dead_letter_headers(
        error, topic=topic, partition=partition, offset=source, timestamp_ms=5, key=b"k", headers=headers
    )
    return Record("dlq", partition, offset, 7, f"{topic}/{partition}/{source}".encode(), value, tuple(added))


def mark(offset, key):
    return Record("dlq", 2, offset, 8, mark_key(key), MARK_VALUE, ())


def test_a_letter_is_taken_apart_as_it_was_put_together():
    """Place, time, key, reason and the producer's own headers come back."""
    found = parse_dead_letter(letter(9, source=4))
    assert (found.topic, found.partition, found.offset, found.timestamp_ms) == (SOURCE, 2, 4, 5)
    assert (found.key, list(found.headers), found.redrive_of) == (b"k", ORIGINAL, None)
    assert (found.error_class, found.message) == ("invalid_json", "why")


def test_a_producers_headers_are_never_taken_for_ours():
    """Only the last ones are ours, whatever a producer calls its own."""
    spoofed = [("dlq_topic", b"elsewhere"), ("dlq_offset", b"x"), (REDRIVE_OF, b"a/0/1"), ("last", b"")]
    found = parse_dead_letter(letter(9, headers=spoofed))
    assert (found.topic, list(found.headers), found.redrive_of) == (SOURCE, spoofed, None)


@pytest.mark.parametrize("headers", [(), (("dlq_topic", b"t"),), letter(0).headers[:-1]])
def test_a_strangers_record_is_no_letter(headers):
    """Records without all of our headers are told apart."""
    assert parse_dead_letter(Record("dlq", 0, 0, 0, b"k", b"v", tuple(headers))) is None


def test_a_place_that_is_no_number_is_no_letter():
    """Somebody else wrote headers of our names."""
    headers = [(name, b"x" if name == "dlq_offset" else value) for name, value in letter(0).headers]
    assert parse_dead_letter(Record("dlq", 0, 0, 0, b"k", b"v", tuple(headers))) is None


def test_a_redriven_record_names_its_letter_once():
    """However often it goes round, it has the producer's headers and one of ours."""
    first = parse_dead_letter(letter(1, source=4))
    headers = redriven_headers(first, b"executions/2/4")
    second = parse_dead_letter(letter(2, source=5, headers=headers))
    assert second.redrive_of == "executions/2/4"
    assert redriven_headers(second, b"executions/2/5") == [*ORIGINAL, (REDRIVE_OF, b"executions/2/5")]


def test_a_mark_is_known_by_key_and_value():
    """A dead letter whose topic is called strangely is no mark."""
    assert marked_letter(mark(3, b"executions/2/4")) == b"executions/2/4"
    assert marked_letter(letter(3)) is None
    assert marked_letter(Record("dlq", 0, 0, 0, b"x/redriven", b"", ())) is None
    assert marked_letter(Record("dlq", 0, 0, 0, None, MARK_VALUE, ())) is None


def listed():
    """One of each state: redriven, come back, open; and a stranger."""
    back = redriven_headers(parse_dead_letter(letter(0, source=1)), b"executions/2/1")
    records = [
        letter(0, source=1),
        mark(1, b"executions/2/1"),
        letter(2, source=2, headers=back),
        letter(3, source=3, value=None, defect=Defect.TOMBSTONE_KEY),
        Record("dlq", 2, 4, 0, b"k", b"v", ()),
    ]
    return list_letters(records)


def test_letters_are_listed_with_what_became_of_them():
    """Marks are no letters, and strangers are told by their places."""
    letters, strangers = listed()
    assert [(one.place, one.state, one.size) for one in letters] == [
        ((2, 0), State.REDRIVEN, 1),
        ((2, 2), State.CAME_BACK, 1),
        ((2, 3), State.OPEN, None),
    ]
    assert letters[1].redrive_of == "executions/2/1"
    assert strangers == [(2, 4)]


def test_a_letter_that_was_erased_is_none():
    """Its tombstone is ours: neither a letter nor a stranger's record, whether the letter is still there or not."""
    headers = ((ERASURE_HEADER, b"application"),)
    tombstones = [
        Record("dlq", 2, 3 + number, 0, f"executions/2/{number}".encode(), None, headers) for number in (0, 9)
    ]
    letters, strangers = list_letters([letter(0), letter(1, source=1), *tombstones])
    assert [one.place for one in letters] == [(2, 1)]
    assert strangers == []
    letters, strangers = list_letters([letter(0), Record("dlq", 2, 1, 0, b"executions/2/0", None, ())])
    assert (len(letters), strangers) == (1, [(2, 1)])


def test_a_letter_of_a_recreated_source_is_another_letter():
    """The same offset again, after the mark of the one before: it is open."""
    letters, _ = list_letters([letter(0), mark(1, b"executions/2/0"), letter(2)])
    assert [(one.place, one.state) for one in letters] == [((2, 2), State.OPEN)]


@pytest.mark.parametrize(
    ("choice", "put_back", "left_alone"),
    [
        (Choice(), [(2, 3)], [(2, 0), (2, 2)]),
        (Choice(again=True), [(2, 2), (2, 3)], [(2, 0)]),
        (Choice(again=True, limit=1), [(2, 2)], [(2, 0)]),
        (Choice(places={(2, 0)}, again=True), [], [(2, 0)]),
        (Choice(error_classes={"tombstone_key"}), [(2, 3)], []),
        (Choice(places={(2, 3)}, error_classes={"empty"}), [], []),
    ],
)
def test_a_redrive_takes_what_is_asked_for_and_was_not_put_back_before(choice, put_back, left_alone):
    """Redriven is for ever; what came back needs --again; the limit counts what is put back."""
    decisions = decide(listed()[0], choice, source=SOURCE)
    assert [one.letter.place for one in decisions if one.reason is None] == put_back
    assert [one.letter.place for one in decisions if one.reason is not None] == left_alone


def test_a_letter_of_another_topic_is_left_alone():
    """It would go where it never was."""
    letters, _ = list_letters([letter(0, topic="other")])
    [decision] = decide(letters, Choice(again=True), source=SOURCE)
    assert decision.reason == "it is of other partition 2"


def test_lines_are_for_people_and_json_for_programs():
    """A line has the place, the source, the state and the reason; JSON the same as members."""
    letters, _ = listed()
    line = letter_line(letters[2])
    for text in ("2:3", "executions:2:3", "open", "tombstone_key", "no value", "why"):
        assert text in line
    members = json.loads(letter_json(letters[1], "dlq", action="skipped", reason="because"))
    assert members["dlq"] == {"topic": "dlq", "partition": 2, "offset": 2}
    assert members["source"] == {"topic": "executions", "partition": 2, "offset": 2}
    assert (members["state"], members["action"], members["reason"]) == ("came_back", "skipped", "because")
    assert decision_line(letters[0], "would_redrive", None).startswith("would redrive 2:0")


def test_nothing_foreign_can_steer_a_terminal():
    """Key, header names, header values and the value are escaped in both formats; markup stays what it is."""
    steering = "\x1b[2J\u202e<script>"
    record = letter(0, headers=[(steering, steering.encode())], value=steering.encode() + b"\xff")
    [one], _ = list_letters([record])
    apart = parse_dead_letter(record)
    for text in ("\n".join(shown_lines(one, apart, record.value, "dlq")), shown_json(one, apart, record.value, "dlq")):
        assert not {"\x1b", "\u202e"} & set(text)
    shown = list(shown_lines(one, apart, record.value, "dlq"))
    assert "\\u001b[2J\\u202e<script>\\xff" in shown


def test_a_long_value_is_cut_and_says_so():
    """A terminal gets its start, and where to find the rest."""
    record = letter(0, value=b"x" * 5_000)
    [one], _ = list_letters([record])
    *_, value, more = shown_lines(one, parse_dead_letter(record), record.value, "dlq")
    assert len(value) == 4_096
    assert more == "… and 904 bytes more: --raw shows all"


def test_tail_tells_a_mark_from_a_letter():
    """It says which letter was put back."""
    assert "executions:2:4" in readable_line("dlq", mark(3, b"executions/2/4"))
    assert "put back" in readable_line("dlq", mark(3, b"executions/2/4"))


def content(*, key=b"app/evt", value=b"{", headers=ORIGINAL):
    """The dead letter of a source record at 2:4, as it comes out of Kafka, and the source record."""
    error = BadEventError(Defect.TOO_LARGE, "why")
    place = {"topic": SOURCE, "partition": 2, "offset": 4, "timestamp_ms": 5}
    written, added = dead_letter_content(error, **place, key=key, value=value, headers=headers)
    kept = Record("dlq", 2, 9, 7, f"{SOURCE}/2/4".encode(), written, tuple(added))
    return kept, Record(SOURCE, 2, 4, 5, key, value, tuple(headers))


HUGE = b"v" * MAX_CONTENT_BYTES


def test_a_record_is_kept_whole_up_to_the_bound():
    """Key, value and headers count, with what Kafka puts around a header; the bound is inclusive."""
    rest = content_bytes(b"app/evt", b"", ORIGINAL)
    largest = b"v" * (MAX_CONTENT_BYTES - rest)
    kept, source = content(value=largest)
    assert (kept.value, list(kept.headers[:2]), parse_dead_letter(kept).original) == (largest, ORIGINAL, None)
    assert parse_dead_letter(kept).key == source.key
    assert parse_dead_letter(content(value=largest + b"v")[0]).original is not None


@pytest.mark.parametrize(
    ("key", "value", "headers"),
    [
        (b"app/evt", HUGE, ORIGINAL),
        (HUGE, b"{", ()),
        (b"app/evt", b"{", [("h", HUGE)]),
        (b"app/evt", b"{", [("h", b"x" * 10)] * 100_000),
        (b"app/evt", b"{", [("h" * 100, None)] * 10_000),
        (b"app/evt", None, [("h", HUGE)]),
    ],
    ids=["value", "key", "header", "many headers", "names of headers", "tombstone"],
)
def test_a_record_above_the_bound_stays_in_the_source(key, value, headers):
    """The dead letter has its place, size, digest and reason, and is small, whatever it is that is large."""
    kept, source = content(key=key, value=value, headers=headers)
    assert content_bytes(kept.key, kept.value, kept.headers) < 1_000 + MAX_KEY_BYTES
    assert kept.value == b""
    found = parse_dead_letter(kept)
    assert (found.topic, found.partition, found.offset, found.timestamp_ms) == (SOURCE, 2, 4, 5)
    assert (found.error_class, found.headers) == ("too_large", ())
    assert found.message == "why; too large for a dead letter: the source keeps the record"
    assert found.original.value_bytes == (None if value is None else len(value))
    assert found.original.is_in(source)
    [listed_letter], strangers = list_letters([kept])
    assert (listed_letter.size, listed_letter.original, strangers) == (found.original.value_bytes, found.original, [])


@pytest.mark.parametrize(
    ("key", "kept"),
    [
        *[(b"app/evt", True), (b"a" * 512 + b"/" + b"e" * 512, True), (b"a" * MAX_KEY_BYTES + b"/e", False)],
        *[(b"foreign", False), (b"\xff/evt", False), (None, False)],
    ],
)
def test_only_a_canonical_key_is_kept_above_the_bound(key, kept):
    """An erasure finds it by that; of any other key nothing remains here."""
    assert parse_dead_letter(content(key=key, value=HUGE)[0]).key == (key if kept else None)


@pytest.mark.parametrize(
    "changes",
    [{"offset": 5}, {"timestamp_ms": 6}, {"value": HUGE[:-1] + b"w"}, {"value": HUGE + b"v"}, {"value": None}],
)
def test_another_record_at_the_place_is_not_the_original(changes):
    """A re-created topic has other records at the same offsets."""
    kept, source = content(value=HUGE)
    assert not parse_dead_letter(kept).original.is_in(replace(source, **changes))


def test_a_producers_headers_are_not_taken_for_a_missing_content():
    """Ours come last, with the content or without it."""
    spoofed = [(VALUE_BYTES, b"1"), (VALUE_SHA256, b"00")]
    assert parse_dead_letter(content(headers=spoofed)[0]).original is None
    assert parse_dead_letter(content(headers=spoofed, value=HUGE)[0]).original.value_bytes == len(HUGE)


def test_whose_redrive_it_is_stays_known_above_the_bound():
    """A letter that came back says so, though its other headers are in the source; a forged huge one is dropped."""
    kept, source = content(value=HUGE, headers=[*ORIGINAL, (REDRIVE_OF, b"executions/2/3")])
    found = parse_dead_letter(kept)
    assert found.redrive_of == "executions/2/3"
    assert list_letters([kept])[0][0].state is State.CAME_BACK
    whole = with_original(found, source)
    assert (whole.key, whole.redrive_of) == (b"app/evt", "executions/2/3")
    assert redriven_headers(whole, b"executions/2/4") == [*ORIGINAL, (REDRIVE_OF, b"executions/2/4")]
    assert parse_dead_letter(content(headers=[(REDRIVE_OF, HUGE)])[0]).redrive_of is None


def test_a_letter_without_content_is_redriven_only_if_the_source_has_it():
    """It is looked for only where nothing else speaks against it."""
    kept, _ = content(value=HUGE)
    marked = list_letters([kept, Record("dlq", 2, 10, 8, mark_key(kept.key), MARK_VALUE, ())])[0]
    [one], _ = list_letters([kept])
    asked = []

    def is_there(original, *, answer=True):
        asked.append(original)
        return answer

    assert [d.reason for d in decide([one], Choice(), source=SOURCE, is_there=is_there)] == [None]
    [gone] = decide([one], Choice(), source=SOURCE, is_there=lambda original: is_there(original, answer=False))
    assert "gone from the source" in gone.reason
    assert asked == [one.original] * 2
    assert "redriven before" in decide(marked, Choice(), source=SOURCE, is_there=is_there)[0].reason
    assert decide([one], Choice(limit=0), source=SOURCE, is_there=is_there) == []
    assert len(asked) == 2


def test_a_letter_without_content_is_shown_from_the_source_or_said_to_be_gone():
    """Size and digest stand in both cases; the value only where the source has it."""
    kept, source = content(value=HUGE)
    [one], _ = list_letters([kept])
    found = parse_dead_letter(kept)
    digest = sha256(HUGE).hexdigest()
    shown = list(shown_lines(one, with_original(found, source), source.value, "dlq"))
    assert f"a value of {len(HUGE)} bytes, SHA-256 {digest}; read from executions, which keeps it" in shown[4]
    assert shown[-2] == "v" * 4_096
    members = json.loads(shown_json(one, with_original(found, source), source.value, "dlq"))
    assert (members["content"], members["sha256"], members["key"]) == ("in_source", digest, "app/evt")
    assert members["value"] == HUGE.decode()
    gone = list(shown_lines(one, found, b"", "dlq", is_gone=True))
    assert gone[-1].endswith(f"SHA-256 {digest}; executions does not have it any more")
    members = json.loads(shown_json(one, found, b"", "dlq", is_gone=True))
    assert (members["content"], members["size"], members["value"]) == ("gone", len(HUGE), None)
    assert json.loads(letter_json(one, "dlq"))["content"] == "in_source"
    assert str(len(HUGE)) in letter_line(one)
