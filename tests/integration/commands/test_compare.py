"""``consolidator compare`` over Kafka's log, beside what a worker makes of it."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from consolidator.keys import partition_of
from models.errors import ContractError
from streams.cli.main import cli
from tests.inputs.workloads import Rates, believable, load_catalogue, parse_json, to_json
from tests.real_kafka.installed import installed

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

MEANT = ("--drop", "credit_check", "--max-different", "100")
"""What makes the changed catalogue a go."""

EVENTS = believable(701, 120, rates=Rates(failure=0.3, erased=0.0))


@pytest.fixture(scope="module")
def installation(kafka, tmp_path_factory):
    """A log without a worker: a comparison needs the events alone."""
    with installed(kafka, tmp_path_factory.mktemp("compare")) as installation:
        installation.publish(EVENTS)
        yield installation


@pytest.fixture(scope="module")
def changed_catalogue(tmp_path_factory):
    """The sample catalogue with stricter bounds, another policy and a processor less."""
    catalogue = load_catalogue()
    catalogue["version"] = "next"
    bank = catalogue["processors"]["bank_statement"]
    bank["factors"]["f_revenue_monthly_avg"]["minimum"] = 9_000
    bank["on_failed_rerun"] = "keep_previous"
    del catalogue["processors"]["credit_check"]
    path = tmp_path_factory.mktemp("catalogues") / "next.json"
    path.write_bytes(to_json(catalogue))
    return str(path)


def compared(installation, *arguments, **more):
    """The differences and the summary."""
    result = CliRunner(env=installation.variables).invoke(
        cli, ["compare", "--format", "json", *arguments], catch_exceptions=False, **more
    )
    assert result.exit_code == 0, result.output
    *differences, summary = map(parse_json, result.stdout.splitlines())
    return differences, summary


def without_places(differences):
    return [{name: value for name, value in one.items() if name != "version"} for one in differences]


@pytest.mark.parametrize("kind", ["legacy", "catalogue"])
def test_the_log_and_a_file_of_its_events_differ_alike(installation, changed_catalogue, kind):
    """Kafka's log, folded on disk, gives the differences that the same events give from a file, in memory."""
    arguments = ["--strategy", "legacy"] if kind == "legacy" else ["--catalogue", changed_catalogue, *MEANT]
    in_file = b"\n".join(to_json(event) for event in EVENTS if isinstance(event, dict))
    differences, summary = compared(installation, *arguments)
    from_file, of_file = compared(installation, *arguments, "--input", "-", input=in_file)
    assert without_places(differences) == without_places(from_file)
    assert [summary[name] for name in ("pairs", "different", "rules")] == [
        of_file[name] for name in ("pairs", "different", "rules")
    ]
    assert (len(differences), summary["unexpected"]) == (summary["different"], 0)
    assert any(one["stale_factors"] for one in differences) == (kind == "legacy")
    for one in differences:
        assert one["version"]["partition"] == partition_of(one["application_id"], installation.partitions)


def test_both_sides_end_at_the_same_offset(installation, changed_catalogue):
    """--to bounds both folds: up to the first half of a partition there are its pairs alone, and they differ alike."""
    whole, _ = compared(installation, "--catalogue", changed_catalogue, *MEANT)
    partition = whole[0]["version"]["partition"]
    end = max(one["version"]["offset"] for one in whole if one["version"]["partition"] == partition)
    differences, summary = compared(
        installation, "--catalogue", changed_catalogue, *MEANT, "--to", f"{partition}:{end}"
    )
    assert differences
    assert all(one["version"]["partition"] == partition and one["version"]["offset"] < end for one in differences)
    assert [(one["partition"], one["to"]) for one in summary["partitions"]] == [(partition, end)]


def test_an_application_and_a_processor_can_be_chosen(installation):
    """--application and --processor compare those pairs alone, with the differences that the whole has for them."""
    whole, _ = compared(installation, "--strategy", "legacy")
    application, processor = whole[-1]["application_id"], whole[-1]["processor"]
    chosen, summary = compared(
        installation, "--strategy", "legacy", "--application", application, "--processor", processor
    )
    assert chosen == whole[-1:]
    assert summary["pairs"] == 1


def catalogue_file(path, name, **processors):
    path.write_bytes(to_json({"schema_version": 1, "name": name, "version": "1", "processors": processors}))
    return str(path)


def bank(reducer, field="f_revenue_monthly"):
    return {"type": "document", "factors": {"f_revenue": {"reducer": reducer, "field": field}}}


@pytest.fixture(scope="module")
def live(kafka, tmp_path_factory):
    """A worker's installation under a catalogue that is not the built-in sample."""
    directory = tmp_path_factory.mktemp("live")
    own = catalogue_file(
        directory / "own.json", "own", bank_statement=bank("mean"), credit_check=bank("latest", "f_score")
    )
    with installed(kafka, directory) as installation:
        installation.publish(believable(702, 30, rates=Rates(failure=0.2, erased=0.0)))
        worker = installation.start(CONSOLIDATOR_CATALOGUE=own).wait_ready(installation.partitions)
        installation.wait_consumed(worker)
        worker.stop()
        yield installation


