"""Whose the topics are, and which catalogue is meant: what a worker refuses before it does anything."""

import json

import pytest
from click.testing import CliRunner

from streams.cli.main import cli
from streams.rulesets.binding import bound_to
from streams.rulesets.catalogue_file import load_catalogue as load_rules
from tests.inputs.workloads import believable, load_catalogue, parse_json, to_json
from tests.real_kafka.adoptions import adoptions, going_over, next_catalogue_in, wait_gone_over
from tests.real_kafka.installation import Installation
from tests.real_kafka.installed import installed
from topics.reading.rulesets import read_rulesets
from topics.records.bindings import Binding
from topics.records.erasures import ERASURE_PREFIX, erasure_of

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

REFUSED = 2


def run(installation, *arguments, code=0):
    result = CliRunner(env=installation.variables).invoke(cli, [*arguments, "--format", "json"], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return [parse_json(line) for line in result.stdout.splitlines()]


@pytest.fixture
def second(installation, tmp_path):
    """Another application id on the same topics."""
    other = f"{installation.name}-b"
    with installed(
        installation.config["bootstrap.servers"],
        tmp_path / "second",
        CONSOLIDATOR_APP_ID=other,
        CONSOLIDATOR_TOPIC_PREFIX=f"{installation.name}.",
    ) as found:
        yield found


def consolidated(installation, worker):
    installation.wait_consumed(worker.wait_ready(installation.partitions))
    worker.stop()


def test_a_second_application_id_is_refused_by_name(installation, second):
    """It would publish every change twice; how to move is told, and done by one command."""
    installation.publish(believable(91, 5))
    assert run(installation, "topics", "bind")[0]["bound_to"] is None
    consolidated(installation, installation.start())
    assert bound_to(installation.config, installation.topics).app_id == installation.name
    published = installation.ends(installation.topics.factor_changes.name)
    refused = second.start()
    assert refused.wait_exit() == REFUSED
    for part in (installation.name, second.name, "CONSOLIDATOR_TOPIC_PREFIX", "consolidator topics bind --yes"):
        assert part in refused.log
    assert installation.ends(installation.topics.factor_changes.name) == published
    assert second.committed() == dict.fromkeys(range(second.partitions), 0)

    written = installation.ends(installation.topics.executions.name)
    for arguments in (
        ["erase", "app-91-000000", "--yes"],
        ["erase", "--confirm-earlier", "--yes"],
        ["dlq", "redrive", "--all"],
        ["dlq", "redrive", "--all", "--yes"],
    ):
        result = CliRunner(env=second.variables).invoke(cli, arguments)
        assert f"set it to {installation.name}, or see" in str(result.exception)
    assert installation.ends(installation.topics.executions.name) == written
    mistyped = Installation(
        installation.config["bootstrap.servers"],
        second.directory / "mistyped",
        CONSOLIDATOR_APP_ID=f"{installation.name}-c",
        CONSOLIDATOR_TOPIC_PREFIX=f"{installation.name}.",
    ).start()
    assert mistyped.wait_exit() == REFUSED
    assert f"belong to the application id {installation.name}, CONSOLIDATOR_APP_ID is" in mistyped.log
    assert "topics apply" not in mistyped.log, "it would create a changelog that nobody needs"
    verified = CliRunner(env=second.variables).invoke(cli, ["replay", "--verify"], catch_exceptions=False)
    assert f"belongs to the application id {installation.name}" in verified.stderr

    [told] = run(second, "topics", "bind")
    assert (told["bound_to"], told["app_id"], told["action"]) == (installation.name, second.name, "would_bind")
    assert run(second, "topics", "bind", "--yes")[0]["action"] == "bound"
    assert run(second, "topics", "bind")[0]["action"] == "none"
    consolidated(second, second.start())
    assert installation.start().wait_exit() == REFUSED


def test_an_installation_without_a_binding_belongs_to_whose_state_there_is(installation, second):
    """As an earlier version left it: the id without state is refused though nobody is bound yet."""
    installation.publish(believable(92, 5))
    consolidated(installation, installation.start())
    # As it was before there were bindings.
    installation.delete_topic(installation.topics.rulesets.name)
    installation.create_topics()
    refused = second.start()
    assert refused.wait_exit() == REFUSED
    assert "belong to another application id" in refused.log
    consolidated(installation, installation.start())
    binding = bound_to(installation.config, installation.topics)
    assert (binding.app_id, binding.prefix) == (installation.name, f"{installation.name}.")
    assert {part: end for part, end in binding.taken_over.items() if end} == {
        part: offset for part, offset in installation.committed().items() if offset
    }


def test_workers_at_work_keep_their_topics(installation, second):
    """A move is refused while the group has members."""
    installation.publish(believable(93, 2))
    worker = installation.start().wait_ready(installation.partitions)
    installation.wait_consumed(worker)
    result = CliRunner(env=second.variables).invoke(cli, ["topics", "bind", "--yes"])
    assert "stop them first" in str(result.exception)
    assert bound_to(installation.config, installation.topics) == Binding(
        installation.name, f"{installation.name}.", None, {}
    )


def test_an_erasure_from_before_entries_is_confirmed_by_one_command(installation):
    """What earlier workers had taken in is confirmed; what came later is none, and stays none."""
    partition = 0
    earlier, later = erasure_of("gone", bytes(16)), erasure_of("other", bytes(16))
    installation.publish_raw([(earlier.key, earlier.value, partition)])
    # As if an earlier version's workers had read up to here.
    installation.set_group({partition: 1})
    installation.publish_raw([(later.key, later.value, partition)])
    assert [(one["offset"], one["action"]) for one in run(installation, "erase", "--confirm-earlier")] == [
        (0, "would_confirm"),
        (1, "none"),
    ]
    ends = installation.ends(installation.topics.erasures.name)
    assert not any(ends.values())
    assert [one["action"] for one in run(installation, "erase", "--confirm-earlier", "--yes")] == ["confirmed", "none"]
    assert [one["offset"] for one in run(installation, "erase", "--confirm-earlier", "--yes")] == [1]
    assert sum(installation.ends(installation.topics.erasures.name).values()) == 1
    source = installation.read(installation.topics.executions.name)
    assert [record.key.startswith(ERASURE_PREFIX) for record in source] == [True, True]


def kept(installation):
    return {*read_rulesets(installation.config, installation.topics).catalogues}


def test_the_name_that_is_meant_has_to_be_the_catalogues(installation, tmp_path):
    """A flag that was left set adopts no other catalogue; a refused worker has kept none."""
    installation.publish(believable(94, 20))
    consolidated(installation, installation.start())
    first = kept(installation)
    catalogue = next_catalogue_in(tmp_path)
    over = going_over(catalogue)
    refused = installation.start(**over | {"CONSOLIDATOR_ADOPT_RULESET": "sample-underwriting/other"})
    assert refused.wait_exit() == REFUSED
    assert over["CONSOLIDATOR_ADOPT_RULESET"] in refused.log
    without = installation.start(CONSOLIDATOR_CATALOGUE=str(catalogue))
    assert without.wait_exit() == REFUSED
    assert f"--adopt-ruleset {over['CONSOLIDATOR_ADOPT_RULESET']}" in without.log
    assert kept(installation) == first
    assert not adoptions(installation)

    worker = installation.start(**over).wait_ready(installation.partitions)
    wait_gone_over(worker, partitions=len([end for end in installation.ends().values() if end]))
    worker.stop()
    assert kept(installation) == first | {load_rules(catalogue).digest}

    edited = load_catalogue()
    edited["version"] = json.loads(catalogue.read_text())["version"]
    catalogue.write_bytes(to_json(edited))
    again = installation.start(**over)
    assert again.wait_exit() == REFUSED
    assert "a version has only one content" in again.log
    edited["version"] = "after-next"
    catalogue.write_bytes(to_json(edited))
    left_set = installation.start(**over)
    assert left_set.wait_exit() == REFUSED
    assert "--adopt-ruleset" in left_set.log
    assert kept(installation) == first | {load_rules(None).digest, *kept(installation)}
