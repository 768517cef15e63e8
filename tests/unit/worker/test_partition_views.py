"""How a worker judges its partitions: each stage, each reason to stand still, and none."""

import pytest

from streams.health.report import State
from streams.worker.group_watch import GroupFacts
from streams.worker.measuring.facts import Facts
from streams.worker.partition_views import PartitionViews, Surroundings

PATIENCE_S = 300.0
NOW = 10_000.0


def around(now=NOW, *, ends=None, lost=None, silent_s=0.0):
    return Surroundings(now, int(now * 1000), silent_s, lost, ends or {})


def running(partition=0, *, since=NOW, committed=10, **more):
    return Facts(partition, State.RUNNING, since, position=committed, committed=committed, **more)


@pytest.fixture
def views():
    """In the group, with passes that advance."""
    found = PartitionViews("executions", PATIENCE_S)
    noted(found, NOW - 10, NOW)
    return found


def noted(views, start, end, *, passes=10, **facts):
    """The event loop says the same each second."""
    for second in range(int(end - start) + 1):
        views.note(GroupFacts(None, is_member=True, passes=passes * second, **facts), start + second)


def seen(views, facts, *, seconds, **surroundings):
    """One partition after it was looked at each second for some time; what else there is stays as it is."""
    for second in range(seconds):
        views.views(facts, around(NOW + second, **surroundings))
    return views.views(facts, around(NOW + seconds, **surroundings))[0]


def test_idle_stays_idle(views):
    """Ten minutes without an event, or more: nothing is to be done."""
    found = seen(views, [running(since=0.0)], seconds=600, ends={0: 10})
    assert (found.state, found.lag, found.lag_seconds, found.waits_for) == ("idle", 0, 0.0, None)


def test_progress_is_running_however_far_behind(views):
    """A backlog is no illness."""
    found = seen(views, [running(since=NOW + 60)], seconds=60, ends={0: 1_000_000})
    assert (found.state, found.lag) == ("running", 999_990)
    assert found.lag_seconds == 60


def test_records_that_nobody_takes_are_stuck(views):
    """Kafka answers, nothing is under way, the consumer polls: no reason is known."""
    assert seen(views, [running()], seconds=9, ends={0: 11}).state == "running"
    noted(views, NOW, NOW + 11)
    found = seen(views, [running()], seconds=11, ends={0: 11})
    assert found.state == "stuck"
    assert found.waits_for.startswith("nothing that is known")


def test_the_end_that_was_asked_for_counts_and_not_only_the_consumers(views):
    """A consumer that fetches no more believes that it is at the end."""
    noted(views, NOW, NOW + 11, ends={0: 10})
    assert seen(views, [running()], seconds=11, ends={0: 12}).state == "stuck"


@pytest.mark.parametrize(
    ("facts", "surroundings", "says"),
    [
        ([running()], {"lost": "an answer of Kafka: b:1"}, "an answer of Kafka: b:1"),
        ([running()], {"silent_s": 12.0}, "the event loop, which has been blocked for 12 s"),
        ([running(is_busy=True)], {}, "the commit of its batch: Kafka, or the disk"),
    ],
)
def test_with_a_reason_it_is_stalled(views, facts, surroundings, says):
    """A restart would not help, and the reason is named."""
    noted(views, NOW, NOW + 12)
    found = seen(views, facts, seconds=12, ends={0: 11}, **surroundings)
    assert (found.state, found.waits_for) == ("stalled", says)


def test_a_commit_that_outlasts_patience_is_stuck(views):
    """It should have ended the worker itself by then."""
    noted(views, NOW, NOW + 400)
    assert seen(views, [running(is_busy=True)], seconds=300, ends={0: 11}).state == "stalled"
    assert seen(views, [running(is_busy=True)], seconds=400, ends={0: 11}).state == "stuck"


def test_a_partition_may_wait_for_its_turn_while_others_work(views):
    """Large batches of others take long; but after three passes it had its turn."""
    facts = [running(), running(1, is_busy=True)]
    noted(views, NOW, NOW + 12, passes=0)
    found = seen(views, facts, seconds=12, ends={0: 11})
    assert (found.state, found.waits_for) == ("stalled", "its turn: other partitions are at work")
    noted(views, NOW + 12, NOW + 24, passes=1)
    assert seen(views, facts, seconds=24, ends={0: 11}).state == "stuck"


