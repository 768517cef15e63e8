"""``consolidator factors`` on a real broker, behind a real worker."""

import json

import pytest
from click.testing import CliRunner
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from consolidator.keys import change_key, factors_key, partition_of
from streams.cli.main import cli
from tests.inputs.workloads import to_json
from tests.real_kafka.admin_calls import answered
from tests.real_kafka.installation import LIMIT_S
from tests.real_kafka.installed import installed

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

MEMBERS = ["application_id", "processor", "processor_type", "outcome", "factors", "executions"]
EVIL = "evil\x1b[2J"
BIG = "1234567890123456789.0123456789012345678"


def event(application, execution, factors, second=0, **more):
    """A completed execution, or a failed one where there are no factors."""
    end = {"status": "completed", "output": {"factors": factors}}
    failure = {"status": "failed", "error": {"code": "PROVIDER_TIMEOUT", "message": "late"}}
    return {
        "event_id": f"{application}-{execution}-{second}",
        "application_id": application,
        "execution_id": execution,
        "processor": "bank_statement",
        "occurred_at": f"2025-03-03T09:00:{second:02d}Z",
        **(failure if factors is None else end),
        **more,
    }


STORY = [
    event("app-1", "e1", {"f_revenue_monthly": 10000}, 1),
    event("app-1", "e2", None, 2),
    event("app-1", "e3", {"f_revenue_monthly": 12000}, 3),
    event("app-1", "c1", None, 4, processor="credit_check"),
    event("app-1", "p1", {"f_income_monthly": -5}, 5, processor="proof_of_income"),
    # A longer id that begins alike, and one with the separator of keys in it.
    event("app-1/2", "e1", {"f_revenue_monthly": 7}, 6),
    event("app-10", "e1", {"f_revenue_monthly": 8}, 7),
    event("evil", "e1", {"f_\u202e": EVIL}, 8, processor=EVIL),
]


@pytest.fixture(scope="module")
def told(kafka, tmp_path_factory):
    """The story, consolidated by a worker that has stopped since."""
    with installed(kafka, tmp_path_factory.mktemp("factors")) as installation:
        big = to_json(event("big", "e1", {"f_big": 0}, 9, processor="unknown")).replace(
            b'"f_big":0', b'"f_big":' + BIG.encode()
        )
        installation.publish(STORY)
        installation.publish_raw([(b"a stranger's key", big, 0)])
        worker = installation.start()
        installation.wait_consumed(worker)
        worker.stop()
        yield installation


@pytest.fixture
def factors(told):
    """Run the command and return its result."""
    runner = CliRunner(env=told.variables)

    def run(*arguments):
        return runner.invoke(cli, ["factors", *arguments], catch_exceptions=False)

    return run


def rows(result):
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_every_processor_of_the_application_and_of_no_other_is_shown(factors):
    """One object a line, sorted by processor; applications whose ids begin alike stay out."""
    found = rows(factors("app-1", "--format", "json"))
    assert [(row["application_id"], row["processor"], row["outcome"]) for row in found] == [
        ("app-1", "bank_statement", "partial"),
        ("app-1", "credit_check", "cleared"),
        ("app-1", "proof_of_income", "consolidated"),
    ]
    assert found[0]["factors"] == {"f_revenue_monthly_avg": 11000, "f_months_analyzed": 2}
    assert found[1]["factors"] == {}
    assert all(list(row)[: len(MEMBERS)] == MEMBERS for row in found)
    assert [row["factors"]["f_revenue_monthly_avg"] for row in rows(factors("app-1/2", "--format", "json"))] == [7]


def test_the_members_are_those_of_a_replay(told, factors):
    """The same events folded from a file give the same members, byte for byte; what Kafka adds comes behind them."""
    lines = b"\n".join(to_json(item) for item in STORY)
    replayed = CliRunner(env=told.variables).invoke(cli, ["replay", "--input", "-", "--format", "json"], input=lines)
    wanted = [line for line in replayed.stdout.splitlines() if line.startswith('{"application_id":"app-1",')]
    current = factors("app-1", "--format", "json").stdout.splitlines()
    assert len(wanted) == len(current) == 3
    assert all(line.startswith(want[:-1] + ',"ruleset":') for want, line in zip(wanted, current, strict=True))


