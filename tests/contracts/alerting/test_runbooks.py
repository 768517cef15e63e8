"""The runbooks: each has what is needed at night, and names commands and metrics that are there."""

import shlex

import click
import pytest

from streams.cli.main import cli
from tests.alerting.exposed_metrics import exposed_metrics
from tests.alerting.runbooks import PLACEHOLDERS, RUNBOOKS, commands, metrics_in, sections

EVERY = list(dict.fromkeys(commands()))

OF_THE_SYSTEM = {"curl", "df"}
"""Other programs that a runbook may use: they are on every machine."""


@pytest.mark.parametrize("page", RUNBOOKS, ids=lambda page: page.stem)
def test_a_runbook_says_what_it_means_does_and_needs(page) -> None:
    """Its four sections, how urgent it is in its first words, commands, and the alert's metric."""
    text = page.read_text(encoding="utf-8")
    assert sections(page) == ["Meaning", "Impact", "Diagnosis", "Mitigation"]
    assert text.startswith(f"# {page.stem}\n\n**")
    assert text.split("**")[1].rstrip(".") in {"Critical", "Warning"}
    assert [command for command in EVERY if command.page == page.stem]


@pytest.mark.parametrize("page", RUNBOOKS, ids=lambda page: page.stem)
def test_every_metric_in_a_runbook_is_exported(page) -> None:
    """Under this very name."""
    assert metrics_in(page) - set(exposed_metrics()) == set()


@pytest.mark.parametrize("command", EVERY, ids=lambda command: f"{command.page} {command.text}")
def test_a_command_is_there_with_its_options(command) -> None:
    """Commands of ours take these arguments; others are on every machine."""
    program, *arguments = shlex.split(command.text.split(" > ")[0])
    if program != "consolidator":
        assert program in OF_THE_SYSTEM
    else:
        require_usage(arguments)


def test_an_unknown_command_or_option_would_be_noticed() -> None:
    """The check can fail."""
    for arguments in (["no-such-command"], ["dlq", "list", "--no-such-option"], ["dlq", "shown", "0:1"]):
        with pytest.raises(click.UsageError):
            require_usage(arguments)


def test_a_canary_by_hand_does_not_meet_the_one_that_runs() -> None:
    """Two of them with one state directory: the second exits with 2. And each partition is tried."""
    pages = {command.page for command in EVERY if command.text.startswith("consolidator canary run")}
    assert pages
    for page in RUNBOOKS:
        if page.stem in pages:
            text = page.read_text(encoding="utf-8")
            assert "CONSOLIDATOR_STATE_DIR" in text
            assert "`--rounds` as many as" in text


def test_every_placeholder_is_used() -> None:
    """The list of placeholders has no other names."""
    assert [name for name in PLACEHOLDERS if not any(name in command.text for command in EVERY)] == []


def require_usage(arguments: list[str]) -> None:
    """Parse a command line of ours as the program does, without running it.

    Raises:
        click.UsageError: there is no such command, or it does not take these arguments.
    """
    sample = {"PARTITION:OFFSET": "0:1", "PARTITION:COMMITTED": "0:1", "APPLICATION": "a"}
    words = [sample.get(word, word) for word in arguments]
    group: click.Command = cli
    context = click.Context(cli, info_name="consolidator")
    while isinstance(group, click.Group):
        name, command, words = group.resolve_command(context, words)
        assert command is not None
        group, context = command, click.Context(command, parent=context, info_name=name)
    group.parse_args(context, words)
