"""The list of the modules that are compiled for the image, and what a compiled core says of itself."""

import tomllib
from pathlib import Path

from click.testing import CliRunner

from streams.cli.version import version
from streams.compiled import is_compiled

_REPOSITORY = Path(__file__).resolve().parents[2]


def test_every_module_that_is_to_be_compiled_is_there() -> None:
    """A module that was renamed would silently stay interpreted."""
    project = tomllib.loads((_REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    listed = project["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]["mypyc"]["include"]
    assert [name for name in listed if not (_REPOSITORY / name.removeprefix("/")).is_file()] == []


def test_version_says_whether_the_core_is_compiled() -> None:
    """Who reads a report of slowness wants to know."""
    shown = CliRunner().invoke(version).output
    assert f"compiled         {'yes' if is_compiled() else 'no'}" in shown
