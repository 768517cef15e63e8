"""When the worker refuses to start: exit code 2, and a message that says what to do. Nothing is ever silently reset."""

import shutil
from collections import Counter

import msgspec
import pytest
from confluent_kafka import Producer

from consolidator.keys import partition_of
from streams.partition.state.row_codec import MARK_KEY
from tests.inputs.workloads import SAMPLE_CATALOGUE, believable
from tests.real_kafka.installation import LIMIT_S, Installation
from tests.real_kafka.installed import installed
from tests.real_kafka.stored_table import table_of_changelog

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

EXIT_CONTRACT = 2


def halted(installation, **variables):
    """Start a worker that has to halt; what it said."""
    worker = installation.start(**variables)
    assert worker.wait_exit() == EXIT_CONTRACT, worker.tail()
    return worker.log


def settle(installation):
    """Fold some events of every partition and stop, so that there are a state and a group."""
    installation.publish(believable(31, 20))
    run(installation)


def run(installation):
    worker = installation.start().wait_ready(installation.partitions)
    installation.wait_consumed(worker)
    worker.stop()
    return worker


def more_events(seed):
    """Events of other applications, at least one in every partition."""
    found = believable(seed, 25)
    assert len(Counter(partition_of(event["application_id"], 4) for event in found)) == 4
    return found


@pytest.fixture(scope="module")
def settled(kafka, tmp_path_factory):
    """An installation with a state, shared by tests that leave it in order."""
    with installed(kafka, tmp_path_factory.mktemp("settled")) as installation:
        settle(installation)
        yield installation


def test_missing_topics_are_named_with_the_remedy(kafka, tmp_path):
    """Without topics the worker creates none and names the command that does."""
    installation = Installation(kafka, tmp_path)
    try:
        said = halted(installation)
        assert "consolidator topics apply" in said
        assert installation.topics.executions.name in said
        assert not installation.existing_topics()
    finally:
        installation.close()


def test_another_number_of_partitions_is_refused(settled):
    """The partition count is fixed for the topics' life: a worker with another one names the difference."""
    said = halted(settled, CONSOLIDATOR_PARTITIONS="8")
    assert settled.topics.executions.name in said
    assert "partitions" in said


def test_another_catalogue_is_refused(settled, tmp_path):
    """A worker whose catalogue differs in one rule from its rows' names both digests and what to set."""
    catalogue = tmp_path / "catalogue.toml"
    text = SAMPLE_CATALOGUE.read_text(encoding="utf-8")
    catalogue.write_text(text.replace("scale = 2", "scale = 3", 1), encoding="utf-8")
    said = halted(settled, CONSOLIDATOR_CATALOGUE=str(catalogue))
    assert "CONSOLIDATOR_CATALOGUE" in said
    assert "CONSOLIDATOR_APP_ID" in said
    assert said.count("sample-underwriting/2026.1@") >= 2


def test_a_group_that_was_set_back_doubles_nothing(settled):
    """The state tells what is done: events before it are skipped, and everything after it is folded."""
    settled.set_group(dict.fromkeys(range(settled.partitions), 0))
    settled.publish(more_events(32))
    worker = run(settled)
    assert worker.entries("group was set back; events that the state contains are skipped")
    settled.check_laws(state=settled.state_dir)


def test_a_group_without_offsets_goes_on_from_the_state(settled):
    """When the group's offsets have expired, the worker says so and goes on where its state ends."""
    settled.forget_group()
    settled.publish(more_events(33))
    worker = run(settled)
    assert worker.entries("committed offset missing, going on from the state")
    settled.check_laws(state=settled.state_dir)


def test_a_group_that_was_moved_ahead_is_refused(settled):
    """Going on would skip events: the worker names the offset to set the group to, and with it nothing is lost."""
    before = settled.committed()
    settled.publish(more_events(34))
    settled.set_group(settled.ends())
    said = halted(settled)
    assert "committed offset" in said
    assert any(f"back to {offset}" in said for offset in before.values()), said
    settled.set_group(before)
    run(settled)
    settled.check_laws(state=settled.state_dir)


def test_a_lost_changelog_and_disk_are_refused(installation):
    """With the state gone and the group ahead, starting over would publish everything again: the worker halts."""
    settle(installation)
    shutil.rmtree(installation.state_dir)
    installation.delete_topic(installation.topics.changelog.name)
    installation.create_topics()
    assert "changelog topic was lost" in halted(installation)


def test_a_later_versions_state_is_refused_by_name(installation):
    """Mark or row: the worker says which format it met and which it knows, and commits nothing."""
    settle(installation)
    changelog = installation.topics.changelog.name
    rows = table_of_changelog(installation.read(changelog))
    producer = Producer(installation.config)
    pair = next(key for key in rows[2] if key != MARK_KEY)
    for key, tag, about in ((MARK_KEY, "mark9", "partition 2's mark"), (pair, "row9", "partition 2's row")):
        later = msgspec.msgpack.encode([tag, *msgspec.msgpack.decode(rows[2][key])[1:], "one more"])
        producer.produce(changelog, later, key, 2)
        assert producer.flush(LIMIT_S) == 0
        before = installation.committed()
        application, _, processor = pair.decode().rpartition("/")
        one_more = {"event_id": f"more-{tag}", "application_id": application, "execution_id": "more"}
        one_more |= {"processor": processor, "status": "requested", "occurred_at": "2025-06-01T09:00:00Z"}
        installation.publish([one_more])
        said = halted(installation)
        assert f"{about}" in said
        assert f"has format '{tag}'; this program knows row1" in said
        assert "docs/upgrading.md" in said
        assert installation.committed()[2] == before[2]
        producer.produce(changelog, rows[2][key], key, 2)
        assert producer.flush(LIMIT_S) == 0
    run(installation)
    installation.check_laws(state=installation.state_dir)
