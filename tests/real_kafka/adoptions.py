"""A running installation that adopts another ruleset: its workers' log lines, and its topics' records."""

from collections import Counter
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from streams.cli.main import cli
from streams.rulesets.catalogue_file import load_catalogue as load_rules
from tests.inputs.workloads import load_catalogue, parse_json, to_json
from tests.real_kafka.installation import LIMIT_S, Installation
from tests.real_kafka.worker_process import WorkerProcess
from topics.records.adoptions import ADOPTION_PREFIX

__all__ = [
    "adopted_changes",
    "adoptions",
    "going_over",
    "gone_over",
    "next_catalogue_in",
    "verified",
    "wait_gone_over",
]


def next_catalogue_in(directory: Path) -> Path:
    """The sample catalogue with another reducer, a factor more, and a processor less."""
    catalogue = load_catalogue()
    catalogue["version"] = "next"
    factors = catalogue["processors"]["bank_statement"]["factors"]
    factors["f_revenue_monthly_avg"] = {"reducer": "max", "field": "f_revenue_monthly"}
    factors["f_revenue_first"] = {"reducer": "earliest", "field": "f_revenue_monthly"}
    del catalogue["processors"]["credit_check"]
    path = directory / "next.json"
    path.write_bytes(to_json(catalogue))
    return path


def going_over(catalogue: Path) -> dict[str, str]:
    """The settings of a worker that takes partitions over to a catalogue."""
    return {
        "CONSOLIDATOR_CATALOGUE": str(catalogue),
        "CONSOLIDATOR_ADOPT_RULESET": load_rules(catalogue).ruleset.name,
    }


def verified(installation: Installation, catalogue: Path) -> dict[str, Any]:
    """The summary of a verification; it must find no differences."""
    result = CliRunner(env=installation.variables | {"CONSOLIDATOR_CATALOGUE": str(catalogue)}).invoke(
        cli, ["replay", "--verify", "--format", "json"], catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    [summary] = map(parse_json, result.stdout.splitlines())
    found: dict[str, Any] = summary
    return found


def adoptions(installation: Installation) -> Counter[int]:
    """How many records of each partition adopt a ruleset."""
    source = installation.read(installation.topics.executions.name)
    return Counter(record.partition for record in source if (record.key or b"").startswith(ADOPTION_PREFIX))


def adopted_changes(installation: Installation) -> list[dict[str, Any]]:
    """The changes that an adoption caused."""
    changes = [parse_json(record.value or b"") for record in installation.read(installation.topics.factor_changes.name)]
    return [change for change in changes if change["cause"]["status"] == "ruleset"]


def gone_over(*workers: WorkerProcess) -> set[int]:
    """The partitions that these workers took over to another ruleset, by their logs."""
    return {
        entry["partition"]
        for worker in workers
        for entry in worker.entries("the partition has gone over to the new ruleset")
    }


def wait_gone_over(*workers: WorkerProcess, partitions: int, limit_s: float = LIMIT_S) -> None:
    """Wait until a number of partitions have gone over, which happens in the background. The last worker has to run."""
    workers[-1].wait(
        lambda: len(gone_over(*workers)) >= partitions, f"{partitions} partitions to go over", limit_s=limit_s
    )
