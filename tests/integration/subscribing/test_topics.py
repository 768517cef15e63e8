"""What happens to the topics under a subscription: tokens that are refused, re-created topics, absences, erasures."""

from base64 import urlsafe_b64encode

import pytest
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, ResourceType

from consolidator import (
    BEGINNING,
    CaughtUp,
    Changed,
    ContractError,
    Current,
    Erased,
    MustRefetch,
    Progress,
    TokenError,
)
from consolidator.subscribing import state
from consolidator.subscribing.token import Stamp, Token, read_token, write_token
from tests.real_kafka.admin_calls import answered
from tests.real_kafka.installation import LIMIT_S, Installation
from tests.real_kafka.subscribing import View, Watched, drained, yielded
from tests.real_kafka.worker_process import wait_until

pytestmark = pytest.mark.kafka

APPLICATIONS = [f"app-{number}" for number in range(6)]


@pytest.fixture
def token(published, read):
    """A token after everything that was published."""
    published.change(*APPLICATIONS)
    return read()[-1].token


def changed_token(token, *, fresh_ms=None, positions=None, **stamp):
    """The token with other contents."""
    found: Token = read_token(token)
    members = {name: getattr(found.stamp, name) for name in Stamp.__struct_fields__}
    return write_token(
        Stamp(**members | stamp), positions or found.positions, found.fresh_ms if fresh_ms is None else fresh_ms
    )


def refetched(items):
    """The reason why everything is taken again; the view has to be built anew from the items."""
    assert yielded(items)[0] == "MustRefetch"
    assert [kind for kind in yielded(items) if kind not in {"Current", "Erased"}] == [
        "MustRefetch",
        "SnapshotEnd",
        "CaughtUp",
    ]
    return items[0].reason


