"""A real PostgreSQL server of the test run's own: Debian's, in a temporary directory, on a free port."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from uuid import uuid4

import psycopg

from streams.broker.ports import free_port

LIMIT_S = 60.0
_FLEETING = ("fsync=off",)
_LASTING = ("max_wal_size=8GB", "shared_buffers=1GB")
"""What docs/sql.md advises, on a machine of 24 GiB."""

_USER = "postgres"
"""Whose server it is, and as whom it runs where the tests run as root: it refuses to."""


def programs() -> Path | None:
    """Where ``initdb`` and ``postgres`` are; None: they are not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("postgres")
    return None if on_path is None else Path(on_path).parent


class PostgresServer:
    """One server; it may be killed and started again.

    Args:
        is_lasting: it is set as a server in use is, and waits for the disk; a test's need not.

    Attributes:
        port: where it listens, on 127.0.0.1.
    """

    def __init__(self, *, is_lasting: bool = False) -> None:
        self._settings = _LASTING if is_lasting else _FLEETING
        found = programs()
        assert found is not None, "PostgreSQL's server is missing: apt-get install postgresql"
        self._programs = found
        self._user = _USER if os.geteuid() == 0 else None
        self._directory = Path(tempfile.mkdtemp(prefix="consolidator-postgresql-"))
        if self._user is not None:
            account = pwd.getpwnam(self._user)
            os.chown(self._directory, account.pw_uid, account.pw_gid)
        self._data = self._directory / "data"
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._run("initdb", "-D", self._data, "-U", _USER, "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8")

    def _run(self, program: str, *arguments: str | Path) -> None:
        subprocess.run(
            [self._programs / program, *arguments],
            check=True,
            capture_output=True,
            user=self._user,
            cwd=self._directory,
            timeout=LIMIT_S,
        )

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    self._programs / "postgres",
                    *("-D", self._data, "-p", str(self.port), "-h", "127.0.0.1", "-k", ""),
                    *(f"--{one}" for one in (*self._settings, "max_connections=40")),
                ],
                stdout=log,
                stderr=log,
                user=self._user,
                cwd=self._directory,
            )
        deadline = time.monotonic() + LIMIT_S
        while True:
            try:
                psycopg.connect(self.url("postgres"), connect_timeout=2).close()
            except psycopg.OperationalError:
                assert time.monotonic() < deadline, (self._directory / "log").read_text()
                assert self._process.poll() is None, (self._directory / "log").read_text()
                time.sleep(0.05)
            else:
                return

    def kill(self) -> None:
        """As a crash of the server: its sessions end with it, and nothing is shut down."""
        assert self._process is not None
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(LIMIT_S)
        self._process = None

    def crash(self) -> None:
        """SIGKILL of the server's first process; the others notice, and are waited for: they hold its memory."""
        assert self._process is not None
        others = _children_of(self._process.pid)
        self._process.kill()
        self._process.wait(LIMIT_S)
        self._process = None
        deadline = time.monotonic() + LIMIT_S
        while any(map(_is_alive, others)):
            assert time.monotonic() < deadline, "PostgreSQL's sessions outlive their server"
            time.sleep(0.05)

    def close(self) -> None:
        """Stop it and take its files away."""
        if self._process is not None:
            self.kill()
        shutil.rmtree(self._directory)

    def url(self, database: str) -> str:
        """The URL of a database."""
        return f"postgresql://{_USER}@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """Create an empty database; its URL."""
        name = f"d{uuid4().hex[:12]}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type] # a name of our own
        return self.url(name)


def _children_of(parent: int) -> list[int]:
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        state = _state_of(int(directory.name))
        if state is not None and int(state[1]) == parent:
            found.append(int(directory.name))
    return found


def _is_alive(pid: int) -> bool:
    state = _state_of(pid)
    return state is not None and state[0] != "Z"


def _state_of(pid: int) -> list[str] | None:
    """A process's state, its parent and more; None: it has ended."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name before it, in parentheses, may hold anything.
    return status.rpartition(")")[2].split()
