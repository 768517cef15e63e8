"""``erase`` on the command line: which ids it takes, what it finds, and what every reader says afterwards."""

import json
from base64 import b64decode
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple
from uuid import uuid4

import pytest
from click.testing import CliRunner
from confluent_kafka import Producer

from consolidator.keys import event_key, partition_of
from models.errors import ConsolidatorError
from streams.cli.main import cli
from streams.runtime.exit_codes import exit_code_of
from tests.inputs.workloads import parse_json, to_json
from tests.real_kafka.installation import LIMIT_S
from tests.real_kafka.transactions import behind_an_open_transaction
from topics.reading.erasures import ConfirmedErasures, read_entries
from topics.records.erasures import erasure_of

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

SECRET = "4204170815"
FOUND, REFUSED = 1, 2


def event(application, number, revenue=SECRET, **more):
    return {
        "event_id": f"e-{number}",
        "application_id": application,
        "execution_id": f"execution-{number}",
        "processor": "bank_statement",
        "status": "completed",
        "occurred_at": f"2026-03-01T09:00:{number:02d}Z",
        "output": {"factors": {"f_revenue_monthly": int(revenue)}},
    } | more


@pytest.fixture
def run(installation):
    def invoke(*arguments, code=0):
        result = CliRunner(env=installation.variables).invoke(cli, arguments)
        error = result.exception
        if isinstance(error, ConsolidatorError):
            # What the outermost place of the command line makes of it.
            assert exit_code_of(error) == code, error
            return Told("", str(error))
        assert result.exit_code == code, (result.output, error)
        return Told(result.stdout, result.stderr)

    return invoke


class Told(NamedTuple):
    """What a command said."""

    stdout: str
    stderr: str

    @property
    def output(self):
        return self.stdout + self.stderr


def lines(result):
    return [parse_json(line) for line in result.stdout.splitlines()]


@pytest.mark.parametrize("blank", ["", " ", "\t\n"])
def test_an_empty_id_is_refused_and_nothing_is_done(installation, run, blank):
    """It would be found in every record; of an application whose id is blank there would have to be one."""
    installation.publish([event("app-1", 1)])
    before = {topic.name: installation.ends(topic.name) for topic in installation.topics}
    for more in ([], ["--yes"], ["--lift", "--yes"]):
        assert "empty" in run("erase", blank, *more, code=REFUSED).stderr
    assert {topic.name: installation.ends(topic.name) for topic in installation.topics} == before
    assert "APPLICATION" in run("erase", code=REFUSED).stderr


def test_ids_of_every_spelling_are_found_and_no_others(installation, run):
    """An id that JSON escapes, one beyond today's limits, and neighbours whose ids contain it."""
    application, long = 'acme/1"\\\n', "x" * 600
    spelt = to_json(event(application, 1)).replace(b"/", b"\\/").replace(b"acme", b"\\u0061cme")
    broken = spelt[:-1]
    neighbour = event(f"{application}0", 2)
    installation.publish_raw(
        [
            (b"foreign", spelt, 0),
            (b"broken", broken, 1),
            (b"neighbour", to_json(neighbour)[:-1], 1),
            (b"bare", b"long;" + long.encode(), 2),
            (b"longer", to_json(event(long, 3)), 3),
        ]
    )
    installation.publish([neighbour])
    worker = installation.start().wait_ready(installation.partitions)
    installation.wait_consumed(worker)
    [told] = lines(run("erase", application, "--format", "json"))
    found = {one["topic"].removeprefix(f"{installation.name}."): one for one in told["topics"]}
    # The foreign one and its canonical copy; the broken one as it came and as a dead letter.
    assert (found["executions"]["records"], found["executions.dlq"]["records"]) == (3, 1)
    [done] = lines(run("erase", application, "--yes", "--format", "json"))
    assert (done["erased"], done["tombstones"] > 0) == (True, True)
    [again] = lines(run("erase", application, "--format", "json"))
    assert {one["without_tombstone"] for one in again["topics"]} == {0}
    assert lines(run("factors", neighbour["application_id"], "--format", "json"))[0]["factors"]
    [erased] = lines(run("erase", long, "--yes", "--format", "json"))
    found = {one["topic"].removeprefix(f"{installation.name}."): one for one in erased["topics"]}
    assert found["executions"]["records"] == 2
    assert found["executions"]["mentioned"] == [{"partition": 2, "offset": 0}]
    assert found["executions.dlq"]["records"] == 2


