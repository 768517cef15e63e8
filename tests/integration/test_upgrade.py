"""What an earlier commit left is taken over by today's code: stop all, ``topics apply``, start (docs/upgrading.md)."""

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from consolidator.keys import application_prefix, event_key, partition_of
from streams.cli.main import cli
from streams.partition.state.row_codec import KNOWN_FORMATS, MARK_KEY, decode_row
from tests.inputs.workloads import parse_json, to_json
from tests.real_kafka.stored_table import table_of_changelog, table_on_disk
from tests.upgrade.kept_installation import KeptInstallation, kept_installation

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.thorough]

COMMIT = "d333f77"
WIPED = "local state wiped, it is rebuilt from the changelog"

TOO_LONG = {f"verdict-long-{what}" for what in ("code", "event-id", "execution-id", "processor", "supersedes")}
NOT_DECLARED = {f"verdict-{what}" for what in ("factor", "outputs", "top-level", "undeclared")} | {"app-erased"}
OTHER_VERDICTS = frozenset({*TOO_LONG, *NOT_DECLARED, "verdict-" + "v" * 600})
"""The applications of the fixture for which today's rules say something else than that commit's, as decision 18 lists
it: their event has an id or a name that is too long, or factors that nobody declares, which is a quality issue now."""

EARLIER_ERASURES = 3
"""Two erasures, and that one was lifted; they have no entries."""

PROCESSOR = "bank_statement"


@pytest.fixture
def kept(tmp_path, kafka_cache_dir):
    with kept_installation(COMMIT, tmp_path / "kept", kafka_cache_dir) as found:
        yield found


def run(installation: KeptInstallation, *arguments: str, exit_codes=(0,)) -> list[dict]:
    """A command's JSON Lines."""
    result = CliRunner(env=installation.variables).invoke(cli, [*arguments, "--format", "json"], catch_exceptions=False)
    assert result.exit_code in exit_codes, result.output
    return [parse_json(line) for line in result.stdout.splitlines()]


def told(application: str, number: int, revenue: int) -> dict[str, object]:
    return {
        "event_id": f"{application}-later-{number}",
        "application_id": application,
        "execution_id": f"later-{number}",
        "processor": PROCESSOR,
        "status": "completed",
        "occurred_at": f"2026-05-{number:02d}T09:00:00Z",
        "output": {"factors": {"f_revenue_monthly": revenue}},
    }


def later_events(installation: KeptInstallation) -> None:
    """New events of old applications, of the erased one too; a copy; a foreign one; a tombstone; a bad one."""
    about = installation.about
    applications = ["app-0-a", "app-3-c", about["lifted"], "app-new"]
    events = [told(name, number, 20_000 + number) for number, name in enumerate(applications, 1)]
    installation.publish([*events, events[0], told(about["erased"], 8, about["secret"])])
    foreign = told("foreign-0", 9, 7)
    home = partition_of("app-0-b", installation.partitions)
    erased = event_key("app-0-b", "app-0-b-91-completed")
    installation.publish_raw([(b"a foreign key", to_json(foreign), 0), (erased, None, home), (b"bad", b"{", 1)])


def settled(installation: KeptInstallation):
    """A worker of today, through with everything that was left and that came since."""
    worker = installation.start().wait_ready(installation.partitions)
    installation.wait_consumed(worker)
    return worker


def differing(installation: KeptInstallation) -> set[str]:
    """The applications about which verification says that something differs."""
    *differences, summary = run(installation, "replay", "--verify", exit_codes=(0, 1))
    assert summary["factor_changes"]["equal"] > 1_000
    return {one["application_id"] for one in differences}


@pytest.mark.parametrize("disk", ["the state directory of that commit", "an empty disk"])
def test_an_installation_is_taken_over(kept, disk):
    """Its backlog is consolidated, erased stays erased, and verification holds over old and new."""
    about = kept.about
    if disk == "an empty disk":
        shutil.rmtree(kept.state_dir / about["settings"]["CONSOLIDATOR_APP_ID"])
    before = kept.ends(kept.topics.factor_changes.name)
    kept.create_topics()
    told = run(kept, "erase", "--confirm-earlier")
    assert ({one["action"] for one in told}, len(told)) == ({"would_confirm"}, EARLIER_ERASURES)
    worker = settled(kept)
    wiped = worker.entries(WIPED)
    assert len(wiped) == (0 if disk == "an empty disk" else kept.partitions)
    assert all("has no time" in entry["reason"] for entry in wiped), "one rebuild at the upgrade"
    later_events(kept)
    kept.wait_consumed(worker)
    run(kept, "dlq", "redrive", "--reason", "unknown_status", "--again", "--yes")
    kept.wait_consumed(worker)
    worker.stop()

    # Which of them counted for the workers of then is known after today's have been at work, too.
    assert differing(kept) > OTHER_VERDICTS, "its erasures have no entries yet"
    confirmed = run(kept, "erase", "--confirm-earlier", "--yes")
    assert [one | {"action": "would_confirm"} for one in confirmed] == told
    assert run(kept, "erase", "--confirm-earlier") == []
    assert differing(kept) == OTHER_VERDICTS
    new = [
        parse_json(record.value)
        for record in kept.read(kept.topics.factor_changes.name)
        if record.offset >= before[record.partition] and record.value is not None
    ]
    assert {change["application_id"] for change in new} >= {"app-4-a", "app-0-a", "app-0-b", "app-new", "foreign-0"}
    assert about["erased"] not in {change["application_id"] for change in new}
    prefix = application_prefix(about["erased"])
    factors = {record.key: record.value for record in kept.read(kept.topics.factors.name)}
    assert {value for key, value in factors.items() if key.startswith(prefix)} == {None}
    table = table_of_changelog(kept.read(kept.topics.changelog.name))
    assert table_on_disk(kept.state_dir / "consolidator" / "worker-0") == table
    assert not any(key.startswith(prefix) for rows in table.values() for key in rows)
    marks = {rows[MARK_KEY][1:].decode(errors="replace")[1:6] for rows in table.values()}
    assert marks == {f"mark{KNOWN_FORMATS['mark']}"}
    assert {decode_row(rows[MARK_KEY]).topic_id != "" for rows in table.values()} == {True}


def test_what_an_earlier_commit_said_is_said_today(kept):
    """Its log is replayed to the same factors, its dead letters are listed, and its evidence is whole."""
    about = kept.about
    kept.create_topics()
    run(kept, "erase", "--confirm-earlier", "--yes")
    ends = [f"{partition}:{offset}" for partition, offset in enumerate(about["consolidated_to"])]
    to = [part for end in ends for part in ("--to", end)]

    def by_pair(pairs):
        return {
            (pair["application_id"], pair["processor"]): pair
            for pair in pairs
            if pair["application_id"] not in OTHER_VERDICTS
        }

    assert by_pair(run(kept, "replay", *to)) == by_pair(kept.said("factors.jsonl"))
    assert run(kept, "dlq", "list") == [one | {"content": "held"} for one in kept.said("dead-letters.jsonl")]
    [summary] = run(kept, "evidence", "verify", str(kept.files / "evidence"), "--seal", about["seal"])
    assert summary["differences"] == []
    directory = Path(kept.files / "evidence of today")
    [written] = run(kept, "evidence", "app-0-a", "--out", str(directory))
    assert written["records"]["executions"] > 0
    fates = {one["fate"] for one in run(kept, "history", about["lifted"])}
    assert "erasure" in fates
