"""The matrix of ends has every command, those below a group too."""

from importlib import import_module

import click

from streams.cli.main import COMMANDS as KNOWN
from tests.integration.commands.test_ends_matrix import COMMANDS

ELSEWHERE = {"demo", "broker start", "up"}
"""They have tests of their own, as each of them starts a broker."""

BY_DEFAULT = {"evidence collect": "evidence"}
"""What a group does where no command is named."""


def leaves(name, command):
    """The commands that do something."""
    if not isinstance(command, click.Group):
        yield BY_DEFAULT.get(name, name)
        return
    for below, each in command.commands.items():
        yield from leaves(f"{name} {below}", each)


def test_every_command_is_in_the_matrix():
    """A new one is added to tests/integration/commands/test_ends_matrix.py, and so is tried in every situation."""
    lines = [command.line for command in COMMANDS]
    found = {
        leaf
        for name, (module, attribute, _) in KNOWN.items()
        for leaf in leaves(name, getattr(import_module(f"streams.cli.commands.{module}"), attribute))
    }
    missing = {leaf for leaf in found if not any(line == leaf or line.startswith(f"{leaf} ") for line in lines)}
    assert missing == ELSEWHERE
