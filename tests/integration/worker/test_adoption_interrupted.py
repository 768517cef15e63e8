"""An adoption that is interrupted wherever it can be: whoever has the partition next completes it."""

import pytest

from models.rows import HalfwayMark
from streams.partition.state.row_codec import MARK_KEY, decode_row
from tests.inputs.cases import ok
from tests.inputs.workloads import parse_json
from tests.real_kafka.adoptions import (
    adopted_changes,
    adoptions,
    going_over,
    gone_over,
    next_catalogue_in,
    verified,
    wait_gone_over,
)
from tests.real_kafka.installation import LIMIT_S, Installation

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.thorough, pytest.mark.timeout(900)]

APPLICATIONS = 13_000
"""More than go over in one transaction, twice."""

REFOLD_LIMIT_S = 4 * LIMIT_S
"""To fold them again takes a few seconds of a process of its own, and minutes where others want the same cores."""


@pytest.fixture
def one_partition(kafka, tmp_path):
    """An installation of one partition, with more pairs in it than go over at once; no worker runs any more."""
    found = Installation(kafka, tmp_path, CONSOLIDATOR_PARTITIONS="1")
    found.create_topics()
    events = (
        ok("e", 1, {"f_revenue_monthly": number}, application_id=f"app-{number}", processor="bank_statement")
        | {"event_id": f"event-{number}"}
        for number in range(APPLICATIONS)
    )
    try:
        found.publish(events)
        worker = found.start().wait_ready()
        found.wait_consumed(worker)
        worker.stop()
        yield found
    finally:
        found.close()


def last_mark(installation):
    marks = [one for one in installation.read(installation.topics.changelog.name) if one.key == MARK_KEY]
    return decode_row(marks[-1].value)


def rulesets_seen(installation):
    """The rulesets of the current factors, as a reader of the topic sees them."""
    current = {one.key: one.value for one in installation.read(installation.topics.factors.name)}
    return {parse_json(value)["ruleset"]["name"] for value in current.values()}


def test_killed_half_way_an_empty_disk_completes_it(one_partition, tmp_path):
    """Killed before anything has gone over, and half way; on empty disks, while another worker joins and leaves."""
    catalogue = next_catalogue_in(tmp_path)
    over = {"CONSOLIDATOR_CATALOGUE": str(catalogue)}

    def start(disk, **variables):
        return one_partition.start(CONSOLIDATOR_STATE_DIR=str(tmp_path / disk), **over | variables)

    before = start("state", **going_over(catalogue), CONSOLIDATOR_FAILPOINT="announced:kill:1")
    before.wait_exit(limit_s=REFOLD_LIMIT_S)
    assert adoptions(one_partition) == {0: 1}
    assert adopted_changes(one_partition) == []
    halfway = start("second", CONSOLIDATOR_FAILPOINT="part:kill:1")
    halfway.wait_exit(limit_s=REFOLD_LIMIT_S)
    mark = last_mark(one_partition)
    assert isinstance(mark, HalfwayMark)
    assert 0 < len(adopted_changes(one_partition)) < APPLICATIONS
    assert len(rulesets_seen(one_partition)) == 2
    third = start("third").wait_ready()
    joining = start("fourth")
    joining.wait(lambda: joining.entries("partitions acquired"), "the other worker to join", limit_s=LIMIT_S)
    joining.stop()
    wait_gone_over(third, partitions=1, limit_s=REFOLD_LIMIT_S)
    one_partition.publish([ok("late", 9, {"f_revenue_monthly": 1}, application_id="app-7", processor="bank_statement")])
    one_partition.wait_consumed(third)
    third.stop()
    assert gone_over(before, halfway) == set()
    assert adoptions(one_partition) == {0: 1}
    changes = adopted_changes(one_partition)
    assert len(changes) == len({change["id"] for change in changes}) == APPLICATIONS
    assert len(rulesets_seen(one_partition)) == 1
    verified(one_partition, catalogue)


def test_stopped_half_way_it_ends_in_order(one_partition, tmp_path):
    """No database is closed that the adoption still reads and writes; the next worker goes on from there."""
    catalogue = next_catalogue_in(tmp_path)
    first = one_partition.start(**going_over(catalogue), CONSOLIDATOR_FAILPOINT="part:stop:1")
    first.wait(first.is_frozen, "a part to have gone over", limit_s=REFOLD_LIMIT_S)
    first.terminate()
    first.cont()
    assert first.wait_exit() == 0, first.tail()
    second = one_partition.start(CONSOLIDATOR_CATALOGUE=str(catalogue)).wait_ready()
    wait_gone_over(first, second, partitions=1, limit_s=REFOLD_LIMIT_S)
    second.stop()
    assert adoptions(one_partition) == {0: 1}
    changes = adopted_changes(one_partition)
    assert len(changes) == len({change["id"] for change in changes}) == APPLICATIONS
    verified(one_partition, catalogue)
