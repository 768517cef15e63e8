"""``consolidator compare`` over Kafka's log, beside what a worker makes of it."""

import pytest
from click.testing import CliRunner

from streams.cli.main import cli
from tests.inputs.workloads import Rates, believable, load_catalogue, parse_json, to_json
from tests.real_kafka.installation import Installation
from topics.contract.keys import partition_of

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

EVENTS = believable(701, 120, rates=Rates(failure=0.3, erased=0.0))


@pytest.fixture(scope="module")
def installation(kafka, tmp_path_factory):
    """A log without a worker: a comparison needs the events alone."""
    installation = Installation(kafka, tmp_path_factory.mktemp("compare"))
    installation.create_topics()
    try:
        installation.publish(EVENTS)
        yield installation
    finally:
        installation.close()


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
    arguments = ["--strategy", "legacy"] if kind == "legacy" else ["--catalogue", changed_catalogue]
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
    whole, _ = compared(installation, "--catalogue", changed_catalogue)
    partition = whole[0]["version"]["partition"]
    end = max(one["version"]["offset"] for one in whole if one["version"]["partition"] == partition)
    differences, summary = compared(installation, "--catalogue", changed_catalogue, "--to", f"{partition}:{end}")
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