def test_what_the_caller_does_wrong_is_an_error_by_name(token, read, installation, arguments, tmp_path):
    """A damaged token, and one of another cluster, prefix or filter: nothing is read, and the message names it."""
    other = Installation(arguments["bootstrap_servers"], tmp_path / "other")
    other.create_topics()
    later = f"c2.{urlsafe_b64encode(b'x').decode()}"
    wrong = {
        token[:-3] + ("aaa" if token[-3:] != "aaa" else "bbb"): "the token is damaged",
        token[: len(token) // 2]: "the token is damaged",
        "snapshoot": "'snapshoot' is no token, and neither 'snapshot' nor 'beginning'",
        later: "a later version of factor-consolidator-client",
        changed_token(token, cluster="elsewhere"): "of another cluster: of elsewhere",
    }
    for given, words in wrong.items():
        with pytest.raises(TokenError, match=words):
            read(start=given)
    with pytest.raises(TokenError, match=rf"of the topics {installation.name}\.factors .*CONSOLIDATOR_TOPIC_PREFIX"):
        read(start=token, topic_prefix=f"{other.name}.")
    with pytest.raises(TokenError, match="another filter: processors, kinds differs"):
        read(start=token, processors=["credit_check"], kinds=["set"])
    other.close()


@pytest.mark.parametrize("which", [0, 1], ids=["factor-changes", "factors"])
def test_a_topic_that_was_re_created_is_read_anew(published, token, read, which, is_async):
    """The token is not used: the reason names the topic, and a snapshot of what is there now follows."""
    published.recreate(published.names[which])
    items = read(start=token, is_async=is_async)
    assert f"{published.names[which]} was re-created" in refetched(items)
    assert yielded(items).count("Current") == (0 if which else len(APPLICATIONS))


def test_other_partitions_are_read_anew(published, token, read):
    """With another partition count applications are elsewhere: everything is taken again."""
    for name in published.names:
        published.installation.add_partitions(NewPartitions(name, published.partitions + 1))
    assert f"the topics have {published.partitions + 1} partitions, and had {published.partitions}" in refetched(
        read(start=token)
    )


def test_a_position_beyond_the_end_or_before_the_beginning_is_read_anew(published, token, read):
    """The log was cut back, or its beginning is gone: partition, offset and position are named."""
    positions = read_token(token).positions
    beyond = {one: (at[0] + 100, *at[1:]) for one, at in positions.items()}
    reason = refetched(read(start=changed_token(token, positions=beyond)))
    assert f"{published.names[0]} partition 0 ends at {positions[0][0]}, before the position" in reason
    published.change(*APPLICATIONS)
    # A topic that is compacted only refuses this: somebody has changed its policy.
    set_config(published, published.names[0], cleanup_policy="compact,delete")
    for partition, at in positions.items():
        if at[0]:
            published.delete_before(published.names[0], partition, at[0] + 1)
    assert "records were deleted before they were read" in refetched(read(start=token))


def test_whoever_was_away_for_longer_than_tombstones_stay_takes_a_snapshot(published, token, read):
    """A missed erasure never survives: after delete.retention.ms the token is not used; before, it is."""
    published.erase(APPLICATIONS[0])
    day_ms = 86_400_000
    within, beyond = (changed_token(token, fresh_ms=state.now_ms() - days * day_ms) for days in (29, 30))
    assert [one.application_id for one in read(start=within) if isinstance(one, Erased)] == [APPLICATIONS[0]]
    items = read(start=beyond)
    assert "delete.retention.ms is 2592000000): erasures may be missing" in refetched(items)
    assert View().take(items).agrees(published.expected)


def set_config(published, topic, **settings):
    """Alter settings of a topic."""
    resource = ConfigResource(
        ResourceType.TOPIC,
        topic,
        incremental_configs=[
            ConfigEntry(name.replace("_", "."), value, incremental_operation=AlterConfigOpType.SET)
            for name, value in settings.items()
        ],
    )
    admin = published.installation.admin
    answered(lambda ask_s: admin.incremental_alter_configs([resource], request_timeout=ask_s)[resource])


@pytest.mark.slow
def test_compaction_changes_nothing_that_is_shown(published, subscribed, read):
    """A snapshot, and a token from within one, give the same view when compaction has been there."""
    published.change(*APPLICATIONS)
    half = next(item.token for item in read() if isinstance(item, Current))
    for _ in range(3):
        published.change(*APPLICATIONS)
    published.erase(APPLICATIONS[0])
    set_config(
        published,
        published.names[1],
        segment_ms="100",
        min_cleanable_dirty_ratio="0.001",
        min_compaction_lag_ms="0",
        max_compaction_lag_ms="1",
        delete_retention_ms="60000",
    )

    def is_compacted():
        # A further record closes the segment.
        published.change(*APPLICATIONS[1:])
        seen = [item for item in read() if isinstance(item, Current)]
        return len(seen) < 4 * len(APPLICATIONS)

    wait_until(is_compacted, "the log cleaner", limit_s=2 * LIMIT_S)
    assert View().take(read()).agrees(published.expected)
    assert View().take(read(start=half)).agrees(published.expected)


def test_a_topic_that_is_re_created_under_a_reader_is_noticed(published, subscribed, is_async):
    """While it reads: MustRefetch names the topic, and a snapshot of what is there now follows."""
    published.change(*APPLICATIONS)
    with Watched(subscribed(progress_s=0.5), is_async=is_async) as watched:
        watched.wait_kind(CaughtUp)
        for name in published.names:
            published.recreate(name)
        published.expected.clear()
        published.change(APPLICATIONS[0])
        watched.wait_kind(MustRefetch)

        def is_right():
            return View().take(watched.items).agrees(published.expected)

        watched.wait_for(is_right, "the view of the new topics")
    assert "was re-created" in watched.of(MustRefetch)[0].reason


def test_a_topic_that_is_gone_is_an_error(published, arguments):
    """The message names the topic and what to do."""
    missing = {**arguments, "topic_prefix": "nobody."}
    servers = missing.pop("bootstrap_servers")
    with pytest.raises(ContractError, match=r"there is no topic nobody\.factor.*consolidator topics apply"):
        drained(servers, **missing)


def test_erasures(published, subscribed, read, is_async):
    """An erasure is shown in the snapshot and in the journal, and takes back what was shown meanwhile."""
    published.change(*APPLICATIONS)
    with Watched(subscribed(), is_async=is_async) as watched:
        watched.wait_kind(CaughtUp)
        published.erase(APPLICATIONS[0])
        watched.wait_kind(Erased)
    [erased] = watched.of(Erased)
    assert (erased.application_id, erased.processor) == (APPLICATIONS[0], None)
    assert erased.change_id == published.changes[0].id
    assert View().take(watched.items).agrees(published.expected)
    items = read()
    assert View().take(items).agrees(published.expected)
    assert {(one.application_id, one.processor) for one in items if isinstance(one, Erased)} == {
        (APPLICATIONS[0], "bank_statement")
    }
    # A new beginning, after the erasure was lifted.
    published.change(APPLICATIONS[0])
    assert View().take(read(start=BEGINNING)).agrees(published.expected)


def test_an_idle_subscription_reports(published, subscribed, is_async):
    """Progress comes without records, too, with positions and a token that goes on from there."""
    published.change(*APPLICATIONS)
    with Watched(subscribed(progress_s=0.2), is_async=is_async) as watched:
        watched.wait_kind(CaughtUp)
        before = len(watched.of(Progress))
        watched.wait_kind(Progress, before + 3)
    first, last = watched.of(Progress)[before], watched.of(Progress)[-1]
    # However long nothing is published: it is known that no tombstone is missing.
    assert read_token(last.token).fresh_ms > read_token(first.token).fresh_ms
    assert last.waits_for is None
    assert set(last.positions) == set(range(published.partitions))
    assert yielded(subscribed(start=last.token, until="caught-up")) == ["CaughtUp"]
    assert not watched.of(Changed)
