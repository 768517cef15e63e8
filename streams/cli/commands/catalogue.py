"""``consolidator catalogue``: check, show and describe processor catalogues."""

import json
from pathlib import Path

import click

from streams.cli.options import format_option
from streams.cli.output.catalogue import print_catalogue
from streams.cli.output.console import note, print_document, print_json, say
from streams.configuration.settings import load_settings
from streams.rulesets.catalogue_file import catalogue_json, catalogue_schema, load_catalogue

_FILE = click.Path(path_type=Path)


@click.group(epilog="Begin with: consolidator catalogue show")
def catalogue() -> None:
    """Check and show the processor catalogue: which factors each processor yields, and how."""


@catalogue.command(epilog="Example: consolidator catalogue check underwriting.toml")
@click.argument("file", type=_FILE)
@format_option
def check(file: Path, output_format: str) -> None:
    """Check a catalogue FILE (.toml or .json).

    Every problem is listed with its place; exit code 2 if there is any.
    """
    loaded = load_catalogue(file)
    factors = sum(len(rule.factors) for rule in loaded.processors.values())
    if output_format == "json":
        print_json({**loaded.ruleset.model_dump(), "processors": len(loaded.processors), "factors": factors})
        return
    say(f"OK {loaded.ruleset.name}")
    say(f"digest {loaded.digest}")
    say(f"processors {len(loaded.processors)}, factors {factors}")


@catalogue.command(
    epilog="Examples: consolidator catalogue show underwriting.toml · "
    "consolidator catalogue show --format json > underwriting.json"
)
@click.argument("file", type=_FILE, required=False)
@format_option
def show(file: Path | None, output_format: str) -> None:
    """Show FILE, or else the catalogue of CONSOLIDATOR_CATALOGUE, or else the built-in sample.

    With --format json it is a catalogue file again, with the same digest.
    """
    loaded = load_catalogue(file or load_settings().catalogue)
    if output_format == "json":
        print_document(catalogue_json(loaded))
        return
    print_catalogue(loaded)
    note(f"{loaded.ruleset.name}, digest {loaded.digest}")


@catalogue.command(epilog="Example: consolidator catalogue schema > catalogue.schema.json")
def schema() -> None:
    """Print the JSON Schema of catalogue files, for editors and other tools."""
    print_document(json.dumps(catalogue_schema(), ensure_ascii=False, indent=2))