def test_one_that_hangs_in_its_batch_is_stuck_and_holds_up_no_turn(views):
    """It is at work for nobody, itself included, although the passes over the partitions have stopped."""
    facts = [running(0, is_busy=True), running(1)]
    ends = {0: 99, 1: 99}
    views.views(facts, around(ends=ends))
    for second in range(400):
        views.note(GroupFacts(None, passes=7), NOW + second)
    assert [each.state for each in views.views(facts, around(NOW + 200, ends=ends))] == ["stalled", "stalled"]
    assert [each.state for each in views.views(facts, around(NOW + 400, ends=ends))] == ["stuck", "stuck"]


def test_adopting_is_no_standstill(views):
    """However long it takes, with how far it is."""
    facts = Facts(0, State.ADOPTING, NOW, position=10, committed=10, adoption=(1_000, 5_000))
    found = seen(views, [facts], seconds=60, ends={0: 99})
    assert (found.state, found.waits_for) == ("adopting", "the new ruleset: 1,000 of 5,000 records are folded with it")


def test_a_recovery_is_alive_while_it_advances():
    """With what remains, and for about how long; without progress it is stuck, unless Kafka is away."""
    views = PartitionViews("executions", PATIENCE_S)
    facts = [Facts(0, State.WAITING, NOW)]
    for second in range(201):
        recovering = GroupFacts(
            "the state", in_recovery=True, remaining={0: 1_000_000 - 2_000 * second}, restored={0: 2_000 * second}
        )
        views.note(recovering, NOW + second)
    found = views.views(facts, around(NOW + 200))[0]
    assert (found.state, found.waits_for) == ("recovering", "600,000 changelog records, for about 300 s more")
    assert views.views(facts, around(NOW + 255))[0].state == "recovering"
    assert views.views(facts, around(NOW + 265))[0].state == "stuck"
    assert views.views(facts, around(NOW + 265, lost="Kafka"))[0].state == "recovering"


def test_what_is_recovered_waits_for_the_others_for_as_long_as_one_of_them_moves():
    """All partitions are taken into work together, however long the longest recovery takes."""
    views = PartitionViews("executions", PATIENCE_S)
    facts = [Facts(number, State.WAITING, NOW) for number in range(3)]
    for second in range(1_000):
        remaining = {0: 0, 1: 1_000 - second, 2: 7}
        restored = {0: 3, 1: second, 2: 1}
        views.note(GroupFacts("the state", in_recovery=True, remaining=remaining, restored=restored), NOW + second)
    recovered, moving, queued = views.views(facts, around(NOW + 999))
    assert [each.state for each in (recovered, moving, queued)] == ["waiting", "recovering", "recovering"]
    assert recovered.last_progress_seconds == 999
    hanging = views.views(facts, around(NOW + 999 + 400))
    assert [each.state for each in hanging] == ["stuck", "stuck", "stuck"]


def test_after_a_long_recovery_the_next_step_has_its_own_time():
    """The stage began long ago; what counts is the last progress."""
    views = PartitionViews("executions", PATIENCE_S)
    for second in range(1_000):
        views.note(GroupFacts("the state", in_recovery=True, remaining={0: 5}, restored={0: second}), NOW + second)
    views.note(GroupFacts("the group", restored={0: 999}), NOW + 1_000)
    found = views.views([Facts(0, State.WAITING, NOW)], around(NOW + 1_001))[0]
    assert (found.state, found.waits_for) == ("waiting", "the group")


@pytest.mark.parametrize("stage", [State.FENCING, State.WAITING])
def test_fencing_and_waiting_have_kafkas_patience_and_a_minute(stage):
    """After that the worker hangs."""
    views = PartitionViews("executions", PATIENCE_S)
    facts = [Facts(0, stage, NOW)]
    assert views.views(facts, around(NOW + 350))[0].state == stage.value
    assert views.views(facts, around(NOW + 370))[0].state == "stuck"
    assert views.views(facts, around(NOW + 370, lost="Kafka"))[0].state == stage.value


def test_the_age_of_the_oldest_record_is_the_brokers_where_it_is_known(views):
    """Of a record that was fetched; of others, how long they have been seen waiting."""
    facts = [running(oldest_ms=int((NOW - 75) * 1000), is_busy=True)]
    assert views.views(facts, around(NOW, ends={0: 12}))[0].lag_seconds == 75
