"""``consolidator replay`` from Kafka, with and without ``--verify``, behind and beside real workers that crash."""

import hashlib
import json
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from consolidator.keys import change_key, factors_key, partition_of
from streams.cli.main import cli
from tests.inputs.design_workload import design_workload
from tests.inputs.workloads import Rates, believable, parse_json, to_json
from tests.real_kafka.admin_calls import answered
from tests.real_kafka.installation import LIMIT_S
from tests.real_kafka.installed import installed

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

SMALL_BATCHES = {"CONSOLIDATOR_BATCH_EVENTS": "100"}
EVERYTHING = Rates(failure=0.25, erased=0.02, missing_event_id=0.02)
"""Failures, retries, supersessions, late and double events, tombstones, and strangers' keys."""


def run(installation, *arguments, exit_code=0):
    """The command's result, which has the exit code."""
    result = CliRunner(env=installation.variables).invoke(cli, ["replay", *arguments], catch_exceptions=False)
    assert result.exit_code == exit_code, result.output
    return result


def rows(installation, *arguments, exit_code=0):
    result = run(installation, "--format", "json", *arguments, exit_code=exit_code)
    return [parse_json(line) for line in result.stdout.splitlines()]


def verified(installation, *arguments, exit_code=0):
    """The differences and the summary of a verification."""
    *differences, summary = rows(installation, "--verify", *arguments, exit_code=exit_code)
    assert summary["kind"] == "summary"
    assert summary["differences"] == len(differences)
    return differences, summary


def settled(installation, events, **variables):
    installation.publish(events)
    worker = installation.start(**variables).wait_ready(installation.partitions)
    installation.wait_consumed(worker)
    worker.stop()


@pytest.fixture(scope="module")
def told(kafka, tmp_path_factory):
    """What a worker that was killed in the middle, and its successor, made of everything that can happen."""
    with installed(kafka, tmp_path_factory.mktemp("replay")) as installation:
        installation.publish(believable(601, 200, rates=EVERYTHING))
        killed = installation.start(**SMALL_BATCHES).wait_ready(installation.partitions)
        installation.wait_progress(0.3, killed)
        killed.kill()
        settled(installation, believable(602, 100, rates=EVERYTHING), **SMALL_BATCHES)
        yield installation


def test_after_a_crash_nothing_differs(told):
    """Every change and every pair's factors are, byte for byte, what a replay of the log gives."""
    differences, summary = verified(told)
    changes, factors, _ = told.published()
    assert differences == []
    nothing = {"equal_in_content": 0, "unverifiable": 0, "erased": 0, "moved_on": 0, "different": 0}
    assert summary["factor_changes"] == {"equal": len(changes)} | nothing
    assert summary["factors"] == {"equal": len({record.key for record in factors})} | nothing
    assert summary["ruleset"]["digest"] == parse_json(changes[0].value)["ruleset"]["digest"]
    for partition in summary["partitions"]:
        assert partition["digest"] == partition["published_digest"]
        assert (partition["complete_from"], partition["not_consolidated_yet"]) == (0, 0)
    assert {partition["partition"] for partition in summary["partitions"]} == set(range(told.partitions))


def test_the_digest_is_that_of_the_topic(told):
    """Whoever reads factor-changes can compute each partition's digest without this program."""
    _, summary = verified(told)
    for partition in summary["partitions"]:
        digest = hashlib.sha256()
        for record in told.read(told.topics.factor_changes.name):
            if record.partition == partition["partition"]:
                digest.update(hashlib.sha256(record.key).digest() + hashlib.sha256(record.value).digest())
        assert digest.hexdigest() == partition["digest"]


def test_the_replayed_pairs_are_the_published_factors(told):
    """One object for each pair, in the order of their keys, with what stands in factors."""
    found = rows(told)
    last = {record.key: parse_json(record.value) for record in told.read(told.topics.factors.name)}
    assert len(found) == len(last)
    keys = [factors_key(row["application_id"], row["processor"]) for row in found]
    assert keys == sorted(last)
    for row, key in zip(found, keys, strict=True):
        published = last[key]
        same = ("processor_type", "outcome", "factors", "version")
        assert [row[name] for name in same] == [published[name] for name in same]
        assert all(published["executions"][name] == value for name, value in row["executions"].items())


