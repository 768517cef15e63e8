"""The download of Kafka's jars, against a repository on this machine."""

import gc
import hashlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from models.errors import InfrastructureError
from streams.broker.jars import KAFKA_VERSION, Jar, ensure_jars, locked_jars, missing_jars, parse_lock
from streams.broker.ports import free_port


def jar(artifact, content):
    return Jar("org.example", artifact, "1.0", hashlib.sha256(content).hexdigest())


ALPHA = jar("alpha", b"alpha's bytes")
BETA = jar("beta", b"beta's bytes")


@pytest.fixture
def use_repository(tmp_path, monkeypatch):
    """Make jgo use a repository at the given port of this machine, as a company's mirror is set."""

    def use(port):
        configuration = tmp_path / "jgo.conf"
        configuration.write_text(f"[repositories]\ncentral = http://127.0.0.1:{port}\n")
        monkeypatch.setenv("JGO_CONFIG_FILE", str(configuration))
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    return use


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def repository(tmp_path, use_repository):
    """A repository that serves alpha and beta; what lies in its directory can be altered."""
    root = tmp_path / "repository"
    for artifact, content in (("alpha", b"alpha's bytes"), ("beta", b"beta's bytes")):
        folder = root / "org" / "example" / artifact / "1.0"
        folder.mkdir(parents=True)
        (folder / f"{artifact}-1.0.jar").write_bytes(content)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(root)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    use_repository(server.server_port)
    yield root
    server.shutdown()
    thread.join()
    server.server_close()
    # What jgo leaves open is closed within the test that it belongs to.
    gc.collect()


def test_the_lock_pins_every_jar_once_with_a_digest():
    """The lock file names Kafka at the pinned version, no file twice, and a SHA-256 for each."""
    jars = locked_jars()
    assert f"kafka_2.13-{KAFKA_VERSION}.jar" in {pinned.file_name for pinned in jars}
    assert {pinned.version for pinned in jars if pinned.group == "org.apache.kafka"} == {KAFKA_VERSION}
    assert len({pinned.file_name for pinned in jars}) == len(jars)
    assert all(len(bytes.fromhex(pinned.sha256)) == 32 for pinned in jars)


def test_a_lock_line_is_a_digest_and_coordinates():
    """Comments and empty lines are passed over."""
    assert parse_lock(f"# why\n\n{ALPHA.sha256}  org.example:alpha:1.0\n") == (ALPHA,)


def test_jars_are_downloaded_once(repository, tmp_path):
    """The second call finds every jar in its place and needs no repository."""
    told = []
    directory = ensure_jars(tmp_path / "cache", told.append, (ALPHA, BETA))
    assert sorted(file.name for file in directory.iterdir()) == ["alpha-1.0.jar", "beta-1.0.jar"]
    assert told
    for served in repository.rglob("*.jar"):
        served.unlink()
    told.clear()
    assert ensure_jars(tmp_path / "cache", told.append, (ALPHA, BETA)) == directory
    assert told == []


def test_only_what_is_missing_or_damaged_is_downloaded(repository, tmp_path):
    """An interrupted or damaged download is completed, and what is right is left alone."""
    directory = ensure_jars(tmp_path / "cache", None, (ALPHA, BETA))
    (directory / "beta-1.0.jar").write_bytes(b"half of bet")
    (repository / "org/example/alpha/1.0/alpha-1.0.jar").unlink()
    assert missing_jars(directory, (ALPHA, BETA)) == [BETA]
    ensure_jars(tmp_path / "cache", None, (ALPHA, BETA))
    assert missing_jars(directory, (ALPHA, BETA)) == []


def test_other_bytes_than_the_pinned_ones_are_refused(repository, tmp_path):
    """A jar that a mirror altered never reaches the directory that the broker runs from."""
    (repository / "org/example/beta/1.0/beta-1.0.jar").write_bytes(b"something else")
    with pytest.raises(InfrastructureError, match=r"beta-1\.0\.jar was downloaded, but its SHA-256 is not the pinned"):
        ensure_jars(tmp_path / "cache", None, (ALPHA, BETA))
    assert missing_jars(tmp_path / "cache" / f"kafka-{KAFKA_VERSION}", (BETA,)) == [BETA]


# jgo leaves the connection of a "not found" to the garbage collector.
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_a_jar_that_the_repository_lacks_is_named(repository, tmp_path):
    """The error names the file, so that a broken mirror can be mended."""
    gamma = jar("gamma", b"never served")
    with pytest.raises(InfrastructureError, match=r"gamma-1\.0\.jar"):
        ensure_jars(tmp_path / "cache", None, (ALPHA, gamma))


def test_without_network_the_error_says_what_to_set_instead(use_repository, tmp_path):
    """Who cannot download is told of the two ways that need no download, and nothing half-done is left."""
    use_repository(free_port())
    with pytest.raises(InfrastructureError, match=r"Set KAFKA_BOOTSTRAP_SERVERS .* or run `docker compose up`"):
        ensure_jars(tmp_path / "cache", None, (ALPHA, BETA))
    assert list((tmp_path / "cache").glob(".download-*")) == []
