"""What is handed out, looked at from the inside: the wheel has what users need, the sdist what its own tests read."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

import pytest

from tests.inputs.repository import ROOT, committed_files

PACKAGES = ("models", "topics", "streams")
LIMIT_S = 240


def built(target: str, directory: Path) -> Path:
    """Build a distribution with the locked backend, as ``bash .ci/release`` does."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(directory)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=LIMIT_S)
    [distribution] = directory.iterdir()
    return distribution


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel without compiled modules, open."""
    with zipfile.ZipFile(built("wheel", tmp_path_factory.mktemp("wheel"))) as opened:
        yield opened


def test_the_wheel_has_every_file_of_the_packages(wheel):
    """Modules, type marks, schemas, the sample catalogue, the list of jars; and nothing beside the packages."""
    found = {PurePosixPath(name) for name in wheel.namelist() if ".dist-info/" not in name}
    assert {file.parts[0] for file in found} == set(PACKAGES)
    wanted = {PurePosixPath(file) for file in committed_files() if file.parts[0] in PACKAGES}
    assert wanted - found == set()


@pytest.mark.parametrize("package", PACKAGES)
def test_the_wheel_says_that_it_is_typed(wheel, package):
    """Type checkers read a package's annotations only where it has this file (PEP 561)."""
    assert f"{package}/py.typed" in wheel.namelist()


@pytest.mark.parametrize("name", ["lifecycle-event", "factor-change", "factors", "catalogue"])
def test_the_wheel_has_the_schema(wheel, name):
    """Byte for byte the one that the repository shows."""
    file = f"topics/schemas/{name}.schema.json"
    assert wheel.read(file) == (ROOT / file).read_bytes()


def test_the_source_distribution_is_complete(tmp_path):
    """All that git has: documents, locks, fixtures and CI's programs are what tests read."""
    with tarfile.open(built("sdist", tmp_path)) as opened:
        members = [PurePosixPath(member.name) for member in opened if member.isfile()]
    assert {member.parts[0] for member in members} == {members[0].parts[0]}
    found = {PurePosixPath(*member.parts[1:]) for member in members}
    assert {PurePosixPath(file) for file in committed_files()} - found == set()
