"""The declaration: names, settings that keep history, and sizes that fit each other."""

import faust
import pytest

from topics.contract.declared import TABLE_NAME, declare
from topics.contract.drift import Drift, Found, Setting, drifts

DAY_MS = 86_400_000


def declared(**changes):
    wanted = {
        "app_id": "consolidator",
        "partitions": 4,
        "replication_factor": 1,
        "audit_window_days": 761,
        "max_event_bytes": 262_144,
    }
    prefix = changes.pop("prefix", "")
    return declare(prefix, **wanted | changes)


def as_found(topics, **changes):
    """What a cluster would report of a declaration, with some settings of ``executions`` changed."""
    found = {
        topic.name: Found(
            topics.partitions,
            frozenset({topics.replication_factor}),
            {name: Setting(value, overridden=True) for name, value in topic.config.items()},
        )
        for topic in topics
    }
    executions = found[topics.executions.name]
    settings = dict(executions.settings) | {name: Setting(value, overridden=True) for name, value in changes.items()}
    found[topics.executions.name] = Found(executions.partitions, executions.replicas, settings)
    return found


def test_topics_have_the_names_of_the_contract():
    """Without a prefix the topics are called as the design calls them."""
    assert [topic.name for topic in declared()] == [
        "executions",
        "factor-changes",
        "factors",
        "executions.dlq",
        "consolidator-consolidation-changelog",
        "rulesets",
        "erasures",
    ]


def test_a_prefix_stands_before_every_shared_topic():
    """Two environments on one cluster share no topic: the prefix or the application's id tells them apart."""
    names = [topic.name for topic in declared(prefix="uat.", app_id="uat")]
    shared = ["uat.executions", "uat.factor-changes", "uat.factors", "uat.executions.dlq"]
    shared += ["uat.rulesets", "uat.erasures"]
    assert sorted(names) == sorted([*shared, "uat-consolidation-changelog"])


def test_the_changelog_is_named_as_faust_names_it():
    """The declared changelog is the very topic that Faust's table will look for."""
    app = faust.App("consolidator", store="memory://")
    table = app.Table(TABLE_NAME, partitions=4)
    assert declared().changelog.name == table._changelog_topic_name()


def test_nothing_but_dead_letters_is_ever_deleted_by_age():
    """Every topic but the dead letters' is compacted only, with unlimited retention."""
    topics = declared()
    for topic in topics:
        if topic is not topics.dlq:
            assert topic.config["cleanup.policy"] == "compact"
            assert topic.config["retention.ms"] == topic.config["retention.bytes"] == "-1"
    assert topics.dlq.config["cleanup.policy"] == "compact,delete"
    assert topics.dlq.config["retention.ms"] == str(30 * DAY_MS)


def test_the_dead_letter_of_a_tombstone_is_kept_as_long_as_any_other():
    """It has no value, so compaction would remove it after a day."""
    dlq = declared().dlq.config
    assert dlq["delete.retention.ms"] == dlq["retention.ms"]


def test_within_the_audit_window_compaction_removes_nothing():
    """The source and the journal keep every record for the audit window; views are compacted at once."""
    topics = declared(audit_window_days=90)
    assert topics.executions.config["min.compaction.lag.ms"] == str(90 * DAY_MS)
    assert topics.factor_changes.config["min.compaction.lag.ms"] == str(90 * DAY_MS)
    assert "min.compaction.lag.ms" not in topics.factors.config
    assert "min.compaction.lag.ms" not in topics.changelog.config


def test_times_are_the_brokers():
    """No producer's or worker's clock decides about a record."""
    assert {topic.config["message.timestamp.type"] for topic in declared()} == {"LogAppendTime"}


@pytest.mark.parametrize(("replicas", "in_sync"), [(1, "1"), (2, "1"), (3, "2"), (5, "2")])
def test_from_three_replicas_on_two_must_have_a_write(replicas, in_sync):
    """min.insync.replicas lets one broker of three die, and no more than the replicas that there are."""
    assert {topic.config["min.insync.replicas"] for topic in declared(replication_factor=replicas)} == {in_sync}


@pytest.mark.parametrize("max_event_bytes", [1_024, 262_144, 1_048_576])
def test_an_event_of_the_greatest_size_fits_and_so_does_its_dead_letter(max_event_bytes):
    """The source takes an event at the limit with its headers, the dead-letter topic whatever the source took."""
    topics = declared(max_event_bytes=max_event_bytes)
    source = int(topics.executions.config["max.message.bytes"])
    assert source > max_event_bytes
    assert int(topics.dlq.config["max.message.bytes"]) > source


def test_a_declaration_cannot_be_changed():
    """A topic's settings are read-only, like everything else of it."""
    with pytest.raises(TypeError, match="does not support item assignment"):
        declared().executions.config["cleanup.policy"] = "delete"


def test_topics_as_declared_show_no_drift():
    """A cluster that has exactly what is declared has no drift."""
    assert drifts(declared(), as_found(declared())) == []


def test_a_topic_that_is_not_there_is_named():
    """Every missing topic is one drift."""
    found = drifts(declared(), {})
    assert [drift.topic for drift in found] == [topic.name for topic in declared()]
    assert all(drift.is_missing for drift in found)


def test_a_changed_setting_is_named_with_both_values_and_its_command():
    """A drift says what is expected, what is there, and the command that mends it."""
    topics = declared()
    [drift] = drifts(topics, as_found(topics, **{"cleanup.policy": "delete"}))
    assert drift == Drift("executions", "cleanup.policy", expected="compact", actual="delete")
    assert str(drift) == "executions: cleanup.policy is delete, expected compact"
    assert "--entity-name executions --add-config 'cleanup.policy=compact'" in drift.remedy()


def test_a_value_with_a_comma_is_bracketed_in_the_command():
    """The remedy can be pasted: kafka-configs wants a list in brackets."""
    drift = Drift("executions.dlq", "cleanup.policy", expected="compact,delete", actual="delete")
    assert "'cleanup.policy=[compact,delete]'" in drift.remedy()


@pytest.mark.parametrize(
    ("name", "value"), [("min.compaction.lag.ms", "65750400000.0"), ("cleanup.policy", " compact")]
)
def test_another_spelling_of_the_same_value_is_no_drift(name, value):
    """What means the same to Kafka is the same."""
    assert drifts(declared(), as_found(declared(), **{name: value})) == []


def test_an_undeclared_override_that_decides_when_records_go_is_drift():
    """A limit that forces compaction within the audit window is named although the declaration has no such setting."""
    [drift] = drifts(declared(), as_found(declared(), **{"max.compaction.lag.ms": "1000"}))
    assert (drift.setting, drift.actual) == ("max.compaction.lag.ms", "1000")
    assert "--delete-config max.compaction.lag.ms" in drift.remedy()


def test_replicas_on_the_move_are_drift():
    """Partitions with different numbers of replicas are named with each number."""
    topics = declared()
    found = as_found(topics)
    found["factors"] = Found(4, frozenset({1, 3}), found["factors"].settings)
    [drift] = drifts(topics, found)
    assert str(drift) == "factors: replication.factor is 1 or 3, expected 1"
