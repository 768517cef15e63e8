"""The repository itself: where things lie, how large modules are, and that generated pages are current."""

from collections import Counter
from pathlib import Path

from streams.configuration.settings_page import settings_page
from tests.inputs.repository import ROOT, committed_files

PACKAGES = ("clients", "models", "topics", "streams")
MOST_LINES = 400
MOST_FILES = 20
ONE_FILE_EACH = ("streams/cli/commands", "tests/unit")
"""Folders that may have more: a file for each command, a file for each module."""

TOP_LEVEL = {
    *PACKAGES,
    "tests",
    "deploy",
    "docs",
    "benchmarks",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Dockerfile",
    "LICENSE",
    "README.md",
    "docker-compose.yml",
    "pyproject.toml",
    "requirements.lock",
    "requirements-broker.lock",
    "requirements-run.lock",
}


def python_files() -> list[Path]:
    """List the committed Python files: modules, tests and benchmarks."""
    return [file for file in committed_files() if file.suffix == ".py"]


def modules() -> list[Path]:
    """List the committed Python modules of the packages, the client included."""
    return [file for file in python_files() if file.parts[0] in PACKAGES]


def test_the_top_level_holds_only_what_is_agreed() -> None:
    """A newcomer finds at the top level what the design lists, dot files, and nothing else."""
    found = {file.parts[0] for file in committed_files()}
    assert {name for name in found if not name.startswith(".")} <= TOP_LEVEL


def test_no_module_is_too_long() -> None:
    """No Python file has more than 400 lines, the tests included."""
    lengths = {str(file): len((ROOT / file).read_text(encoding="utf-8").splitlines()) for file in python_files()}
    assert {file: lines for file, lines in lengths.items() if lines > MOST_LINES} == {}


def test_no_folder_is_too_full() -> None:
    """No folder has more than 20 Python files, except those with a file for each command or module."""
    files = Counter(file.parent.as_posix() for file in python_files())
    assert {
        folder: count for folder, count in files.items() if count > MOST_FILES and not folder.startswith(ONE_FILE_EACH)
    } == {}


def test_no_module_is_named_for_nothing() -> None:
    """Every module's and package's name says what is in it: no utils, helpers or common."""
    vague = {"common", "helper", "helpers", "misc", "util", "utils"}
    assert [str(file) for file in modules() if vague & {*file.parent.parts, file.stem}] == []


def test_the_settings_page_is_current() -> None:
    """The settings' page says what the settings say; else write it anew, as CONTRIBUTING says."""
    assert (ROOT / "docs" / "settings.md").read_text(encoding="utf-8") == settings_page()
