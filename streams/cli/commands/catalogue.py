"""``consolidator catalogue``: check, show and describe processor catalogues."""

import json
from pathlib import Path

import click
from rich.table import Table

from models.catalogue import Catalogue, FactorRule
from models.numbers import scalar_text
from streams.cli.options import format_option
from streams.cli.output.console import cell, fits, note, print_document, print_json, print_table, say, stdout
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
    _print(loaded)
    note(f"{loaded.ruleset.name}, digest {loaded.digest}")


@catalogue.command(epilog="Example: consolidator catalogue schema > catalogue.schema.json")
def schema() -> None:
    """Print the JSON Schema of catalogue files, for editors and other tools."""
    print_document(json.dumps(catalogue_schema(), ensure_ascii=False, indent=2))


def _print(loaded: Catalogue) -> None:
    console = stdout()
    table = _table(loaded)
    if fits(table, console):
        print_table(table)
        return
    # In a narrow terminal nine columns would be folded beyond reading.
    for processor, rule in loaded.processors.items():
        say(f"{processor} ({rule.type})")
        for name, factor in rule.factors.items():
            reducer, field, scale, *rest = _cells(factor)
            said = [f"{reducer} of {field}", f"scale {scale}" if scale else "", *rest[:-1], rest[-1] and "required"]
            say(f"  {name}: {', '.join(filter(None, said))}")


def _table(loaded: Catalogue) -> Table:
    table = Table()
    for heading in ("processor", "type", "factor", "reducer", "field"):
        table.add_column(heading, overflow="fold")
    table.add_column("scale", justify="right")
    for heading in ("bounds", "unit", "required"):
        table.add_column(heading)
    for processor, rule in loaded.processors.items():
        # Processor and type once a section: repeated on every line they hide where one processor ends.
        head = [processor, str(rule.type)]
        for name, factor in rule.factors.items():
            table.add_row(*map(cell, [*head, name, *_cells(factor)]))
            head = ["", ""]
        table.add_section()
    return table


def _cells(factor: FactorRule) -> list[str]:
    return [
        str(factor.reducer),
        factor.field,
        "" if factor.scale is None else str(factor.scale),
        _bounds(factor),
        factor.unit or "",
        "yes" if factor.required else "",
    ]


def _bounds(factor: FactorRule) -> str:
    parts = []
    if factor.minimum is not None:
        parts.append(f"≥ {scalar_text(factor.minimum)}")
    if factor.maximum is not None:
        parts.append(f"≤ {scalar_text(factor.maximum)}")
    return ", ".join(parts)
