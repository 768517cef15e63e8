"""``consolidator factors`` as of then, and ``consolidator history``, on a real broker, behind a worker."""

import json
import random
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from consolidator.keys import parse_event_key
from streams.cli.main import cli
from tests.inputs.kept_logs import for_the_oracle
from tests.inputs.workloads import Rates, believable, load_catalogue, parse_json
from tests.oracle.expected import expected
from tests.real_kafka.installed import installed

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

COUNTS = ("active", "completed", "failed", "contributing")


@pytest.fixture(scope="module")
def told(kafka, tmp_path_factory):
    """Two loads that came at different times, consolidated by a worker."""
    with installed(kafka, tmp_path_factory.mktemp("as-of")) as installation:
        for seed in (801, 802):
            installation.publish(believable(801, 40, rates=Rates(erased=0.03, missing_event_id=0.0))[seed % 2 :: 2])
            worker = installation.start().wait_ready(installation.partitions)
            installation.wait_consumed(worker)
            worker.stop()
        yield installation


@pytest.fixture(scope="module")
def source(told):
    return told.read(told.topics.executions.name)


def run(told, *arguments, exit_code=0):
    result = CliRunner(env=told.variables).invoke(cli, arguments, catch_exceptions=False)
    assert result.exit_code == exit_code, result.output
    return result


def rows(told, *arguments):
    return [parse_json(line) for line in run(told, *arguments, "--format", "json").stdout.splitlines()]


def of(records, application):
    return [record for record in records if parse_event_key(record.key)[0] == application]


def assert_like_the_oracle(found, records, application, topic):
    oracle = expected(load_catalogue(), for_the_oracle(of(records, application)), topic=topic)
    assert [(row["processor"], row["outcome"], row["factors"]) for row in found] == [
        (key.processor, state.outcome, state.factors) for key, state in sorted(oracle.pairs.items())
    ]
    for row, (_, state) in zip(found, sorted(oracle.pairs.items()), strict=True):
        assert row["executions"] == {name: state.executions[name] for name in COUNTS}
        assert row["why"]["contributors"] == state.executions["contributors"]
        assert row["why"]["failures"] == state.executions["failures"]
    last = {change["processor"]: change for change in oracle.changes}
    for row in found:
        change, cause = last[row["processor"]], row["why"]["last_change"]["cause"]
        assert cause == change["cause"]
        assert row["why"]["last_change"]["changed"] == change["changed"]


def test_as_of_an_offset(told, source):
    """Values, contributors, failures and the last change's cause are those of a fold cut behind that offset."""
    rng = random.Random(803)
    for record in rng.sample(source, 5):
        application = parse_event_key(record.key)[0]
        found = rows(told, "factors", application, "--at-offset", f"{record.partition}:{record.offset}", "--why")
        until = [r for r in source if r.partition == record.partition and r.offset <= record.offset]
        assert_like_the_oracle(found, until, application, told.topics.executions.name)
        assert found[0]["as_of"] == {
            "sense": "known",
            "true_at": None,
            "topic": told.topics.executions.name,
            "partition": record.partition,
            "from": 0,
            "to": record.offset + 1,
            "complete_from": 0,
        }


def test_as_of_a_time(told, source):
    """The broker's clock decides what was known; the record that it stamped at that very time is in."""
    rng = random.Random(804)
    for record in rng.sample(source, 4):
        application = parse_event_key(record.key)[0]
        at = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=record.timestamp_ms)).isoformat()
        until = [r for r in source if r.timestamp_ms <= record.timestamp_ms]
        found = rows(told, "factors", application, "--at", at, "--why")
        assert_like_the_oracle(found, until, application, told.topics.executions.name)


def test_as_of_the_end_it_is_what_was_published(told, source):
    """As of the last offset, the answer is what factors has, with its version."""
    record = source[-1]
    application = parse_event_key(record.key)[0]
    now = rows(told, "factors", application)
    then = rows(told, "factors", application, "--at", "2999-01-01T00:00:00Z")
    assert [row | {"as_of": None} for row in then] == [row | {"as_of": None} for row in now]


