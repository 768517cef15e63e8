"""What `consolidator up` shows."""

from time import monotonic

import pytest

from streams.cli.output.console import stdout
from streams.cli.output.operations.up_page import duration, page_of, progress_line
from streams.supervisor.house import Shown
from streams.supervisor.kafka_watch import Progress
from streams.supervisor.supervisor import Row

ROWS = [
    Row("broker", "running", is_well=True, since_s=200.0, restarts=0, pid=11),
    Row("worker", "starts again in 2 s", is_well=False, since_s=1.0, restarts=3, pid=None),
]


def shown(**others):
    facts = {
        "servers": "127.0.0.1:9092",
        "has_broker": True,
        "rows": ROWS,
        "says": {"worker": "4 partitions: 4 running"},
    }
    return Shown(**facts | {"progress": None, "day": "", "look_with": "", "logs": "/state/up"} | others)


def text_of(page):
    console = stdout()
    console.width = 200
    with console.capture() as capture:
        console.print(page)
    return capture.get()


def test_the_page_has_every_child_and_what_it_says():
    """State, time, restarts, process, and the address of the broker."""
    text = text_of(page_of(shown(progress=Progress(90, 100, 12.6, monotonic()), day="1 of 2 events published")))
    for words in ("running", "3 min 20 s", "127.0.0.1:9092", "starts again in 2 s", "3", "4 partitions: 4 running"):
        assert words in text
    assert "90 of 100 offsets consolidated, 10 waiting, 13 a second" in text
    assert "the day: 1 of 2 events published" in text
    assert "logs: /state/up" in text


def test_the_page_of_a_demonstration_says_how_to_look_at_it():
    """Its topics are its own; of an installation without one there is nothing to say."""
    command = "CONSOLIDATOR_TOPIC_PREFIX=demo-1- consolidator status"
    assert f"look at it with: {command}" in text_of(page_of(shown(look_with=command)))
    assert "look at it" not in text_of(page_of(shown()))


def test_what_a_child_says_cannot_steer_the_terminal():
    """Its words come from another process."""
    assert "\x1b]" not in text_of(page_of(shown(says={"worker": "\x1b]0;title\x07"})))


def test_a_broker_that_is_not_ours_is_named():
    """Nobody looks for its process here."""
    assert "not ours: broker:9092" in text_of(page_of(shown(servers="broker:9092", has_broker=False, rows=ROWS[1:])))


@pytest.mark.parametrize(
    ("progress", "line"),
    [
        (None, "executions: not asked yet"),
        (Progress(error="no broker\nto do: x"), "no broker"),
        (Progress(5, 5, 0.0, 98.0), "executions: 5 of 5 offsets consolidated, 0 waiting, 0 a second"),
        (
            Progress(5, 7, 0.0, 40.0, "no broker"),
            "executions: 5 of 7 offsets consolidated, 2 waiting, 0 a second (1 min 0 s ago; no broker)",
        ),
        (Progress(5, 5, 0.0, 90.0), "executions: 5 of 5 offsets consolidated, 0 waiting, 0 a second (10 s ago)"),
    ],
)
def test_how_far_the_workers_are(progress, line):
    """An old answer says how old it is, and why there is no newer one."""
    assert progress_line(progress, 100.0) == line


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (59.9, "59 s"),
        (60, "1 min 0 s"),
        (3_599, "59 min 59 s"),
        (3_600, "1 h 0 min"),
        (90_000, "25 h 0 min"),
    ],
)
def test_a_time_in_words(seconds, words):
    """No decimals, no more than two units."""
    assert duration(seconds) == words