def test_every_reader_says_where_it_was_erased_and_shows_no_value(installation, run, tmp_path):
    """History, factors now and then, evidence, replay; beside a worker that has not come to the erasure, too."""
    application, other = "app-1", "app-2"
    installation.publish([event(application, 1), event(other, 2, "17")])
    worker = installation.start().wait_ready(installation.partitions)
    installation.wait_consumed(worker)
    worker.stop()
    home = partition_of(application, installation.partitions)
    before = f"{home}:0"
    assert SECRET in run("factors", application).stdout
    run("erase", application, "--yes", "--timeout", "1", code=3)
    place = f"erased at {home}:"

    def readers(code):
        for arguments in (
            ["factors", application],
            ["factors", application, "--why"],
            ["factors", application, "--at-offset", before],
            ["factors", application, "--at-offset", before, "--compare", "now"],
            ["factors", application, "--at", "2036-01-01T00:00:00Z", "--as-of", "true"],
            ["evidence", application, "--out", str(tmp_path / uuid4().hex)],
        ):
            for output_format in ("table", "json"):
                told = run(*arguments, "--format", output_format, code=code)
                assert SECRET not in told.output
                assert place in told.stderr, told.output
                if output_format == "json":
                    [found] = lines(told)
                    assert (found["erased"]["partition"], found["erased"]["lifted"]) == (home, False)
        for output_format in ("table", "json"):
            told = run("history", application, "--format", output_format)
            assert SECRET not in told.output
            assert place in told.stdout
        assert "execution-1" not in run("history", application).output

    readers(FOUND)
    for arguments in (["replay", "--show", "changes"], ["replay", "--to", f"{home}:1"], ["replay"]):
        told = run(*arguments, "--format", "json")
        assert SECRET not in told.output
    assert lines(run("factors", other, "--format", "json"))[0]["factors"]["f_revenue_monthly_avg"] == 17
    worker = installation.start().wait_ready(installation.partitions)
    installation.wait_consumed(worker)
    run("erase", application, "--yes")
    readers(FOUND)
    run("erase", application, "--lift", "--yes")
    installation.publish([event(application, 5, "23")])
    forged = erasure_of(application, bytes(16))
    installation.publish_raw([(forged.key, forged.value, home)])
    installation.wait_consumed(worker)
    assert "23" in run("factors", application).stdout
    told = run("factors", application, "--at-offset", before, code=FOUND)
    assert place in told.stderr
    assert "lifted" in told.stderr
    [*_, last] = lines(run("history", application, "--format", "json"))
    assert (last["fate"], last["reason"].partition(":")[0]) == ("refused", "unconfirmed_erasure")
    [written] = lines(run("evidence", application, "--out", str(tmp_path / "evidence"), "--format", "json"))
    assert written["verification"]["differences"] == 0
    assert SECRET not in "".join(path.read_text() for path in (tmp_path / "evidence").iterdir())
    assert lines(run("evidence", "verify", str(tmp_path / "evidence"), "--format", "json"))[0]["holds"]
    run("replay", "--verify")