def test_the_replayed_changes_are_the_published_bytes(told):
    """--show changes prints the values of factor-changes as they are, each partition in its order."""
    shown = run(told, "--show", "changes", "--format", "json").stdout.splitlines()
    published = told.read(told.topics.factor_changes.name)
    in_order = sorted(published, key=lambda record: (record.partition, record.offset))
    assert shown == [record.value.decode() for record in in_order]


def test_offsets_choose_partitions_and_what_is_shown(told, tmp_path):
    """--from and --to bound what is shown, not what is folded before it; the summary has the offsets."""
    changes = [parse_json(r.value) for r in told.read(told.topics.factor_changes.name) if r.partition == 1]
    middle = changes[len(changes) // 2]["version"]["offset"]
    end = changes[-3]["version"]["offset"]
    summary = tmp_path / "summary.json"
    shown = rows(told, "--show", "changes", "--from", f"1:{middle}", "--to", f"1:{end}", "--summary", str(summary))
    assert shown == [change for change in changes if middle <= change["version"]["offset"] < end]
    [partition] = json.loads(summary.read_text())["partitions"]
    assert [partition[name] for name in ("partition", "complete_from", "from", "to")] == [1, 0, middle, end]
    assert partition["changes"] == len(shown)
    differences, verdict = verified(told, "--from", f"1:{middle}", "--to", f"1:{end}")
    assert verdict["partitions"][0]["not_consolidated_yet"] == 0, "what is behind --to was not asked for"
    assert differences == []
    assert verdict["factor_changes"]["equal"] == len(shown)
    assert verdict["partitions"][0]["digest"] == partition["digest"]
    nobody = run(told, "--verify", "--application", "nobody")
    assert "nothing that was published in this range is about application nobody" in nobody.stderr


def test_times_bound_the_range(told):
    """A time is the broker's: everything before it, and the rest from it on, are the whole."""
    changes = told.read(told.topics.factor_changes.name)
    source = told.read(told.topics.executions.name)
    moment = sorted(record.timestamp_ms for record in source)[len(source) // 2]
    at = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=moment)).isoformat()
    before = rows(told, "--show", "changes", "--to", at)
    after = rows(told, "--show", "changes", "--from", at)
    assert before
    assert after
    assert len(before) + len(after) == len(changes)


def test_an_application_and_a_processor_can_be_chosen(told):
    """Only what is asked for is folded, shown and compared, and its bytes are the same."""
    some = parse_json(told.read(told.topics.factor_changes.name)[0].value)
    application, processor = some["application_id"], some["processor"]
    [row] = rows(told, "--application", application, "--processor", processor)
    assert (row["application_id"], row["processor"]) == (application, processor)
    of_it = [
        change
        for change in map(parse_json, (r.value for r in told.read(told.topics.factor_changes.name)))
        if (change["application_id"], change["processor"]) == (application, processor)
    ]
    differences, summary = verified(told, "--application", application, "--processor", processor)
    assert differences == []
    assert (summary["factor_changes"]["equal"], summary["factors"]["equal"]) == (len(of_it), 1)
    _, whole = verified(told, "--application", application)
    assert whole["factor_changes"]["equal"] >= len(of_it)


def test_the_table_says_what_it_stands_on(told):
    """People see the pairs on stdout, and the offsets and digests on stderr; a verification ends with its verdict."""
    result = run(told, "--application", "app-601-000001", "--format", "table")
    assert "app-601-000001" in result.stdout
    assert f"stands on {told.topics.executions.name}, ruleset" in result.stderr
    assert "complete from 0" in result.stderr
    changes = run(told, "--application", "app-601-000001", "--format", "table", "--show", "changes")
    assert "→" in changes.stdout
    assert run(told, "--verify", "--format", "table").stdout.splitlines()[-1] == "0 differences"


def test_parquet_has_what_json_has(told, tmp_path):
    """The same pairs and changes as columns, factors as exact JSON text."""
    parquet = pytest.importorskip("pyarrow.parquet")
    file = tmp_path / "pairs.parquet"
    run(told, "--format", "parquet", "--output", str(file))
    found = parquet.read_table(file).to_pylist()
    wanted = rows(told)
    assert [(row["application_id"], row["processor"], row["outcome"]) for row in found] == [
        (row["application_id"], row["processor"], row["outcome"]) for row in wanted
    ]
    assert [parse_json(row["factors"]) for row in found] == [row["factors"] for row in wanted]
    run(told, "--show", "changes", "--format", "parquet", "--output", str(file))
    changes = parquet.read_table(file).to_pylist()
    assert [row["id"] for row in changes] == [row["id"] for row in rows(told, "--show", "changes")]


