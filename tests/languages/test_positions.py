"""The end of a partition is a position: no record may stand there, and there may be no record at all."""

from collections.abc import Iterator

import pytest

from tests.languages.programs import Program, in_every_language
from tests.languages.publisher import Publisher
from tests.real_kafka.installation import LIMIT_S, Installation
from tests.real_kafka.installed import installed
from tests.real_kafka.worker_process import wait_until

pytestmark = [pytest.mark.languages, pytest.mark.kafka, in_every_language]

COMPACTED_AT_ONCE = {"segment.ms": "100", "min.cleanable.dirty.ratio": "0.01", "min.compaction.lag.ms": "0"}
COMPACTION_LIMIT_S = 90.0


def test_empty_topics_print_nothing(program, installation):
    """Nothing was ever published: every partition is read at once."""
    assert program.caught_up(installation.variables) == []


def test_missing_topics_are_an_error(program, kafka, tmp_path):
    """Not an empty snapshot: the exit code is Kafka's, and the topic is named."""
    installation = Installation(kafka, tmp_path)
    try:
        done = program.run(installation.variables, "--until-caught-up", "--deadline", "5")
        assert (done.returncode, done.stdout) == (3, "")
        assert "error: " in done.stderr
        assert f"{installation.name}.factor" in done.stderr
    finally:
        installation.close()


def test_partitions_that_were_emptied(program, installation):
    """Their beginning is their end, and neither is 0."""
    worker = Publisher(installation)
    with worker.committed():
        for number in range(20):
            worker.both(f"app-{number}", 1)
    for topic in (installation.topics.factors.name, installation.topics.factor_changes.name):
        wait_until(
            lambda topic=topic: installation.stable_ends(topic) == installation.ends(topic), topic, limit_s=LIMIT_S
        )
        installation.alter_topic(topic, "cleanup.policy", "compact,delete")
        for partition, end in installation.ends(topic).items():
            assert end > 0
            installation.delete_records(topic, partition, end)
    assert program.caught_up(installation.variables) == []


@pytest.fixture(scope="module")
def compacted(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Kafka's cleaner has been at ``factors``, and an aborted transaction stands at its end."""
    with installed(kafka, tmp_path_factory.mktemp("compacted")) as installation:
        worker, factors = Publisher(installation), installation.topics.factors.name
        for setting, value in COMPACTED_AT_ONCE.items():
            installation.alter_topic(factors, setting, value)
        for offset in range(1, 6):
            with worker.committed():
                for number in range(20):
                    worker.both(f"app-{number:02d}", offset, offset)
        superseded = 2 * 20

        def is_compacted() -> bool:
            # A segment is rolled, and may be cleaned, when something is written after its time.
            with worker.committed():
                for number in range(20):
                    worker.both(f"app-{number:02d}", 6, 6)
            records = installation.read(factors)
            return sum(b'"offset":1}' in one.value or b'"offset":2}' in one.value for one in records) < superseded / 40

        wait_until(is_compacted, "the earlier records to be gone", limit_s=COMPACTION_LIMIT_S)
        worker.begin()
        for number in range(20):
            worker.both(f"app-{number:02d}", 7, 7)
        worker.abort()
        wait_until(lambda: installation.stable_ends(factors) == installation.ends(factors), "markers", limit_s=LIMIT_S)
        yield installation


def test_a_compacted_topic_that_ends_with_what_was_aborted(program: Program, compacted: Installation) -> None:
    """Offsets have gaps, and the last ones have no record that anybody may see."""
    lines = program.caught_up(compacted.variables)
    assert [(line["application_id"], line["factors"]) for line in lines] == [
        (f"app-{number:02d}", {"f_score": 6}) for number in range(20)
    ]