def test_one_processor_can_be_chosen(factors):
    """--processor leaves the others out."""
    [row] = rows(factors("app-1", "--processor", "credit_check", "--format", "json"))
    assert row["processor"] == "credit_check"


def test_why_names_contributors_failures_and_the_last_change(told, factors):
    """Who contributed, who failed with what code, and the change behind the numbers with the record it came from."""
    [row] = rows(factors("app-1", "--processor", "bank_statement", "--why", "--format", "json"))
    why = row["why"]
    assert why["contributors"] == ["e1", "e3"]
    assert why["failures"] == [{"execution_id": "e2", "attempt": 1, "code": "PROVIDER_TIMEOUT"}]
    assert why["truncated"] is False
    change = why["last_change"]
    assert change["changed"] == [
        {"factor": "f_months_analyzed", "op": "updated", "before": 1, "after": 2},
        {"factor": "f_revenue_monthly_avg", "op": "updated", "before": 10000, "after": 11000},
    ]
    assert (change["previous_outcome"], change["outcome"], change["quality"]) == ("partial", "partial", [])
    cause = change["cause"]
    assert (cause["execution_id"], cause["status"], cause["event_id"]) == ("e3", "completed", "app-1-e3-3")
    assert {"partition": cause["partition"], "offset": cause["offset"]} == row["version"]
    assert change["ruleset"] == row["ruleset"]
    [source] = [
        r for r in told.read(cause["topic"]) if (r.partition, r.offset) == (cause["partition"], cause["offset"])
    ]
    assert json.loads(source.value)["event_id"] == "app-1-e3-3"
    [journal] = [
        r
        for r in told.read(told.topics.factor_changes.name)
        if (r.topic, r.partition, r.offset) == (change["topic"], change["partition"], change["offset"])
    ]
    assert json.loads(journal.value)["id"] == change["id"]


def test_why_shows_quality_issues(factors):
    """What was odd about the causing event is part of the why."""
    [row] = rows(factors("app-1", "--processor", "proof_of_income", "--why", "--format", "json"))
    assert {"issue": "factor_out_of_bounds", "factor": "f_income_monthly"} in row["why"]["last_change"]["quality"]


def test_the_table_tells_the_same_to_people(factors):
    """Factors, failures with their codes, before and after, and the cause's place are readable."""
    result = factors("app-1", "--why")
    assert result.exit_code == 0
    for words in (
        "f_revenue_monthly_avg = 11000",
        "2 completed, 1 failed",
        "e2 (attempt 1: PROVIDER_TIMEOUT)",
        "f_months_analyzed: 1 → 2",
        "because execution e3 completed at attempt 1",
        "(no factors)",
    ):
        assert words in result.stdout


def test_why_has_the_calculation(factors):
    """Each factor with its rule, its values and their times, as JSON and for people; and who failed when."""
    [row] = rows(factors("app-1", "--processor", "bank_statement", "--why", "--format", "json"))
    explanation = row["why"]["explanation"]
    [mean] = [one for one in explanation["factors"] if one["factor"] == "f_revenue_monthly_avg"]
    assert (mean["calculation"], mean["unit"], mean["scale"]) == ("(10000 + 12000) / 2 = 11000", "USD", 2)
    assert [(one["execution_id"], one["value"]) for one in mean["inputs"]] == [("e1", 10000), ("e3", 12000)]
    assert explanation["failures"][0]["occurred_at"] == "2025-03-03T09:00:02.000000Z"
    assert explanation["ruleset"]["digest"] == row["ruleset"]["digest"]
    assert f"{explanation['ruleset']['name']}/{explanation['ruleset']['version']}" == row["ruleset"]["name"]
    [income] = rows(factors("app-1", "--processor", "proof_of_income", "--why", "--format", "json"))
    [rejected] = [one for one in income["why"]["explanation"]["rejected"] if one["issue"] == "factor_out_of_bounds"]
    assert (rejected["execution_id"], rejected["value"]) == ("p1", -5)
    shown = factors("app-1", "--why").stdout
    for words in (
        "(10000 + 12000) / 2 = 11000 USD",
        "e3 at 2025-03-03T09:00:03.000000Z: 12000",
        "f_income_monthly = -5",
    ):
        assert words in shown


