"""``consolidator schema``: the files of the installation, by names that people use."""

import json

import pytest
from click.testing import CliRunner

from streams.cli.commands.schema import schema
from tests.inputs.repository import ROOT

NAMES = {
    "event": "lifecycle-event.accepted.json",
    "change": "factor-change.accepted.json",
    "change-produced": "factor-change.produced.json",
    "factors": "factors.accepted.json",
    "factors-produced": "factors.produced.json",
    "catalogue": "catalogue.schema.json",
    "asyncapi-publisher": "asyncapi/publisher.json",
    "asyncapi-worker": "asyncapi/worker.json",
    "asyncapi-subscriber": "asyncapi/subscriber.json",
}
SCHEMAS = ROOT / "topics" / "schemas"


def test_the_names_are_listed():
    """One a line, with what it is the schema of."""
    shown = CliRunner().invoke(schema, [])
    assert shown.exit_code == 0
    assert [line.split()[0] for line in shown.stdout.splitlines()] == list(NAMES)
    assert "event                Execution lifecycle event\n" in shown.stdout
    assert "asyncapi-subscriber  AsyncAPI: Subscriber to factors\n" in shown.stdout


def test_the_names_are_listed_for_programs():
    """One object a line."""
    shown = CliRunner().invoke(schema, ["--format", "json"])
    assert [json.loads(line) for line in shown.stdout.splitlines()][1] == {"name": "change", "title": "Factor change"}


@pytest.mark.parametrize(("name", "file"), NAMES.items())
def test_a_schema_is_printed_as_it_lies_there(name, file):
    """Byte for byte, so that it can be compared with the published one; as JSON it is the same on one line."""
    published = (SCHEMAS / file).read_text(encoding="utf-8")
    assert CliRunner().invoke(schema, [name]).stdout == published
    line = CliRunner().invoke(schema, [name, "--format", "json"]).stdout
    assert line.count("\n") == 1
    assert json.loads(line) == json.loads(published)


def test_every_schema_that_is_shipped_has_a_name():
    """A new file is not forgotten."""
    shipped = {file.relative_to(SCHEMAS).as_posix() for file in SCHEMAS.rglob("*.json")}
    assert {file for file in shipped if not file.startswith("released/")} == set(NAMES.values())


def test_an_unknown_name_is_refused_with_the_known_ones():
    """Exit code 2."""
    refused = CliRunner().invoke(schema, ["events"])
    assert refused.exit_code == 2
    assert all(name in refused.stderr for name in NAMES)
