"""The client as subscribers install it: beside a service's own packages, and beside the main distribution."""

import subprocess
import sys
from importlib.metadata import PathDistribution
from itertools import permutations
from pathlib import Path

import pytest

from tests.inputs.locks import locked
from tests.inputs.repository import ROOT

pytestmark = pytest.mark.slow

LIMIT_S = 900
"""Of one command, on a machine that is busy with everything else that CI runs at the same time."""
MOST_BYTES = 30_000_000
"""Of the client with everything that it brings, beyond pip and setuptools."""

CLIENT, MAIN, SERVICE = "factor-consolidator-client", "factor-consolidator", "some-service"
SERVICE_PROJECT = f"""\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "{SERVICE}"
version = "1"

[tool.hatch.build.targets.wheel]
include = ["models.py", "topics"]
"""
PROGRAMS = {
    CLIENT: """
from consolidator import decode_change, parse_event_key
from consolidator.testing import SampleSource, sample_change
source = SampleSource()
source.publish(sample_change("app-1"))
[record] = source
assert parse_event_key(record.key)[0] == "app-1"
assert decode_change(record.value).values() == {"f_revenue_monthly_avg": 11000}
""",
    MAIN: """
from consolidator.testing import encode, sample_change
from streams.audit.published import change_of
from topics.records.record import Record
assert change_of(Record("factor-changes", 0, 0, 0, b"", encode(sample_change("app-1")), ())).application_id == "app-1"
""",
    SERVICE: """
import models, topics
assert (models.OWNER, topics.OWNER) == ("the service", "the service")
""",
}
"""What shows that a distribution works."""

# What the program of the main distribution imports; the rest of its dependencies has 130 MB.
NEEDED_BY_MAIN = (
    "annotated-types",
    "mypy-extensions",
    "pydantic",
    "pydantic-core",
    "typing-extensions",
    "typing-inspection",
)


def run(*command: object) -> str:
    done = subprocess.run([*map(str, command)], check=False, capture_output=True, text=True, timeout=LIMIT_S)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(project: Path, directory: Path) -> Path:
    """Build a wheel with the locked backend, without compiled modules."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(directory)]
    subprocess.run(command, cwd=project, check=True, capture_output=True, timeout=LIMIT_S)
    [wheel] = directory.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """The three wheels, by distribution."""
    service = tmp_path_factory.mktemp("service")
    (service / "pyproject.toml").write_text(SERVICE_PROJECT)
    (service / "topics").mkdir()
    for file in ("models.py", "topics/__init__.py"):
        (service / file).write_text('OWNER = "the service"\n')
    projects = {CLIENT: ROOT / "clients" / "python", MAIN: ROOT, SERVICE: service}
    return {name: build(project, tmp_path_factory.mktemp(name)) for name, project in projects.items()}


class Environment:
    """An environment of its own, in which pip installs and uninstalls.

    Args:
        directory: is made.
    """

    def __init__(self, directory: Path) -> None:
        run(sys.executable, "-m", "venv", directory)
        self.python = directory / "bin" / "python"
        [self.site] = (directory / "lib").glob("python*/site-packages")

    def pip(self, *arguments: object) -> None:
        run(self.python, "-I", "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments)

    def distribution(self, name: str) -> PathDistribution | None:
        found = list(self.site.glob(f"{name.replace('-', '_')}-*.dist-info"))
        return PathDistribution(found[0]) if found else None

    def files(self, name: str) -> set[Path]:
        """The files of an installed distribution, relative to the site's packages; without compiled bytecode."""
        distribution = self.distribution(name)
        assert distribution is not None
        listed = {Path(str(file)) for file in distribution.files or ()}
        return {file for file in listed if file.suffix != ".pyc"}

    def require_whole(self, name: str) -> None:
        """A distribution has all of its files, and works."""
        assert [file for file in self.files(name) if not (self.site / file).exists()] == []
        run(self.python, "-I", "-c", PROGRAMS[name])


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    return Environment(tmp_path_factory.mktemp("environment") / "venv")


@pytest.fixture
def empty(environment):
    """The environment without the three distributions."""
    present = [name for name in (CLIENT, MAIN, SERVICE) if environment.distribution(name) is not None]
    if present:
        environment.pip("uninstall", "--yes", *present)
    return environment


def test_the_client_alone_is_small(empty, wheels):
    """It brings nothing of the main distribution, and with all that it needs it has at most 30 MB."""
    before = {path.name for path in empty.site.iterdir()}
    empty.pip("install", wheels[CLIENT])
    empty.require_whole(CLIENT)
    assert {file.parts[0] for file in empty.files(CLIENT) if ".dist-info" not in file.parts[0]} == {"consolidator"}
    added = [path for path in empty.site.iterdir() if path.name not in before]
    size = sum(file.stat().st_size for path in added for file in (path, *path.rglob("*")) if file.is_file())
    assert 0 < size <= MOST_BYTES


@pytest.mark.parametrize("order", [*permutations((CLIENT, SERVICE)), *permutations((CLIENT, MAIN))], ids=" then ".join)
@pytest.mark.parametrize("leaves", [0, 1], ids=["the first one leaves", "the second one leaves"])
def test_the_client_and_another_one_do_each_other_no_harm(empty, wheels, order, leaves):
    """Installed in either order, both work; whichever is uninstalled, the other one has all of its files and works."""
    if MAIN in order:
        pins = locked()
        empty.pip("install", "--no-deps", *(f"{name}=={pins[name]}" for name in NEEDED_BY_MAIN))
    for name in order:
        empty.pip("install", *(["--no-deps"] if name == MAIN else []), wheels[name])
    one, other = order
    assert empty.files(one) & empty.files(other) == set()
    for name in order:
        empty.require_whole(name)
    stays = order[1 - leaves]
    empty.pip("uninstall", "--yes", order[leaves])
    empty.require_whole(stays)
    if stays == SERVICE:
        run(empty.python, "-I", "-c", "from importlib.util import find_spec; assert find_spec('consolidator') is None")


def test_whoever_has_both_has_the_clients_own(empty, wheels):
    """The distribution comes before the bundled copy: it is the one that pip can upgrade."""
    where = "import consolidator; print(consolidator.__file__)"
    empty.pip("install", "--no-deps", wheels[MAIN])
    assert Path(run(empty.python, "-I", "-c", where).strip()).parts[-3] == "factor_consolidator_bundled"
    empty.pip("install", wheels[CLIENT])
    assert Path(run(empty.python, "-I", "-c", where).strip()).parts[-3] == "site-packages"


def test_a_service_runs_from_its_own_folder(empty, wheels, tmp_path):
    """A service that is no distribution has its ``models.py`` and ``topics/`` beside the program."""
    empty.pip("install", wheels[CLIENT])
    (tmp_path / "topics").mkdir()
    for file in ("models.py", "topics/__init__.py"):
        (tmp_path / file).write_text('OWNER = "the service"\n')
    (tmp_path / "service.py").write_text(PROGRAMS[SERVICE] + PROGRAMS[CLIENT])
    run(empty.python, tmp_path / "service.py")
