"""A snapshot and the tail behind it, with transactions that are open, half visible or aborted while it is taken.

A worker writes a change and the factors that go with it in one transaction, but its markers reach each partition at
another moment. On one broker they are never apart for long, so two transactions stand for the two halves of one here.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from consolidator.keys import change_key, factors_key
from consolidator.records import decode_change
from tests.languages.programs import Following, Line, Program, in_every_language
from tests.languages.publisher import BIG, Publisher
from tests.real_kafka.installation import LIMIT_S, Installation
from tests.real_kafka.worker_process import wait_until

pytestmark = [pytest.mark.languages, pytest.mark.kafka, in_every_language]

APP = "app-1"
Follow = Callable[..., Following]


@pytest.fixture
def follow(program: Program, installation: Installation, tmp_path: Path) -> Iterator[Follow]:
    """Start the example with options; it is killed at the end of the test if it still runs."""
    with ExitStack() as stack:
        yield lambda *options: stack.enter_context(
            Following(program, installation.variables, tmp_path / "example", *options)
        )


def scores(lines: list[Line]) -> dict[str, object]:
    """The factor of each application, and where its version stands."""
    return {line["application_id"]: (line["factors"]["f_score"], line["version"]["offset"]) for line in lines}


def settled(installation: Installation) -> None:
    """Wait for the markers: a commit is answered before they are written."""
    for topic in (installation.topics.factor_changes.name, installation.topics.factors.name):
        wait_until(
            lambda topic=topic: installation.stable_ends(topic) == installation.ends(topic), topic, limit_s=LIMIT_S
        )


def test_a_transaction_that_is_open_across_both_topics_is_waited_for(installation, follow):
    """It is committed while the reader waits: the reader has its factors."""
    worker = Publisher(installation)
    with worker.committed():
        worker.both(APP, 1, 10)
    worker.begin()
    worker.both(APP, 2, BIG)
    worker.both("app-2", 3, 30)
    worker.flush()
    reader = follow("--until-caught-up")
    reader.wait_message("waiting: ")
    assert reader.lines == []
    worker.commit()
    assert reader.wait_end() == 0
    assert scores(reader.lines) == {APP: (BIG, 2), "app-2": (30, 3)}


def test_the_journal_may_be_ahead_of_the_factors(installation, follow):
    """The gap itself: the change is committed and below the journal's stable offset, its factors are not visible yet.

    A reader that takes the stable offset of ``factors`` for the end of the snapshot loses the change: the tail begins
    behind it.
    """
    journal, factors = Publisher(installation), Publisher(installation)
    with journal.committed():
        journal.both(APP, 1, 10)
    settled(installation)
    factors.begin()
    factors.factors(APP, 2, 20)
    factors.flush()
    with journal.committed():
        journal.change(APP, 2, 20)
    topics = installation.topics
    wait_until(
        lambda: (
            APP in {decode_change(one.value).application_id for one in installation.read(topics.factor_changes.name)}
            and sum(installation.stable_ends(topics.factor_changes.name).values()) == 4
        ),
        "the change to be visible",
        limit_s=LIMIT_S,
    )
    assert (
        sum(installation.stable_ends(topics.factors.name).values())
        == 2
        < sum(installation.ends(topics.factors.name).values())
    )
    reader = follow("--until-caught-up")
    reader.wait_message(f"waiting: {topics.factors.name} partition ")
    factors.commit()
    assert reader.wait_end() == 0
    assert scores(reader.lines) == {APP: (20, 2)}


def test_the_factors_may_be_ahead_of_the_journal(installation, follow):
    """The snapshot has more than the journal's stable part: the tail brings changes again, and earlier ones."""
    journal, factors, stranger = (Publisher(installation) for _ in range(3))
    stranger.begin()
    stranger.change(APP, 99, 99)
    stranger.flush()
    with journal.committed():
        journal.change(APP, 1, 10)
        journal.change(APP, 2, 20)
    with factors.committed():
        factors.factors(APP, 3, 30)
    reader = follow()
    reader.wait_message("waiting: ")
    stranger.abort()
    reader.wait_message("caught up")
    assert scores(reader.lines) == {APP: (30, 3)}
    with journal.committed():
        journal.change(APP, 2, 20)
        journal.change(APP, 3, 30)
        journal.change(APP, 4, 40)
    assert [line["version"]["offset"] for line in reader.wait_lines(2)] == [3, 4]
    reader.stop()


