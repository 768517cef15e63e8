"""Subscribers that are killed at random moments, and groups whose members come and go, come to what was published."""

import contextlib
import json
from datetime import UTC, datetime

import pytest

import consolidator
from tests.fault_runs.keeping_subscriber import Keeper, connect
from tests.fault_runs.scale import SEED, scale
from tests.fault_runs.subscriber_scene import SubscriberScene
from tests.real_kafka.published_topics import Published

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

KILLS = scale("SUBSCRIBER_KILLS", short=5, long=50)
REBALANCES = scale("SUBSCRIBER_REBALANCES", short=4, long=20)
MOMENT_S = 2.5
"""A subscriber has begun after about half of that: some are killed before they have connected."""

GROUP = 3
LEAST, MOST = 1, 4
BEFORE = 40
"""Changes before the subscribers begin."""

STARTS = ["snapshot", "beginning", "time", "positions", "token"]


@pytest.fixture
def published(installation):
    installation.create_topics()
    found = Published(installation)
    for number in range(BEFORE):
        found.change(f"app-{number}")
    return found


def begun(published, kind):
    """The argument of a kind of start; None for one that is stored before."""
    return {
        "positions": json.dumps(dict.fromkeys(range(published.partitions), 0)),
        "time": datetime(2020, 1, 1, tzinfo=UTC).isoformat(),
    }.get(kind, kind)


def with_a_token(scene):
    """Keep the first items of the journal, and begin with the token after them."""
    published = scene.published
    servers, prefix = str(published.installation.config["bootstrap.servers"]), f"{published.installation.name}."
    with contextlib.closing(connect(scene.database)) as database:
        keeper = Keeper(database, is_member=False)
        with consolidator.subscribe(servers, topic_prefix=prefix, start="beginning") as subscription:
            for _, item in zip(range(BEFORE // 2), subscription, strict=False):
                keeper.take(item)
            token = subscription.token
        database.execute("DELETE FROM tokens")
    scene.start = json.dumps(token)


@pytest.mark.timeout(300 + 10 * KILLS)
@pytest.mark.parametrize("start", STARTS)
def test_kills(published, tmp_path, start, record_figures):
    """Killed at random moments, also while it reads its snapshot: it goes on from the token beside its last effect."""
    scene = SubscriberScene(published, tmp_path, SEED, start=begun(published, start), is_group=False)
    if start == "token":
        with_a_token(scene)
    try:
        with scene.load():
            for _ in range(KILLS):
                running = scene.begin()
                scene.wait_moment(MOMENT_S)
                scene.kill(running)
        scene.begin()
        recovery_s = (scene.wait_view(),)
        if start != "snapshot":
            assert scene.shown() == scene.journal()
        record_figures(
            scene.figures(
                f"a subscriber is killed, from {start}", "kill -9 at random moments, under load", KILLS, recovery_s
            )
        )
    finally:
        scene.close()


@pytest.mark.timeout(300 + 10 * KILLS)
def test_kills_in_a_group(published, tmp_path, record_figures):
    """Three members, one of which is killed and started again each time: the others go on from its tokens."""
    scene = SubscriberScene(published, tmp_path, SEED, start="snapshot", is_group=True)
    try:
        with scene.load():
            for _ in range(GROUP):
                scene.begin()
            for _ in range(KILLS):
                scene.wait_moment(MOMENT_S)
                scene.kill(scene.rng.choice(scene.running))
                scene.begin()
        recovery_s = scene.wait_view()
        record_figures(
            scene.figures(
                "a group of subscribers, killed",
                "one of three is killed with -9, again and again, under load",
                KILLS,
                (recovery_s,),
            )
        )
    finally:
        scene.close()


@pytest.mark.timeout(300 + 15 * REBALANCES)
@pytest.mark.parametrize("start", ["snapshot", "beginning"])
def test_members_come_and_go(published, tmp_path, start, record_figures):
    """One to four members join and leave: every partition is somebody's, and no record is shown twice."""
    scene = SubscriberScene(published, tmp_path, SEED, start=start, is_group=True)
    try:
        with scene.load():
            scene.begin()
            for _ in range(REBALANCES):
                scene.wait_moment(2 * MOMENT_S)
                living = len(scene.running)
                if living == LEAST or (living < MOST and scene.rng.random() < 1 / 2):
                    scene.begin()
                else:
                    scene.leave(scene.rng.choice(scene.running))
        recovery_s = scene.wait_view()
        if start == "beginning":
            assert scene.shown() == scene.journal()
        record_figures(
            scene.figures(
                f"members of a group join and leave, from {start}",
                "members join and leave, under load",
                REBALANCES,
                (recovery_s,),
            )
        )
    finally:
        scene.close()
