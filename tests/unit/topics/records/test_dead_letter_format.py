"""Dead letters taken apart, listed, and chosen for a redrive: pure functions of records."""

import json

import pytest

from models.errors import BadEventError, Defect
from streams.cli.output.dead_letters import decision_line, letter_json, letter_line, shown_json, shown_lines
from streams.cli.output.record_lines import readable_line
from streams.operations.redrive import Choice, decide
from topics.reading.dead_letter_list import State, list_letters
from topics.records.dead_letter_format import (
    MARK_VALUE,
    REDRIVE_OF,
    dead_letter_headers,
    mark_key,
    marked_letter,
    parse_dead_letter,
    redriven_headers,
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
    for text in ("\n".join(shown_lines(one, apart, record, "dlq")), shown_json(one, apart, record, "dlq")):
        assert not {"\x1b", "\u202e"} & set(text)
    shown = list(shown_lines(one, apart, record, "dlq"))
    assert "\\u001b[2J\\u202e<script>\\xff" in shown


def test_a_long_value_is_cut_and_says_so():
    """A terminal gets its start, and where to find the rest."""
    record = letter(0, value=b"x" * 5_000)
    [one], _ = list_letters([record])
    *_, value, more = shown_lines(one, parse_dead_letter(record), record, "dlq")
    assert len(value) == 4_096
    assert more == "… and 904 bytes more: --raw shows all"


def test_tail_tells_a_mark_from_a_letter():
    """It says which letter was put back."""
    assert "executions:2:4" in readable_line("dlq", mark(3, b"executions/2/4"))
    assert "put back" in readable_line("dlq", mark(3, b"executions/2/4"))