def run(installation, *arguments):
    return CliRunner(env=installation.variables).invoke(cli, ["compare", *arguments])


def test_the_baseline_is_what_is_live(live, tmp_path):
    """Whatever the settings say: one reducer is other than in the live ruleset, and only its pairs differ."""
    new = catalogue_file(
        tmp_path / "new.json", "next", bank_statement=bank("max"), credit_check=bank("latest", "f_score")
    )
    result = run(live, "--catalogue", new, "--format", "json", "--max-different", "100")
    assert result.exit_code == 0, result.output
    *differences, summary = map(parse_json, result.stdout.splitlines())
    assert summary["before"]["name"] == "own/1"
    assert {one["processor"] for one in differences} == {"bank_statement"}
    assert "compared with own/1, which the live partitions have" in result.stderr


def test_another_baseline_has_to_be_named(live, changed_catalogue):
    """With --current it is taken, and that something else is live is said."""
    sample = load_catalogue() | {"version": "before"}
    path = Path(changed_catalogue).with_name("before.json")
    path.write_bytes(to_json(sample))
    result = run(live, "--catalogue", changed_catalogue, "--current", str(path), "--format", "json", *MEANT)
    summary = parse_json(result.stdout.splitlines()[-1])
    assert summary["before"]["name"] == f"{sample['name']}/before"
    assert "--current is another" in result.stderr


def test_a_processor_that_is_dropped_is_a_no_go_until_it_is_named(live, tmp_path):
    """Whatever else differs."""
    new = catalogue_file(tmp_path / "new.json", "next", bank_statement=bank("mean"))
    objection = "processor credit_check is dropped and its factors would be merged, unless --drop credit_check says so"
    refused = run(live, "--catalogue", new, "--max-different", "100")
    assert (refused.exit_code, objection in refused.stdout) == (1, True), refused.output
    assert run(live, "--catalogue", new, "--max-different", "100", "--drop", "credit_check").exit_code == 0


def test_why_takes_the_ruleset_that_was_published(live):
    """Whatever the settings say: the calculation is by the rules that the record names."""
    [record] = [one for one in live.read(live.topics.factors.name) if parse_json(one.value)["factors"]][:1]
    application = parse_json(record.value)["application_id"]
    result = CliRunner(env=live.variables).invoke(
        cli, ["factors", application, "--why", "--format", "json"], catch_exceptions=False
    )
    for row in map(parse_json, result.stdout.splitlines()):
        assert row["why"]["explanation"]["ruleset"]["name"] == "own"
        assert {one["factor"]: one["value"] for one in row["why"]["explanation"]["factors"] if one["inputs"]} == row[
            "factors"
        ]


def test_whoever_names_no_ruleset_folds_with_what_is_live(live, tmp_path):
    """A verification finds nothing, and evidence and answers as of then have the live ruleset, not the sample."""
    variables = {name: value for name, value in live.variables.items() if name != "CONSOLIDATOR_CATALOGUE"}
    runner = CliRunner(env=variables)
    verified = runner.invoke(cli, ["replay", "--verify", "--format", "json"], catch_exceptions=False)
    assert (verified.exit_code, parse_json(verified.stdout)["ruleset"]["name"]) == (0, "own/1"), verified.output
    [record] = live.read(live.topics.factors.name)[:1]
    application = parse_json(record.value)["application_id"]
    then = runner.invoke(
        cli, ["factors", application, "--at", "2999-01-01T00:00:00Z", "--format", "json"], catch_exceptions=False
    )
    assert {parse_json(line)["ruleset"]["name"] for line in then.stdout.splitlines()} == {"own/1"}
    collected = runner.invoke(cli, ["evidence", application, "--out", str(tmp_path / "out")], catch_exceptions=False)
    assert collected.exit_code == 0, collected.output


def test_a_version_is_one_content(live, tmp_path):
    """Another content under the name and version of a ruleset that is live is refused by name, by whatever reads it."""
    edited = catalogue_file(tmp_path / "edited.json", "own", bank_statement=bank("sum"))
    for command in (
        ["compare", "--catalogue", edited],
        ["replay", "--verify", "--catalogue", edited],
        ["factors", "app", "--at", "2026-01-01T00:00:00Z", "--catalogue", edited],
        ["history", "app", "--catalogue", edited],
        ["evidence", "app", "--out", str(tmp_path / "out"), "--catalogue", edited],
    ):
        result = CliRunner(env=live.variables).invoke(cli, command)
        assert isinstance(result.exception, ContractError), (command, result.output)
        assert "a version has only one content: the topic has own/1@" in str(result.exception)
    assert not (tmp_path / "out").exists()
