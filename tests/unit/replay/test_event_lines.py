"""Bad lines of a file say what the named member has."""

import json

import pytest

from streams.replay.event_lines import BadLine, read_event_lines

GOOD = {
    "application_id": "a",
    "execution_id": "e",
    "processor": "p",
    "status": "completed",
    "occurred_at": "2025-03-03T09:00:00Z",
}


def bad(line):
    (found,) = read_event_lines(
        [line if isinstance(line, bytes) else json.dumps(line).encode()], max_event_bytes=10_000
    )
    assert isinstance(found, BadLine)
    return str(found)


@pytest.mark.parametrize(
    ("changes", "end"),
    [
        ({"status": "done"}, ': it is "done"'),
        ({"status": 1}, ": it is 1"),
        ({"status": "\x1b[2J"}, ': it is "\\u001b[2J"'),
        ({"occurred_at": "today " * 20}, f': it is "{("today " * 20)[:59]}…'),
        ({"attempt": 0}, ": it is 0"),
        ({"schema_version": 9}, ": it is 9"),
        ({"processor": ["p"]}, ': it is ["p"]'),
        ({"processor": None}, "processor is missing"),
        ({"output": {"factors": {"f": ["secret"]}}}, "a factor in output.factors is a list or an object"),
        ({"output": "secret"}, "output is not a JSON object"),
        ({"status": "failed", "error": "secret"}, "error is not a JSON object"),
    ],
)
def test_the_value_is_shown_except_a_factors(changes, end):
    """Escaped, and cut where it is long."""
    assert bad(GOOD | changes).endswith(end)
    assert "secret" not in bad(GOOD | changes)


def test_the_event_of_a_structured_cloudevent_is_meant():
    """Not the envelope around it."""
    envelope = {"specversion": "1.0", "data": GOOD | {"status": "done"}}
    assert bad(envelope).endswith(': it is "done"')


@pytest.mark.parametrize("line", [b"{", b"[" * 5000, b'{"status": ' + b"9" * 5000 + b"}", b"\xff", b'"status"'])
def test_what_cannot_be_parsed_shows_nothing(line):
    """And is told all the same."""
    assert bad(line).startswith("line 1: ")
