"""What is handed out, looked at from the inside: the wheel has what users need, the sdist what its own tests read."""

import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path, PurePosixPath

import pytest

import consolidator
from tests.inputs.repository import ROOT, committed_files

PACKAGES = ("models", "topics", "streams")
CLIENT = PurePosixPath("clients", "python", "consolidator")
BUNDLED = "factor_consolidator_bundled"
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
    """Modules, type marks, schemas, the sample catalogue, the list of jars; nothing else but the client."""
    found = {PurePosixPath(name) for name in wheel.namelist() if ".dist-info/" not in name}
    assert {file.parts[0] for file in found} == {*PACKAGES, BUNDLED, f"{BUNDLED}.pth"}
    wanted = {PurePosixPath(file) for file in committed_files() if file.parts[0] in PACKAGES}
    assert wanted - found == set()


def test_the_wheel_has_a_copy_of_the_client(wheel):
    """All of the package, byte for byte, in a folder that the path file puts at the end of the path."""
    client = {PurePosixPath(file) for file in committed_files() if CLIENT in PurePosixPath(file).parents}
    copies = {PurePosixPath(BUNDLED, "consolidator", file.relative_to(CLIENT)): file for file in client}
    assert copies
    found = {PurePosixPath(name) for name in wheel.namelist() if name.startswith(f"{BUNDLED}/")}
    assert found == set(copies)
    assert all(wheel.read(str(copy)) == (ROOT / file).read_bytes() for copy, file in copies.items())
    assert wheel.read(f"{BUNDLED}.pth").decode().split() == [BUNDLED]


def test_the_client_is_released_with_the_rest():
    """Both have one version, for the same Pythons, under the same licence; what both need has the same bounds."""
    client, main = (
        tomllib.loads((ROOT / folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        for folder in ("clients/python", "")
    )
    for key in ("version", "license", "requires-python"):
        assert client[key] == main[key]
    assert consolidator.__version__ == client["version"]
    assert set(client["dependencies"]) <= set(main["dependencies"])
    assert (ROOT / "clients/python/LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


@pytest.mark.parametrize("package", [*PACKAGES, f"{BUNDLED}/consolidator"])
def test_the_wheel_says_that_it_is_typed(wheel, package):
    """Type checkers read a package's annotations only where it has this file (PEP 561)."""
    assert f"{package}/py.typed" in wheel.namelist()


@pytest.mark.parametrize(
    "name",
    [
        "lifecycle-event.accepted.json",
        "factor-change.accepted.json",
        "factor-change.produced.json",
        "factors.accepted.json",
        "factors.produced.json",
        "catalogue.schema.json",
        "asyncapi/subscriber.json",
    ],
)
def test_the_wheel_has_the_schema(wheel, name):
    """Byte for byte the one that the repository shows."""
    file = f"topics/schemas/{name}"
    assert wheel.read(file) == (ROOT / file).read_bytes()


def test_the_source_distribution_is_complete(tmp_path):
    """All that git has: documents, locks, fixtures and CI's programs are what tests read."""
    with tarfile.open(built("sdist", tmp_path)) as opened:
        members = [PurePosixPath(member.name) for member in opened if member.isfile()]
    assert {member.parts[0] for member in members} == {members[0].parts[0]}
    found = {PurePosixPath(*member.parts[1:]) for member in members}
    assert {PurePosixPath(file) for file in committed_files()} - found == set()