def test_no_consumer_group_is_left_behind(told):
    """Neither a replay nor a verification joins a group, and the worker's stays where it is."""
    before = told.committed()
    rows(told)
    verified(told)
    admin = AdminClient(told.config)  # kept until the answer is there
    groups = answered(lambda ask_s: admin.list_consumer_groups(request_timeout=ask_s))
    assert "consolidator-reader" not in {group.group_id for group in groups.valid}
    assert told.committed() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--input", "x.jsonl", "--verify"), "--input reads a file"),
        (("--format", "parquet"), "belong together"),
        (("--from", "0:1", "--from", "0:2"), "with different partitions"),
        (("--from", "beginning", "--from", "0:2"), "with different partitions"),
        (("--from", "0:5", "--to", "0:3"), "0:3 is before the start, 0:5"),
        (("--verify", "--from", "2026-01-02T00:00:00Z", "--to", "2026-01-01T00:00:00Z"), "the end is before the start"),
        (("--verify", "--show", "changes"), "prints differences"),
    ],
)
def test_wrong_usage_is_said(told, arguments, message):
    """Exit code 2, and what would be right."""
    assert message in " ".join(run(told, *arguments, exit_code=2).stderr.split())


def plant(installation, topic, key, value, partition):
    producer = Producer(installation.config)
    producer.produce(topic, value, key, partition)
    assert producer.flush(LIMIT_S) == 0


