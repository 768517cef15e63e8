"""Each option of the command line is declared once, and means the same in every command that has it."""

import ast
from collections import defaultdict
from importlib import import_module
from pathlib import Path

import click

from streams.cli import options
from streams.cli.main import COMMANDS

ROOT = Path(__file__).resolve().parents[3]
THE_PLACE = Path("streams/cli/options.py")
THE_PROGRAM = Path("streams/cli/main.py")
"""Has ``--version``, which is no command's."""

TWO_MEANINGS = {
    "--catalogue": "of compare it is the new one, which no variable names",
    "--format": "replay writes Parquet as well",
    "--from": "of replay it is a bound of each partition",
}
"""The names under which a command has an option of its own, and why."""


def commands(name, command):
    """A command, and those below it."""
    yield name, command
    if isinstance(command, click.Group):
        for below, each in command.commands.items():
            yield from commands(f"{name} {below}", each)


def declared():
    """What each option is, by its name: its help, its type and how often it may be given; and who has it so."""
    found = defaultdict(lambda: defaultdict(list))
    for module, attribute, _ in COMMANDS.values():
        group = getattr(import_module(f"streams.cli.commands.{module}"), attribute)
        for name, command in commands(attribute, group):
            for option in command.params:
                if isinstance(option, click.Option):
                    kind = option.type.to_info_dict()
                    meaning = (option.help, str(kind), option.multiple, option.is_flag, option.name)
                    for flag in option.opts:
                        found[flag][meaning].append(name)
    return found


def test_an_option_is_the_same_in_every_command():
    """Whoever knows it from one command knows it from all of them."""
    differing = {flag: list(meanings.values()) for flag, meanings in declared().items() if len(meanings) > 1}
    assert {flag: names for flag, names in differing.items() if flag not in TWO_MEANINGS} == {}
    assert sorted(differing) == sorted(TWO_MEANINGS), "a name that has one meaning is listed as one with two"


def test_options_are_declared_in_one_place():
    """A command takes them from there, and none is there that no command has."""
    elsewhere = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sorted((ROOT / "streams").rglob("*.py"))
        if path.relative_to(ROOT) not in {THE_PLACE, THE_PROGRAM}
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"click.option", "click.Option"}
    ]
    assert elsewhere == []
    names = {name for name in vars(options) if name.endswith("_option")}
    used = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "streams/cli/commands").glob("*.py"))
    assert {name for name in names if f"@{name}\n" not in used} == set()
