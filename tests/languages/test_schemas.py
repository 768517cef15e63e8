"""The published schemas in two more languages: 10,000 messages of a live run pass, and what is damaged does not."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.inputs.repository import ROOT
from tests.inputs.workloads import believable
from tests.languages.programs import BUILD_LIMIT_S, Program, in_languages
from tests.real_kafka.installation import Installation
from tests.real_kafka.installed import installed
from topics.records.record import Record

pytestmark = [
    pytest.mark.languages,
    pytest.mark.kafka,
    in_languages("java", "go"),
]

MESSAGES = 10_000
APPLICATIONS = 700
SCHEMAS = ROOT / "topics" / "schemas"


@pytest.fixture(scope="module")
def live(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A worker has consolidated the events of some hundred applications."""
    with installed(kafka, tmp_path_factory.mktemp("schemas")) as installation:
        worker = installation.start().wait_ready(installation.partitions)
        installation.publish(believable(2501, APPLICATIONS))
        installation.wait_consumed(worker)
        worker.stop()
        yield installation


@pytest.fixture(scope="module")
def published(live: Installation, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What it published, as lines of keys and values, by the name of the schema."""
    directory = tmp_path_factory.mktemp("lines")
    topics = {"factor-change": live.topics.factor_changes, "factors": live.topics.factors}
    found = {}
    count = 0
    for name, topic in topics.items():
        records = live.read(topic.name)
        count += len(records)
        found[name] = directory / f"{name}.jsonl"
        found[name].write_bytes(b"".join(line(record) for record in records))
    assert count >= MESSAGES
    return found


def line(record: Record) -> bytes:
    """``{"key": …, "value": …}``; the value is the very text that was published."""
    return b'{"key":"' + record.key + b'","value":' + (record.value or b"null") + b"}\n"


def validate(program: Program, schema: Path, lines: Path) -> subprocess.CompletedProcess[str]:
    """Run the example's validator."""
    command = [*program.validate, str(schema), str(lines)]
    return subprocess.run(command, capture_output=True, text=True, timeout=BUILD_LIMIT_S, check=False)


@pytest.mark.parametrize("name", ["factor-change", "factors"])
def test_every_message_passes(program_of: Callable[[str], Program], language: str, published, name: str) -> None:
    """Each schema of the record: what is promised, and what a reader should accept."""
    schemas = sorted(SCHEMAS.glob(f"{name}.*.json"))
    assert schemas
    for schema in schemas:
        done = validate(program_of(language), schema, published[name])
        lines = published[name].read_bytes().count(b"\n")
        assert (done.returncode, done.stdout) == (0, f"{lines} passed, 0 failed\n"), (schema, done)


@pytest.mark.parametrize(
    ("before", "after", "pointer"),
    [
        (b'"processor":', b'"processed":', ""),
        (b'"executions":{"active":', b'"executions":{"active":-', "/executions/active"),
        (b'"digest":"', b'"digest":"?', "/ruleset/digest"),
        (b'"occurred_at":"2', b'"occurred_at":"x', "/occurred_at"),
    ],
)
def test_a_damaged_message_is_pointed_at(program_of, language, published, tmp_path, before, after, pointer):
    """The first one that fails is named by its line, with a pointer to what is wrong with it."""
    good = published["factors"].read_bytes().splitlines(keepends=True)[:3]
    bad = good[1].replace(before, after, 1)
    assert bad != good[1]
    lines = tmp_path / "lines.jsonl"
    lines.write_bytes(good[0] + bad + good[2])
    for schema in sorted(SCHEMAS.glob("factors.*.json")):
        done = validate(program_of(language), schema, lines)
        assert done.returncode == 1, (schema, done)
        assert done.stdout.startswith(f"line 2: {pointer or '/'}" if pointer else "line 2: "), (schema, done.stdout)
        assert done.stdout.endswith("2 passed, 1 failed\n")
