"""What the sides run in: environments for the compiled worker and for Quix Streams, a Maven build for Kafka Streams.

Each is made once and lies in the cache directory, named by what it is made of: a change makes a new one.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from benchmarks.load.session import REPOSITORY, say

__all__ = ["MissingToolError", "compiled_python", "kafka_streams_classpath", "quix_python"]

REQUIREMENTS = REPOSITORY / "benchmarks" / "quix_requirements.txt"
MAVEN_PROJECT = REPOSITORY / "benchmarks" / "kafka_streams"

_PACKAGES = ("clients/python", "models", "topics", "streams")
_PROJECT_FILES = ("pyproject.toml", "README.md", "LICENSE")
_PIP_INSTALL = ("-m", "pip", "install", "--quiet")
_COMPILE = {"HATCH_BUILD_HOOK_ENABLE_MYPYC": "1"}
_REQUIRE_COMPILED = (
    "import sys; from streams.core.compiled import is_compiled; sys.exit(0 if is_compiled() else 'not compiled')"
)

_ISOLATED = "-I"
"""Neither the current directory nor PYTHONPATH: a tree's pure Python there would run in the compiled worker's name."""

_BUILD_LIMIT_S = 900
_OUTPUT_TAIL = 3_000


class MissingToolError(Exception):
    """A peer cannot run here; the message says what is missing."""


def compiled_python(cache: Path) -> tuple[str, str]:
    """The interpreter of the environment with this tree's compiled worker, as the image has it (docs/decisions/0016).

    Returns:
        The interpreter, and the option with which it sees its own environment only.

    Raises:
        MissingToolError: there is no C compiler, pip could not build or install it, or it came out not compiled.
    """
    packages = [path for name in _PACKAGES for path in (REPOSITORY / name).rglob("*")]
    sources = sorted(path for path in packages if path.is_file() and path.suffix not in {".pyc", ".so"})
    lock = REPOSITORY / "requirements.lock"

    def install(python: str) -> None:
        _run([python, *_PIP_INSTALL, "--require-hashes", "--requirement", str(lock)])
        # In a copy: the compiled modules are left beside the sources, and hide them.
        with tempfile.TemporaryDirectory(prefix=".compiling-", dir=cache) as copy:
            for name in _PACKAGES:
                ignored = shutil.ignore_patterns("__pycache__", "*.so")
                shutil.copytree(REPOSITORY / name, Path(copy) / name, ignore=ignored)
            for name in _PROJECT_FILES:
                shutil.copy(REPOSITORY / name, copy)
            _run([python, *_PIP_INSTALL, "--no-deps", "--no-build-isolation", copy], _COMPILE)
        _run([python, _ISOLATED, "-c", _REQUIRE_COMPILED])

    directory = cache / f"worker-{_digest([REPOSITORY / 'pyproject.toml', lock, *sources], sys.version)}"
    return str(_python_of(directory, "compiling the worker (once)", install)), _ISOLATED


def quix_python(cache: Path) -> Path:
    """The interpreter of the environment with Quix Streams.

    Raises:
        MissingToolError: pip could not install it.
    """
    directory = cache / f"quix-{_digest([REQUIREMENTS], sys.version)}"
    return _python_of(
        directory,
        "making the environment of Quix Streams (once)",
        lambda python: _run([python, *_PIP_INSTALL, "--requirement", str(REQUIREMENTS)]),
    )


def _python_of(directory: Path, making: str, install: Callable[[str], None]) -> Path:
    """The interpreter of an environment, which is made if it is not there yet: ``install`` is given it, too."""
    python = Path("bin", "python")
    if not directory.exists():
        say(making)
        # Not moved to its place afterwards: a virtual environment knows its own path.
        building = directory.with_suffix(".building")
        shutil.rmtree(building, ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(building)])
        install(str(building / python))
        directory.symlink_to(building.name)
    return directory / python


def kafka_streams_classpath(cache: Path) -> str:
    """The class path of the built Kafka Streams peer.

    Raises:
        MissingToolError: there is no mvn or no JDK on the PATH, or the build failed.
    """
    for tool in ("mvn", "javac", "java"):
        if shutil.which(tool) is None:
            raise MissingToolError(f"{tool} is not on the PATH")
    sources = sorted(path for path in MAVEN_PROJECT.rglob("*") if path.is_file() and "target" not in path.parts)
    directory = cache / f"kafka-streams-{_digest(sources)}"
    if not directory.exists():
        say("building the Kafka Streams peer with Maven (once)")
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".building-", dir=cache) as building:
            target = Path(building) / "target"
            _run(["mvn", "-q", "-B", "-f", str(MAVEN_PROJECT / "pom.xml"), f"-Dbuild.target={target}", "package"])
            target.rename(directory)
    return f"{directory / 'peer.jar'}:{directory / 'lib'}/*"


def _digest(files: Iterable[Path], *more: str) -> str:
    digest = hashlib.sha256("\0".join(more).encode())
    for path in files:
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _run(command: list[str], variables: Mapping[str, str] | None = None) -> None:
    environment = {**os.environ, **(variables or {})}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_BUILD_LIMIT_S, check=False, env=environment
        )
    except subprocess.TimeoutExpired:
        raise MissingToolError(f"{command[0]} took more than {_BUILD_LIMIT_S} s") from None
    if done.returncode:
        raise MissingToolError(f"{' '.join(command)} failed:\n{(done.stdout + done.stderr)[-_OUTPUT_TAIL:]}")
