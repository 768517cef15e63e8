"""What a worker publishes, printed by Java, Go and Node: the mission's three scenarios, and what is hard to print."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner

from consolidator.records import decode_factors
from streams.cli.main import cli
from streams.demo.scenarios import SCENARIOS
from tests.inputs.workloads import parse_json
from tests.languages.programs import Following, Line, Program, in_every_language
from tests.languages.publisher import BIG
from tests.real_kafka.installation import Installation
from tests.real_kafka.installed import installed
from tests.real_kafka.worker_process import WorkerProcess

pytestmark = [pytest.mark.languages, pytest.mark.kafka, in_every_language]

ERASED = "erased-1"
STRANGE = "naïve/100%2F"
STRANGE_FACTORS = {
    "__proto__": 1,
    "constructor": 'é 𝄞 \u2028 \\ " \x01',
    "2": BIG,
    "largest": 10**38 - 1,
    "least": -(10**38) + 1,
    "small": Decimal("0.0000000000000000000000000000000000001"),
    "f_true": True,
    "<&>": "<&>",
}


def event(application: str, event_id: str, factors: dict[str, object]) -> dict[str, object]:
    """A completed execution of a processor that the catalogue does not have: its factors are merged as they are."""
    return {
        "application_id": application,
        "execution_id": event_id,
        "event_id": event_id,
        "processor": "anybody's",
        "status": "completed",
        "occurred_at": "2025-03-04T09:00:00Z",
        "output": {"factors": factors},
    }


@dataclass
class Live:
    """An installation whose worker runs."""

    installation: Installation
    worker: WorkerProcess

    def consolidate(self, *events: dict[str, object]) -> None:
        """Publish events and wait until they are consolidated."""
        self.installation.publish(events)
        self.installation.wait_consumed(self.worker)

    def erase(self, application: str) -> None:
        """As an operator does."""
        done = CliRunner(env=self.installation.variables).invoke(cli, ["erase", application, "--yes"])
        assert done.exit_code == 0, done.output

    def current(self) -> list[Line]:
        """The current factors by the topic, read with our own client."""
        found = {}
        for record in self.installation.read(self.installation.topics.factors.name):
            found[record.key] = None if record.value is None else decode_factors(record.value)
        return [
            {
                "application_id": one.application_id,
                "processor": one.processor,
                "outcome": one.outcome,
                "factors": one.values(),
                "version": {"partition": one.version.partition, "offset": one.version.offset},
            }
            for one in sorted(filter(None, found.values()), key=lambda one: (one.application_id, one.processor))
        ]


@pytest.fixture(scope="module")
def live(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """The scenarios, strange names and numbers, and an application that is erased."""
    with installed(kafka, tmp_path_factory.mktemp("live")) as installation:
        found = Live(installation, installation.start().wait_ready(installation.partitions))
        found.consolidate(*(parse_json(line) for one in SCENARIOS for line in one.lines()))
        found.consolidate(event(STRANGE, "1", STRANGE_FACTORS), event(ERASED, "1", {"f_secret": 1}))
        found.erase(ERASED)
        yield found


def test_the_three_scenarios(program: Program, live: Live) -> None:
    """Outcome and factors as in the mission: (2) has a record without factors, and no null and no zero."""
    lines = {line["application_id"]: line for line in program.caught_up(live.installation.variables)}
    for scenario in SCENARIOS:
        line = lines[scenario.application_id]
        assert (line["processor"], line["outcome"]) == (scenario.processor, scenario.outcome)
        assert {name: str(value) for name, value in line["factors"].items()} == scenario.factors


def test_all_that_is_published_is_printed(program: Program, live: Live) -> None:
    """In the order of the ids, every digit and every character of it; what was erased is not there."""
    lines = program.caught_up(live.installation.variables)
    assert [line["application_id"] for line in lines] == ["naïve/100%2F", "scenario-1", "scenario-2", "scenario-3"]
    assert lines == live.current()
    assert lines[0]["factors"] == STRANGE_FACTORS
    numbers = {name: str(value) for name, value in lines[0]["factors"].items() if not isinstance(value, str)}
    assert numbers["2"] == "12345678901234567890.123456789"
    assert numbers["largest"] == "9" * 38


def test_changes_are_followed(program: Program, live: Live, tmp_path: Path, language: str) -> None:
    """After the snapshot each change is a line, and so is an erasure; a signal ends it."""
    application = f"followed-in-{language}"
    with Following(program, live.installation.variables, tmp_path / "out") as reader:
        reader.wait_message("caught up")
        before = reader.lines
        assert before == live.current()
        for number in (1, 2):
            live.consolidate(event(application, str(number), {"f_score": number}))
        live.erase(application)
        [*changes, erased] = reader.wait_lines(len(before) + 3)[len(before) :]
        assert [(one["application_id"], one["factors"]) for one in changes] == [
            (application, {"f_score": 1}),
            (application, {"f_score": 2}),
        ]
        assert erased == {"application_id": application, "erased": True}
        reader.stop()
