"""Another ruleset on a running system of two workers: ``run --adopt-ruleset``, and a replay over the switch."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from click.testing import CliRunner

from streams.cli.main import cli
from streams.rulesets.catalogue_file import load_catalogue as load_rules
from tests.inputs.workloads import Rates, believable, parse_json
from tests.real_kafka.adoptions import (
    adopted_changes,
    adoptions,
    going_over,
    gone_over,
    next_catalogue_in,
    verified,
    wait_gone_over,
)
from tests.real_kafka.installation import LIMIT_S
from tests.real_kafka.transactions import behind_an_open_transaction
from topics.reading.rulesets import read_rulesets
from topics.records.adoptions import Adoption

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

EVENTS = believable(801, 150, rates=Rates(failure=0.25, erased=0.02))
FOUND, REFUSED = 1, 2


@pytest.fixture
def next_catalogue(tmp_path):
    return next_catalogue_in(tmp_path)


def publish_in_parts(installation):
    size = len(EVENTS) // 3
    return [lambda part=part: installation.publish(EVENTS[part * size : (part + 1) * size]) for part in range(3)]


def asked_about(installation, catalogue, change):
    """An auditor's questions about one application over the switch: timeline, factors as of then, evidence."""
    runner = CliRunner(env=installation.variables | {"CONSOLIDATOR_CATALOGUE": str(catalogue)})

    def told(*arguments):
        result = runner.invoke(cli, arguments, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return [parse_json(line) for line in result.stdout.splitlines()]

    application, processor = change["application_id"], change["processor"]
    partition, offset = change["version"]["partition"], change["version"]["offset"]
    fates = {entry["offset"]: entry for entry in told("history", application, "--format", "json")}
    assert fates[offset]["fate"] == "ruleset"
    assert processor in {one["processor"] for one in fates[offset]["changes"]}
    then = ["factors", application, "--processor", processor, "--format", "json", "--at-offset"]
    (before,), (after,) = (told(*then, f"{partition}:{place}") for place in (offset - 1, offset))
    assert after["factors"] == change["factors"]
    assert [one["ruleset"]["digest"] for one in (before, after)] == [
        change["cause"]["ruleset"]["before"],
        change["cause"]["ruleset"]["after"],
    ]
    directory = str(installation.directory / "evidence")
    [collected] = told("evidence", application, "--out", directory, "--format", "json")
    told("evidence", "verify", directory, "--format", "json")
    # Whatever the settings name: it is the same evidence.
    del runner.env["CONSOLIDATOR_CATALOGUE"]
    [again] = told("evidence", application, "--out", f"{directory}-again", "--format", "json")
    assert again["seal"] == collected["seal"]
    # An adoption is about everybody, and about nobody.
    for arguments in (["history", "nobody"], ["evidence", "nobody", "--out", f"{directory}-of-nobody"]):
        result = runner.invoke(cli, arguments, catch_exceptions=False)
        assert (result.exit_code, result.stdout) == (FOUND, ""), result.output
        assert "about application nobody" in result.stderr


def test_two_workers_go_over_one_after_the_other(installation, next_catalogue):
    """Each partition once, with a change for every pair that differs; verification holds over the switch."""
    first, second, third = publish_in_parts(installation)
    old = [installation.start(CONSOLIDATOR_INSTANCE_ID=name) for name in ("a", "b")]
    first()
    installation.wait_consumed(old[1])
    new = []
    for worker, name in zip(old, ("a", "b"), strict=True):
        worker.stop()
        second()
        new.append(
            installation.start(
                CONSOLIDATOR_INSTANCE_ID=name,
                **going_over(next_catalogue),
            )
        )
        wait_gone_over(*new, partitions=installation.partitions * len(new) // len(old))
        installation.wait_consumed(new[-1])
    third()
    installation.wait_consumed(new[1])
    assert adoptions(installation) == dict.fromkeys(range(installation.partitions), 1)
    changes = adopted_changes(installation)
    digest = load_rules(next_catalogue).digest
    assert changes
    assert {change["ruleset"]["digest"] for change in changes} == {digest}
    assert {change["processor"] for change in changes} == {"bank_statement", "credit_check"}
    assert len({change["id"] for change in changes}) == len(changes)
    for worker in new:
        worker.stop()
    summary = verified(installation, next_catalogue)
    assert summary["factor_changes"]["equal"] == len(installation.read(installation.topics.factor_changes.name))
    asked_about(installation, next_catalogue, changes[0])
    refused = installation.start()
    assert refused.wait_exit() == REFUSED
    assert "--adopt-ruleset" in refused.log


def test_an_entry_behind_an_open_transaction_is_waited_for(installation):
    """The broker ends a transaction partition by partition: the source's record may be readable before its entry."""
    topic = installation.topics.rulesets.name
    adoption = Adoption(1, 7, "before", "after")
    still_open = behind_an_open_transaction(
        installation.config, topic, 1, adoption.key, adoption.value, limit_s=LIMIT_S
    )
    assert read_rulesets(installation.config, installation.topics).adoptions == {}
    with ThreadPoolExecutor() as executor:
        reading = executor.submit(read_rulesets, installation.config, installation.topics, settled=[1])
        with pytest.raises(TimeoutError):
            reading.result(timeout=2)
        still_open.abort_transaction(LIMIT_S)
        assert reading.result(timeout=LIMIT_S).adoptions == {1: (adoption,)}


def test_killed_between_the_adoption_and_its_fold(installation, next_catalogue):
    """The adoption is in the log, nobody has folded it: whoever comes next finds it there, and writes no second one."""
    first, second, _ = publish_in_parts(installation)
    first()
    worker = installation.start().wait_ready(installation.partitions)
    installation.wait_consumed(worker)
    worker.stop()
    second()
    over = going_over(next_catalogue)
    # One partition after the other: at the last one's adoption all others have gone over.
    killed = installation.start(CONSOLIDATOR_FAILPOINT=f"announced:kill:{installation.partitions}", **over)
    killed.wait_exit()
    done = gone_over(killed)
    assert len(done) == installation.partitions - 1
    assert adoptions(installation) == dict.fromkeys(range(installation.partitions), 1)
    assert {change["version"]["partition"] for change in adopted_changes(installation)} <= done
    # Without the flag: what has begun is finished by whoever has the catalogue.
    finishing = installation.start(CONSOLIDATOR_CATALOGUE=str(next_catalogue)).wait_ready(installation.partitions)
    wait_gone_over(killed, finishing, partitions=installation.partitions)
    installation.wait_consumed(finishing)
    finishing.stop()
    assert adoptions(installation) == dict.fromkeys(range(installation.partitions), 1)
    assert {change["version"]["partition"] for change in adopted_changes(installation)} > done
    verified(installation, next_catalogue)


def test_an_empty_disk_after_the_switch(installation, next_catalogue):
    """The state comes back from the changelog as rows of the new ruleset, and the worker goes on without the flag."""
    first, second, _ = publish_in_parts(installation)
    first()
    worker = installation.start().wait_ready(installation.partitions)
    installation.wait_consumed(worker)
    worker.stop()
    over = {"CONSOLIDATOR_CATALOGUE": str(next_catalogue)}
    worker = installation.start(**going_over(next_catalogue)).wait_ready(installation.partitions)
    wait_gone_over(worker, partitions=installation.partitions)
    installation.wait_consumed(worker)
    worker.stop()
    elsewhere = installation.start(CONSOLIDATOR_STATE_DIR=str(installation.directory / "other"), **over)
    second()
    installation.wait_consumed(elsewhere.wait_ready(installation.partitions))
    elsewhere.stop()
    assert adoptions(installation) == dict.fromkeys(range(installation.partitions), 1)
    verified(installation, next_catalogue)