def test_the_same_event_published_again_after_a_lift_counts_for_every_reader(installation, run, tmp_path):
    """Tombstones of the erased time say nothing about it: it is in evidence, and true as of a time."""
    application = "app-1"
    worker = installation.start().wait_ready(installation.partitions)
    installation.publish([event(application, 1)])
    installation.wait_consumed(worker)
    run("erase", application, "--yes")
    installation.publish([event(application, 2, "31")])
    installation.wait_consumed(worker)
    assert "is that its id?" in run("erase", "app-11").stderr
    assert "is that its id?" not in run("erase", application).stderr
    lifted = run("erase", application, "--lift", "--yes")
    assert "the lift stands in" in lifted.stderr
    told = run("factors", application, code=FOUND)
    assert f"lifted at {partition_of(application, installation.partitions)}:" in told.stderr
    installation.publish([event(application, 1)])
    installation.wait_consumed(worker)
    [now] = lines(run("factors", application, "--format", "json"))
    [true] = lines(run("factors", application, "--at", "2026-03-02T00:00:00Z", "--as-of", "true", "--format", "json"))
    assert true["factors"] == now["factors"] == {"f_months_analyzed": 1, "f_revenue_monthly_avg": int(SECRET)}
    [written] = lines(run("evidence", application, "--out", str(tmp_path / "evidence"), "--format", "json"))
    assert written["verification"]["factor_changes"] == {
        "equal": 1,
        **dict.fromkeys(["equal_in_content", "unverifiable", "erased", "moved_on", "different"], 0),
    }
    source = [json.loads(line) for line in (tmp_path / "evidence" / "executions.jsonl").read_text().splitlines()]
    keys = [b64decode(one["key"]) for one in source if one["value"] is not None]
    assert keys.count(event_key(application, "e-1")) == 1, "only the one that came after the lift"
    assert event_key(application, "e-2") not in keys, "it was refused, and its bytes are to go"


def test_entries_behind_an_open_transaction_are_waited_for(installation):
    """The record may be readable before its entry: what is written before the end that is seen then is waited for."""
    topic = installation.topics.erasures.name
    erasure = erasure_of("app", bytes(16))
    still_open = behind_an_open_transaction(
        installation.config, topic, 1, erasure.entry_key(1, 7), erasure.entry_value, limit_s=LIMIT_S
    )
    authority = ConfirmedErasures(installation.config, installation.topics)
    authority.fetched(1, 8)
    with ThreadPoolExecutor() as executor:
        asking = executor.submit(authority.confirms, 1, 7, erasure)
        with pytest.raises(TimeoutError):
            asking.result(timeout=2)
        still_open.abort_transaction(LIMIT_S)
        assert asking.result(timeout=LIMIT_S)
    assert not authority.confirms(1, 6, erasure)
    assert not authority.confirms(1, 7, erasure_of("app", bytes(16), lifted=True))
    assert read_entries(installation.config, installation.topics, [0, 1]) == {0: {}, 1: {7: erasure}}


def test_one_look_answers_for_all_that_was_read_together(installation):
    """Records below what was read are answered from memory, later ones are asked for anew."""
    authority = ConfirmedErasures(installation.config, installation.topics)
    erasure = erasure_of("app", bytes(16))
    authority.fetched(0, 10)
    assert not authority.confirms(0, 3, erasure)
    producer = Producer(installation.config)
    for offset in (4, 12):
        producer.produce(installation.topics.erasures.name, erasure.entry_value, erasure.entry_key(0, offset), 0)
    assert producer.flush(LIMIT_S) == 0
    assert not authority.confirms(0, 4, erasure), "nobody writes an entry for what is long decided"
    assert authority.confirms(0, 12, erasure)


def test_without_the_topic_a_worker_says_what_to_do(installation, run):
    """An installation from before it: exit code 2, and the command; so do readers that need it."""
    installation.publish([event("app-1", 1)])
    installation.delete_topic(installation.topics.erasures.name)
    worker = installation.start()
    assert worker.wait_exit() == REFUSED
    assert "consolidator topics apply" in worker.log
    for arguments in (["factors", "app-1"], ["history", "app-1"], ["erase", "app-1"]):
        assert "topics apply" in run(*arguments, code=REFUSED).stderr
    created = lines(run("topics", "apply", "--format", "json"))
    assert [one["topic"] for one in created if one["state"] == "created"] == [installation.topics.erasures.name]
    worker = installation.start().wait_ready(installation.partitions)
    installation.wait_consumed(worker)
    assert json.loads(run("erase", event_key("app-1", "").decode()[:-1], "--format", "json").stdout)["topics"]