def test_why_without_the_events_says_so(installation):
    """What the source does not give is shown without a calculation, and with the reason."""
    app = "gone"
    installation.publish([event(app, "e1", {"f_revenue_monthly": 5})])
    worker = installation.start()
    installation.wait_consumed(worker)
    worker.stop()
    installation.delete_topic(installation.topics.executions.name)
    installation.create_topics()
    run = CliRunner(env=installation.variables)
    [row] = rows(run.invoke(cli, ["factors", app, "--why", "--format", "json"]))
    assert (row["why"]["explanation"], row["why"]["contributors"]) == (None, ["e1"])
    assert "does not give what was published" in row["why"]["problem"]
    assert "no calculation: " in run.invoke(cli, ["factors", app, "--why"]).stdout


def test_numbers_keep_every_digit(factors):
    """A number of 38 digits is printed as it was published, whatever its producer's key was."""
    result = factors("big", "--format", "json")
    assert f'"factors":{{"f_big":{BIG}}}' in result.stdout
    assert f"f_big = {BIG}" in factors("big").stdout


@pytest.mark.parametrize("output", ["json", "table"])
def test_foreign_text_cannot_steer_the_terminal(factors, output):
    """Escapes and direction overrides in names and values are printed as escapes."""
    result = factors("evil", "--why", "--format", output)
    assert result.exit_code == 0
    assert "evil" in result.stdout
    assert not {"\x1b", "\u202e"} & set(result.stdout)


def test_what_is_unknown_is_said_and_is_exit_code_one(factors):
    """An application that nobody saw, and a processor that it does not have: a message, nothing on stdout."""
    nobody = factors("nobody\x1b")
    assert (nobody.exit_code, nobody.stdout) == (1, "")
    assert "nothing is known of application nobody\\u001b" in nobody.stderr
    other = factors("app-10", "--processor", "credit_check", "--format", "json")
    assert (other.exit_code, other.stdout) == (1, "")
    assert "known: bank_statement" in other.stderr


def test_a_missing_topic_is_an_error_that_says_what_to_do(kafka, tmp_path):
    """No topic is not an unknown application: the error names the topic."""
    runner = CliRunner(
        env={
            "KAFKA_BOOTSTRAP_SERVERS": kafka,
            "CONSOLIDATOR_TOPIC_PREFIX": "nowhere.",
            "CONSOLIDATOR_STATE_DIR": str(tmp_path),
        }
    )
    result = runner.invoke(cli, ["factors", "app-1"])
    assert result.exit_code != 0
    assert "there is no topic nowhere.factors" in str(result.exception)


def test_no_consumer_group_is_left_behind(told, factors):
    """Looking joins no group and commits nothing."""
    assert factors("app-1", "--why").exit_code == 0
    admin = AdminClient(told.config)  # kept until the answer is there
    groups = answered(lambda ask_s: admin.list_consumer_groups(request_timeout=ask_s))
    assert {group.group_id for group in groups.valid} & {"consolidator-reader"} == set()


def test_erased_factors_are_unknown_and_an_erased_change_is_said(installation):
    """A tombstone in factors makes the pair unknown; without their journal entry factors stand, with a null cause."""
    app = "erased"
    installation.publish([event(app, "e1", {"f_revenue_monthly": 5}), event(app, "c1", None, processor="credit_check")])
    worker = installation.start()
    installation.wait_consumed(worker)
    worker.stop()
    run = CliRunner(env=installation.variables)
    found = {row["processor"]: row for row in rows(run.invoke(cli, ["factors", app, "--why", "--format", "json"]))}
    producer = Producer(installation.config)
    partition = partition_of(app, installation.partitions)
    # In their place: a journal without the change, as after an erasure that compaction has finished.
    installation.delete_topic(installation.topics.factor_changes.name)
    installation.create_topics()
    change = found["bank_statement"]["why"]["last_change"]["id"]
    producer.produce(installation.topics.factor_changes.name, None, change_key(app, change), partition)
    producer.produce(installation.topics.factors.name, None, factors_key(app, "credit_check"), partition)
    assert producer.flush(LIMIT_S) == 0
    [row] = rows(run.invoke(cli, ["factors", app, "--why", "--format", "json"]))
    assert (row["processor"], row["why"]["last_change"]) == ("bank_statement", None)
    assert "not in the journal any more" in run.invoke(cli, ["factors", app, "--why"]).stdout
