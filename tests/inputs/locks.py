"""The lock files and what pyproject.toml declares."""

import re
import tomllib
from typing import Any, Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.inputs.repository import ROOT

LOCK: Final = "requirements.lock"
RUN_LOCK: Final = "requirements-run.lock"
BROKER_LOCK: Final = "requirements-broker.lock"
LOCKS: Final = (LOCK, RUN_LOCK, BROKER_LOCK)


def locked(file: str = LOCK) -> dict[str, str]:
    """Map each package of a lock, by its normalised name, to its pinned version."""
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    pins = (line.split()[0].partition("==") for line in lines if line[:1].isalnum())
    return {canonicalize_name(name): version for name, _, version in pins}


def blocks(file: str) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Map each package of a lock to its pin with its marker, and the hashes of its files."""
    text = (ROOT / file).read_text(encoding="utf-8")
    found = {}
    for block in re.split(r"\n(?=[A-Za-z0-9])", text)[1:]:
        pin = block.partition(" \\")[0]
        found[canonicalize_name(pin.partition("==")[0])] = pin, tuple(re.findall(r"--hash=(\S+)", block))
    return found


def project() -> dict[str, Any]:
    """What pyproject.toml says."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def run_requirements() -> list[Requirement]:
    """The packages that a worker needs."""
    return [Requirement(text) for text in project()["project"]["dependencies"]]


def extra_requirements(extra: str) -> list[Requirement]:
    """The packages of an extra."""
    return [Requirement(text) for text in project()["project"]["optional-dependencies"][extra]]


def development_requirements() -> list[Requirement]:
    """The packages for tests, checks, the build and a release."""
    groups = project()["dependency-groups"].values()
    return [Requirement(entry) for group in groups for entry in group if isinstance(entry, str)]
