"""A catalogue for people: a table, or a list where the terminal is too narrow for nine columns."""

from rich.table import Table

from models.catalogue import Catalogue, FactorRule
from models.numbers import scalar_text
from streams.cli.output.console import cell, fits, print_table, say, stdout

__all__ = ["print_catalogue"]


def print_catalogue(loaded: Catalogue) -> None:
    """Print which factors each processor yields, and how."""
    console = stdout()
    table = _table(loaded)
    if fits(table, console):
        print_table(table)
        return
    # In a narrow terminal, nine columns would be wrapped until they cannot be read.
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
        # Print processor and type once a section: repeated on every line, they would hide where one processor ends.
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
