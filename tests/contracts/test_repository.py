"""The repository itself: where things lie, how large modules are, and that generated pages and the lock are current."""

import subprocess
import tomllib
from collections import Counter
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from streams.configuration.settings_page import settings_page

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("models", "topics", "streams")
MOST_LINES = 400
MOST_FILES = 20
ONE_FILE_EACH = ("streams/cli/commands", "tests/unit")
"""Folders that may have more: a file for each command, a file for each module."""

TOP_LEVEL = {
    *PACKAGES,
    "tests",
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
}


def committed_files() -> list[Path]:
    """List what git has of the repository, without what was deleted and not yet committed."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    files = [Path(name) for name in listing.split("\0") if name]
    return [file for file in files if (ROOT / file).is_file()]


def python_files() -> list[Path]:
    """List the committed Python files: modules, tests and benchmarks."""
    return [file for file in committed_files() if file.suffix == ".py"]


def modules() -> list[Path]:
    """List the committed Python modules of the three packages."""
    return [file for file in python_files() if file.parts[0] in PACKAGES]


def locked() -> dict[str, str]:
    """Map each package of the lock, by its normalised name, to its pinned version."""
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    pins = (line.split()[0].partition("==") for line in lines if line[:1].isalnum())
    return {canonicalize_name(name): version for name, _, version in pins}


def declared() -> list[str]:
    """List the requirements that pyproject.toml declares, for running, for the broker and for development."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    groups = project["dependency-groups"].values()
    return [
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["broker"],
        *(entry for group in groups for entry in group if isinstance(entry, str)),
    ]


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


@pytest.mark.parametrize("requirement", declared())
def test_the_lock_has_every_declared_dependency(requirement: str) -> None:
    """The lock pins each declared dependency to a version that pyproject.toml allows; else see CONTRIBUTING.md."""
    wanted = Requirement(requirement)
    assert wanted.specifier.contains(locked()[canonicalize_name(wanted.name)])


def test_the_lock_names_no_host() -> None:
    """The lock says what to install, not where from: packages come from the index that the user has configured."""
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert "://" not in lock
    assert "--index" not in lock
