"""The list of the modules that are compiled for the image, and what a compiled core says of itself."""

import tomllib
from pathlib import Path

from click.testing import CliRunner

from streams.cli.commands.version import version
from streams.core.compiled import is_compiled

_REPOSITORY = Path(__file__).resolve().parents[3]


def _compiled_modules() -> list[Path]:
    project = tomllib.loads((_REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    listed = project["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]["mypyc"]["include"]
    return [_REPOSITORY / name.removeprefix("/") for name in listed]


def test_every_module_that_is_to_be_compiled_is_there() -> None:
    """A module that was renamed would silently stay interpreted."""
    assert [str(module) for module in _compiled_modules() if not module.is_file()] == []


def test_no_compiled_module_declares_a_struct() -> None:
    """Mypyc drops what stands beside a base class: a struct would lose its tag, its form and its immutability."""
    assert [str(one) for one in _compiled_modules() if "(msgspec.Struct" in one.read_text(encoding="utf-8")] == []


def test_version_says_whether_the_core_is_compiled() -> None:
    """Who reads a report of slowness wants to know."""
    shown = CliRunner().invoke(version).output
    assert f"compiled         {'yes' if is_compiled() else 'no'}" in shown
