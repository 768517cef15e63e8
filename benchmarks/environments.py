"""What the peers run in: a virtual environment for Quix Streams, a Maven build for Kafka Streams; each made once.

Both lie in the cache directory, named by what they are made of: a change makes new ones.
"""

import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from benchmarks.session import REPOSITORY, say

__all__ = ["MissingToolError", "kafka_streams_classpath", "quix_python"]

REQUIREMENTS = REPOSITORY / "benchmarks" / "quix_requirements.txt"
MAVEN_PROJECT = REPOSITORY / "benchmarks" / "kafka_streams"

_BUILD_LIMIT_S = 900
_OUTPUT_TAIL = 3_000


class MissingToolError(Exception):
    """A peer cannot run here; the message says what is missing."""


def quix_python(cache: Path) -> Path:
    """The interpreter of the environment with Quix Streams.

    Raises:
        MissingToolError: pip could not install it.
    """
    directory = cache / f"quix-{_digest([REQUIREMENTS], sys.version)}"
    python = Path("bin", "python")
    if not directory.exists():
        say("making the environment of Quix Streams (once)")
        # Not moved to its place afterwards: a virtual environment knows its own path.
        building = directory.with_suffix(".building")
        shutil.rmtree(building, ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(building)])
        _run([str(building / python), "-m", "pip", "install", "--quiet", "--requirement", str(REQUIREMENTS)])
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


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_BUILD_LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        raise MissingToolError(f"{command[0]} took more than {_BUILD_LIMIT_S} s") from None
    if done.returncode:
        raise MissingToolError(f"{' '.join(command)} failed:\n{(done.stdout + done.stderr)[-_OUTPUT_TAIL:]}")