@pytest.mark.parametrize("topic", ["factors", "factor-changes"])
def test_an_endless_wait_ends_with_what_it_waits_for(installation, follow, topic):
    """The message names the partition, its stable offset and the offset that is read to; the exit code is Kafka's."""
    worker = Publisher(installation)
    with worker.committed():
        worker.both(APP, 1)
    settled(installation)
    worker.begin()
    (worker.factors if topic == "factors" else worker.change)(APP, 2)
    worker.flush()
    reader = follow("--until-caught-up", "--deadline", "3")
    assert reader.wait_end() == 3
    assert reader.lines == []
    name = f"{installation.name}.{topic}"
    [(partition, end)] = [(one, end) for one, end in installation.ends(name).items() if end]
    assert "nothing moved for 3" in reader.messages
    assert (
        f"{name} partition {partition} has the stable offset {end - 1} and is read to {end}: a transaction"
        in reader.messages
    )
    worker.abort()


def test_what_is_aborted_is_never_shown(installation, follow):
    """Several aborted transactions of one producer, one of them larger than an answer of Kafka's, one at the end."""
    worker = Publisher(installation, **{"compression.type": "none", "batch.size": 100_000})
    topics = installation.topics
    padding = b'{"schema_version": 99, "padding": "' + b"x" * 100_000 + b'"}'
    with worker.committed():
        worker.both(APP, 1, 10)
    for aborted in range(2, 5):
        worker.begin()
        worker.both(APP, aborted, 666)
        worker.both("never", aborted, 666)
        if aborted == 3:
            for number in range(60):
                for topic in (topics.factors.name, topics.factor_changes.name):
                    worker.raw(topic, APP, factors_key(APP, f"p-{number}"), padding)
        worker.abort()
    with worker.committed():
        worker.both(APP, 5, 50)
    worker.begin()
    worker.both(APP, 6, 666)
    worker.raw(topics.factors.name, APP, factors_key(APP, "credit_check"), None)
    worker.raw(topics.factor_changes.name, APP, change_key(APP, "0" * 32), None)
    worker.abort()
    settled(installation)
    reader = follow()
    reader.wait_message("caught up")
    assert scores(reader.lines) == {APP: (50, 5)}
    worker.begin()
    worker.change(APP, 7, 666)
    worker.abort()
    with worker.committed():
        worker.change(APP, 8, 80)
    assert scores(reader.wait_lines(2)[1:]) == {APP: (80, 8)}
    reader.stop()


def test_an_erasure_is_a_tombstone_and_a_cleared_factor_is_none(installation, follow):
    """In the snapshot, between it and the tail, and in the tail; what is erased twice is one line."""
    worker = Publisher(installation)
    topics = installation.topics
    with worker.committed():
        for application in (APP, "a/b%2F", "gone"):
            worker.both(application, 1, 10)
        worker.raw(topics.factors.name, "gone", factors_key("gone", "credit_check"), None)
        worker.raw(topics.factor_changes.name, "gone", change_key("gone", "0" * 32), None)
    settled(installation)
    reader = follow()
    reader.wait_message("caught up")
    assert scores(reader.lines) == {APP: (10, 1), "a/b%2F": (10, 1)}
    with worker.committed():
        worker.change(APP, 2, outcome="cleared")
        for identity in ("0" * 32, "1" * 32):
            worker.raw(topics.factor_changes.name, "a/b%2F", change_key("a/b%2F", identity), None)
        worker.change("a/b%2F", 2, 20)
    [_, _, *lines] = reader.wait_lines(5)
    cleared = [line for line in lines if line["application_id"] == APP]
    assert [(line["outcome"], line["factors"]) for line in cleared] == [("cleared", {})]
    erased, again = (line for line in lines if line["application_id"] == "a/b%2F")
    assert erased == {"application_id": "a/b%2F", "erased": True}
    assert again["factors"] == {"f_score": 20}
    reader.stop()