def test_what_was_true_is_what_had_happened(told, source):
    """By the producers' clocks, however late an event came."""
    application = parse_event_key(source[0].key)[0]
    events = [one for one in of(source, application) if one.value is not None]
    tombstones = {parse_event_key(one.key)[1] for one in of(source, application) if one.value is None}
    moments = sorted(datetime.fromisoformat(parse_json(one.value)["occurred_at"]) for one in events)
    at = moments[len(moments) // 2]
    happened = [
        one
        for one in events
        if datetime.fromisoformat(parse_json(one.value)["occurred_at"]) <= at
        and parse_event_key(one.key)[1] not in tombstones
    ]
    found = rows(told, "factors", application, "--at", at.isoformat(), "--as-of", "true")
    oracle = expected(load_catalogue(), for_the_oracle(happened), changes=False)
    assert [(row["processor"], row["outcome"], row["factors"]) for row in found] == [
        (key.processor, state.outcome, state.factors) for key, state in sorted(oracle.pairs.items())
    ]
    assert found[0]["as_of"]["sense"] == "true"


def test_two_moments_are_compared(told, source):
    """What differs between two offsets is what the answers as of each of them have."""
    application = parse_event_key(source[-1].key)[0]
    own = of(source, application)
    place = f"{own[0].partition}:{own[len(own) // 2].offset}"
    before = {row["processor"]: row for row in rows(told, "factors", application, "--at-offset", place)}
    after = {row["processor"]: row for row in rows(told, "factors", application)}
    compared = rows(told, "factors", application, "--at-offset", place, "--compare", "now")
    same = ("outcome", "factors", "executions")
    wanted = {
        name
        for name in after
        if name not in before or [before[name][one] for one in same] != [after[name][one] for one in same]
    }
    assert {row["processor"] for row in compared} == wanted
    for row in compared:
        assert row["after"]["factors"] == after[row["processor"]]["factors"]
        assert {one["factor"] for one in row["changed"]} == {
            name
            for name in {*(row["before"] or {"factors": {}})["factors"], *row["after"]["factors"]}
            if (row["before"] or {"factors": {}})["factors"].get(name) != row["after"]["factors"].get(name)
        }
    assert "→" in run(told, "factors", application, "--at-offset", place, "--compare", "now").stdout
    nothing = run(told, "factors", application, "--at-offset", place, "--compare", place)
    assert nothing.stdout == "no difference\n"


def test_the_table_names_the_cause_and_the_offsets(told, source):
    """People see the last change with the place of its event, and on which offsets the answer stands."""
    record = source[-1]
    application = parse_event_key(record.key)[0]
    result = run(told, "factors", application, "--at-offset", f"{record.partition}:{record.offset}", "--why")
    assert f"source:  {told.topics.executions.name} partition {record.partition} offset" in result.stdout
    assert f"offsets 0 to {record.offset + 1} (without {record.offset + 1})" in result.stderr


def test_the_calculation_is_of_then(told, source):
    """The values that are listed are those of the answer; nothing of what came later; no escaped line break."""
    record = source[len(source) // 2]
    application = parse_event_key(record.key)[0]
    place = f"{record.partition}:{record.offset}"
    for row in rows(told, "factors", application, "--at-offset", place, "--why"):
        explanation = row["why"]["explanation"]
        given = {one["factor"]: one["value"] for one in explanation["factors"] if one["value"] is not None}
        assert given == row["factors"]
        assert [one["execution_id"] for one in explanation["contributions"]] == row["why"]["contributors"]
        assert explanation["ruleset"]["digest"] == row["ruleset"]["digest"]
    compared = run(told, "factors", application, "--at-offset", place, "--compare", "now")
    assert [line.split(":")[0] for line in compared.stderr.splitlines()] == ["before", "after"]


def test_a_day_is_taken_in_its_time_zone(told, source):
    """A bare date means the end of that day; a time that has not come is noted."""
    application = parse_event_key(source[-1].key)[0]
    result = run(told, "factors", application, "--at", "2998-12-31", "--timezone", "UTC", "--format", "json")
    now = rows(told, "factors", application)
    assert [json.loads(line)["factors"] for line in result.stdout.splitlines()] == [row["factors"] for row in now]
    assert "2998-12-31T23:59:59.999999Z is in the future" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--at", "yesterday"), "is no time"),
        (("--at-offset", "12"), "PARTITION:OFFSET"),
        (("--at", "2026-01-01T00:00:00Z", "--at-offset", "0:1"), "give one of them"),
        (("--as-of", "true"), "needs --at"),
        (("--timezone", "UTC"), "neither --at nor --compare has one"),
        (("--at", "2026-01-01T00:00:00Z", "--timezone", "UTC"), "neither --at nor --compare has one"),
        (("--compare", "now"), "compared with what"),
    ],
)
def test_wrong_usage_is_said(told, arguments, message):
    """Exit code 2, and what would be right."""
    assert message in " ".join(run(told, "factors", "app", *arguments, exit_code=2).stderr.split())


def test_another_partitions_offset_is_refused(told, source):
    """An offset says nothing about an application of another partition: the message names the right one."""
    record = source[0]
    application = parse_event_key(record.key)[0]
    wrong = (record.partition + 1) % told.partitions
    result = CliRunner(env=told.variables).invoke(cli, ["factors", application, "--at-offset", f"{wrong}:0"])
    assert f"is in partition {record.partition}, not in {wrong}" in str(result.exception)
    beyond = CliRunner(env=told.variables).invoke(
        cli, ["factors", application, "--at-offset", f"{record.partition}:999999"]
    )
    assert "has no offset 999999" in str(beyond.exception)


def test_before_anything_nothing_was_known(told, source):
    """Exit code 1, and the offsets that this stands on."""
    application = parse_event_key(source[-1].key)[0]
    result = run(told, "factors", application, "--at", "1999-01-01T00:00:00Z", exit_code=1)
    assert f"nothing was known for application {application}\n" in result.stderr
    assert "--as-of true goes by when it happened" in result.stderr
    assert "offsets 0 to 0" in result.stderr


def test_the_history_has_every_record_and_every_change(told, source):
    """One object for each source record of the application, and with them all its published changes, by their ids."""
    application = parse_event_key(source[-1].key)[0]
    found = rows(told, "history", application)
    assert [(row["partition"], row["offset"]) for row in found] == [
        (record.partition, record.offset) for record in of(source, application)
    ]
    published = [
        parse_json(record.value)["id"]
        for record in told.read(told.topics.factor_changes.name)
        if parse_event_key(record.key)[0] == application
    ]
    assert [change["id"] for row in found for change in row["changes"]] == published
    occurred = rows(told, "history", application, "--order", "occurred")
    happened = [row["event"]["occurred_at"] for row in occurred if row["event"] is not None]
    assert happened == sorted(happened)
    processor = next(row["event"]["processor"] for row in found if row["event"] is not None)
    table = run(told, "history", application, "--processor", processor).stdout
    assert "not_attempted → " in table
    assert json.loads(json.dumps(found[0]["fate"])) in {"folded", "tombstone"}
    nobody = run(told, "history", "nobody", exit_code=1)
    assert (nobody.stdout, "has nothing of this" in nobody.stderr) == ("", True)
