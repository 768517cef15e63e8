"""Moments on the command line, as far as no broker is asked."""

import click
import pytest
from click.testing import CliRunner

from streams.cli.commands.factors_as_of import moment_of
from streams.cli.main import cli
from streams.cli.option_types import MomentType, StartType, TimezoneType


@click.command()
@click.option("--at", type=MomentType(times=True, offsets=True, now=True))
@click.option("--from", "start", type=StartType())
@click.option("--timezone", type=TimezoneType())
def ask(at, start, timezone):
    """Print what the options come to."""
    click.echo(f"{moment_of('--at', at, timezone)} {start}")


def run(*arguments):
    return CliRunner().invoke(ask, arguments)


def test_a_day_needs_a_time_zone():
    """Exit code 2, and what to add."""
    result = CliRunner().invoke(cli, ["factors", "app", "--at", "2026-03-01"])
    assert (result.exit_code, "--timezone UTC" in result.stderr) == (2, True)
    compared = CliRunner().invoke(cli, ["factors", "app", "--at", "2026-03-01T00:00:00Z", "--compare", "2026-03-02"])
    assert (compared.exit_code, "--compare 2026-03-02 is a whole day" in compared.stderr) == (2, True)


def test_the_end_of_a_day_is_meant_and_said():
    """Which moment that is stands on stderr."""
    result = run("--at", "2026-03-01", "--timezone", "Europe/Berlin")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("1772405999999999 ")
    assert "the end of that day, 2026-03-01T22:59:59.999999Z" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("--at", "2999-01-01T00:00:00Z"),
        ("--from", "2999-01-01T00:00:00Z"),
        ("--at", "2999-01-01", "--timezone", "UTC"),
    ],
)
def test_a_time_in_the_future_gets_a_note(arguments):
    """It is accepted, and what it means is said once."""
    result = run(*arguments)
    assert (result.exit_code, result.stderr.count("is in the future")) == (0, 1)


def test_a_time_in_the_past_gets_none():
    """Nothing but the answer."""
    assert run("--at", "2026-03-01T00:00:00Z", "--from", "2:15").stderr == ""


def test_an_unknown_time_zone_is_wrong_usage():
    """Exit code 2."""
    result = run("--timezone", "Nowhere/Land")
    assert (result.exit_code, "no time zone that is known here" in result.stderr) == (2, True)
