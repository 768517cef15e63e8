"""The catalogue file is a contract: its JSON Schema is published, current, and agrees with the loader."""

import json
import re
import tomllib
from importlib import resources
from pathlib import Path

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from models.errors import CatalogueError
from streams.cli.commands.catalogue import catalogue
from streams.rulesets.catalogue_file import catalogue_json, catalogue_schema, load_catalogue, parse_catalogue

ROOT = Path(__file__).parents[2]
FACTOR = {"reducer": "mean", "field": "f_x"}


def catalogue_of(factor=None, **processor):
    factors = {"f_y": {**FACTOR, **(factor or {})}}
    return {
        "schema_version": 1,
        "name": "test",
        "version": "1",
        "processors": {"p": {"type": "document", "factors": factors, **processor}},
    }


@pytest.fixture(scope="module")
def validator():
    schema = catalogue_schema()
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def test_the_committed_schema_is_what_the_command_prints():
    """A change of the models shows up in the published schema, byte for byte."""
    printed = CliRunner().invoke(catalogue, ["schema"])
    assert printed.exit_code == 0
    committed = (ROOT / "topics" / "schemas" / "catalogue.schema.json").read_text()
    assert printed.stdout == committed, "run: consolidator catalogue schema > topics/schemas/catalogue.schema.json"


def test_the_sample_fits_the_schema(validator):
    """The built-in sample is valid by the schema, as TOML and as the JSON that show prints."""
    sample = resources.files("streams.rulesets").joinpath("sample_catalogue.toml").read_text()
    validator.validate(tomllib.loads(sample))
    validator.validate(json.loads(catalogue_json(load_catalogue(None))))


def test_the_guide_shows_what_is_true():
    """The example of docs/catalogue.md is a catalogue, and its digest is the one printed there."""
    guide = (ROOT / "docs" / "catalogue.md").read_text()
    example = re.search(r"```toml\n(.*?)```", guide, re.DOTALL)[1]
    assert f"digest {parse_catalogue(example.encode(), suffix='.toml', source='guide').digest}\n" in guide


@pytest.mark.parametrize(
    "content",
    [
        catalogue_of(),
        catalogue_of({"minimum": -1.5, "maximum": 2, "scale": 38, "unit": "USD", "required": True}),
        catalogue_of(on_failed_rerun="keep_previous", description="d"),
        {**catalogue_of(), "$schema": "catalogue.schema.json"},
        {**catalogue_of(), "processors": {}},
    ],
)
def test_what_the_schema_accepts_is_read(validator, content):
    """A file that an editor calls valid is one that the loader reads."""
    assert validator.is_valid(content)
    parse_catalogue(json.dumps(content).encode(), suffix=".json", source="test")


@pytest.mark.parametrize(
    "content",
    [
        [],
        {},
        {**catalogue_of(), "schema_version": 2},
        {**catalogue_of(), "name": "with/slash"},
        {**catalogue_of(), "version": ""},
        {**catalogue_of(), "procesors": {}},
        {**catalogue_of(), "processors": {" p": catalogue_of()["processors"]["p"]}},
        catalogue_of(factors={}),
        catalogue_of(factors={"": FACTOR}),
        catalogue_of(type="documents"),
        catalogue_of(on_failed_rerun="keep"),
        catalogue_of({"reducer": "avg"}),
        catalogue_of({"field": ""}),
        catalogue_of({"scale": 39}),
        catalogue_of({"scale": -1}),
        catalogue_of({"minimum": "1"}),
        catalogue_of({"required": 1}),
        catalogue_of({"maximun": 1}),
    ],
)
def test_what_the_schema_refuses_is_refused(validator, content):
    """A file that an editor marks as wrong is wrong for the loader too."""
    assert not validator.is_valid(content)
    with pytest.raises(CatalogueError):
        parse_catalogue(json.dumps(content).encode(), suffix=".json", source="test")