def test_a_planted_record_is_found_and_named(installation):
    """Wrong factors, a wrong change, one that no event gives, and one that is there twice: each with its place."""
    settled(installation, believable(603, 30, rates=Rates()))
    topics = installation.topics
    changes, factors, _ = installation.published()
    wrong_change = changes[len(changes) // 2]
    value = parse_json(wrong_change.value)
    altered = to_json(value | {"outcome": "withdrawn"})
    plant(installation, topics.factor_changes.name, wrong_change.key, altered, wrong_change.partition)
    other = changes[3]
    invented = parse_json(other.value) | {"id": "0" * 32}
    key = change_key(invented["application_id"], invented["id"])
    plant(installation, topics.factor_changes.name, key, to_json(invented), other.partition)
    plant(installation, topics.factor_changes.name, changes[5].key, changes[5].value, changes[5].partition)
    last = {record.key: record for record in factors}
    victim = last[sorted(last)[4]]
    forged = parse_json(victim.value) | {"factors": {"f_forged": 1}}
    plant(installation, topics.factors.name, victim.key, to_json(forged), victim.partition)
    plant(installation, topics.factors.name, b"nobody/knows", b"not JSON", 0)
    ends = {topic.name: {r.offset for r in installation.read(topic.name)} for topic in (topics.factors,)}
    differences, summary = verified(installation, exit_code=1)
    found = {(one["kind"], one["topic"], one["application_id"], one["processor"]): one for one in differences}
    name = topics.factor_changes.name
    assert set(found) == {
        ("altered", name, value["application_id"], value["processor"]),
        ("unexpected", name, invented["application_id"], invented["processor"]),
        ("duplicate", name, *whose(changes[5])),
        ("altered", topics.factors.name, *whose(victim)),
        ("unreadable", topics.factors.name, "", ""),
    }
    change = found["altered", name, value["application_id"], value["processor"]]
    assert change["cause"] == {"topic": topics.executions.name} | value["version"]
    assert change["offset"] > wrong_change.offset
    assert change["reason"] == "differs in outcome"
    pair = found["altered", topics.factors.name, *whose(victim)]
    assert pair["reason"] == "differs in factors"
    assert pair["offset"] in ends[topics.factors.name]
    assert "f_forged" not in json.dumps(differences)
    assert summary["factor_changes"]["equal"] == len(changes)
    digests = [one["digest"] == one["published_digest"] for one in summary["partitions"]]
    assert not all(digests)


def whose(record):
    value = parse_json(record.value)
    return value["application_id"], value["processor"]


def test_a_change_that_was_lost_is_missing(installation):
    """Where the journal lacks a change, and factors lack a pair, the replay says which, and by what event."""
    settled(installation, believable(604, 20))
    topics = installation.topics
    changes, factors, _ = installation.published()
    lost, unknown = changes[7], whose(factors[-1])
    kept = [record for record in changes if record.key != lost.key]
    installation.delete_topic(topics.factor_changes.name)
    installation.delete_topic(topics.factors.name)
    installation.create_topics()
    for record in kept:
        plant(installation, record.topic, record.key, record.value, record.partition)
    for record in factors:
        if whose(record) != unknown:
            plant(installation, record.topic, record.key, record.value, record.partition)
    differences, _ = verified(installation, exit_code=1)
    assert [(one["kind"], one["topic"], one["application_id"], one["processor"]) for one in differences] == [
        ("missing", topics.factor_changes.name, *whose(lost)),
        ("missing", topics.factors.name, *unknown),
    ]
    version = parse_json(lost.value)["version"]
    assert differences[0]["cause"] == {"topic": topics.executions.name} | version
    assert differences[0]["offset"] is None


def test_beside_a_live_worker_nothing_differs(installation):
    """In the middle of a load, with a transaction open all the time, what is published so far is verified."""
    messages = design_workload(6_000, 300, 605)
    installation.publish_messages(message for message, _ in zip(messages, range(2_000), strict=False))
    worker = installation.start(**SMALL_BATCHES).wait_ready(installation.partitions)
    installation.publish_messages(messages)
    installation.wait_progress(0.2, worker)
    differences, summary = verified(installation)
    assert differences == []
    assert summary["factor_changes"]["equal"] > 0
    assert worker.exit_code is None
    installation.wait_consumed(worker)
    worker.stop()
    differences, summary = verified(installation)
    assert differences == []
    assert all(partition["not_consolidated_yet"] <= 1 for partition in summary["partitions"])


def test_a_group_without_offsets_is_verified_up_to_the_last_change(installation):
    """Kafka forgets a group's offsets after idle days: the journal itself tells how far the worker was."""
    settled(installation, believable(606, 20))
    installation.forget_group()
    differences, summary = verified(installation)
    assert differences == []
    assert summary["factor_changes"]["equal"] == len(installation.read(installation.topics.factor_changes.name))


def test_records_deleted_from_the_front_are_unverifiable(installation):
    """What was caused before the first offset that is left, or later in those pairs, is never called equal."""
    settled(installation, believable(607, 40, rates=Rates(duplicate=0.0, missing_event_id=0.0)))
    source = installation.topics.executions.name
    ends = installation.ends(source)
    # Kafka refuses to delete records under "compact" alone.
    installation.alter_topic(source, "cleanup.policy", "delete")
    for partition, end in ends.items():
        installation.delete_records(source, partition, end // 2)
    differences, summary = verified(installation)
    assert differences == []
    changes = summary["factor_changes"]
    pairs = {whose(record) for record in installation.read(installation.topics.factor_changes.name)}
    published = [parse_json(r.value) for r in installation.read(installation.topics.factor_changes.name)]
    tainted = {
        (change["application_id"], change["processor"])
        for change in published
        if change["version"]["offset"] < ends[change["version"]["partition"]] // 2
    }
    unverifiable = sum((c["application_id"], c["processor"]) in tainted for c in published)
    assert (changes["unverifiable"], changes["equal"]) == (unverifiable, len(published) - unverifiable)
    assert summary["factors"]["unverifiable"] == len(tainted)
    assert summary["factors"]["equal"] == len(pairs) - len(tainted)
    for partition in summary["partitions"]:
        assert partition["complete_from"] == ends[partition["partition"]] // 2


def test_another_catalogue_is_named_as_the_difference(installation, tmp_path):
    """With other rules everything differs, and the reason names the ruleset."""
    settled(installation, believable(608, 3))
    catalogue = tmp_path / "other.toml"
    catalogue.write_text('schema_version = 1\nname = "other"\nversion = "1"\n[processors]\n', encoding="utf-8")
    differences, _ = verified(installation, "--catalogue", str(catalogue), exit_code=1)
    assert all(one["kind"] in {"altered", "missing", "unexpected"} for one in differences)
    assert any("ruleset" in one["reason"] for one in differences)


def test_a_wrong_partition_count_is_refused(installation):
    """Another number than the topic has would look for applications elsewhere: exit code 2, and what to set."""
    environment = installation.variables | {"CONSOLIDATOR_PARTITIONS": "5"}
    result = CliRunner(env=environment).invoke(cli, ["replay", "--format", "json"])
    assert "CONSOLIDATOR_PARTITIONS" in str(result.exception)
    assert partition_of("app", 4) < 4
