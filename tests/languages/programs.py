"""The examples in other languages: built outside of the work tree, and run against a broker."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

import pytest

from tests.inputs.repository import ROOT
from tests.real_kafka.worker_process import wait_until

__all__ = [
    "BUILD_LIMIT_S",
    "LANGUAGES",
    "LIMIT_S",
    "Following",
    "Language",
    "Line",
    "Program",
    "in_every_language",
    "in_languages",
    "lines_of",
]

LIMIT_S = 60.0
"""For a program's start and end, on a machine with ten times as much work as cores."""

BUILD_LIMIT_S = 280.0
"""A first build loads some 150 MB of packages."""

REQUIRED = "CONSOLIDATOR_TEST_LANGUAGES"

Line = dict[str, Any]
"""One line of a program's output; decimals are exact."""


@dataclass(frozen=True)
class Program:
    """A built example.

    Attributes:
        follow: the command that prints current factors, without options.
        validate: the command that holds records against a schema; None: this example has none.
    """

    follow: tuple[str, ...]
    validate: tuple[str, ...] | None = None

    def caught_up(self, variables: Mapping[str, str], *options: str) -> list[Line]:
        """What it prints until it has caught up; it has to end with 0, and its libraries have to be silent."""
        done = self.run(variables, "--until-caught-up", *options)
        assert done.returncode == 0, done
        assert [line for line in done.stderr.splitlines() if not line.startswith("waiting: ")] == ["caught up"]
        return lines_of(done.stdout)

    def run(self, variables: Mapping[str, str], *options: str) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        return subprocess.run(
            [*self.follow, *options],
            env=os.environ | dict(variables),
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=LIMIT_S,
            check=False,
        )


@dataclass(frozen=True)
class Language:
    """A language that has an example under ``clients/``.

    Attributes:
        name: of its folder.
        tools: programs that it needs on the PATH.
        build: builds it; given its folder and a directory.
        program: what the directory has then.
    """

    name: str
    tools: tuple[str, ...]
    build: Callable[[Path, Path], None]
    program: Callable[[Path], Program]

    def built(self, directory: Path) -> Program:
        """Build it in a directory that several processes share: the first one builds.

        Skips the test where a tool is missing and nobody requires it.
        """
        missing = [tool for tool in self.tools if shutil.which(tool) is None]
        if missing and os.environ.get(REQUIRED) != "required":
            pytest.skip(f"needs {', '.join(missing)} on the PATH: docs/other-languages.md")
        assert not missing, f"{REQUIRED} is set, and there is no {', '.join(missing)}"
        directory.mkdir(exist_ok=True)
        done = directory / "built"
        with (directory / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                self.build(ROOT / "clients" / self.name, directory)
                done.touch()
        return self.program(directory)


def _run(command: Sequence[str], directory: Path, **variables: str) -> None:
    done = subprocess.run(
        command,
        cwd=directory,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=BUILD_LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, f"{command}:\n{done.stdout}{done.stderr}"


def _build_java(source: Path, directory: Path) -> None:
    _run(["mvn", "-q", "-B", "-f", str(source / "pom.xml"), f"-Dbuild.target={directory}", "package"], source)


def _java(directory: Path) -> Program:
    # A short run is over before the second compiler has paid.
    java = ("java", "-XX:TieredStopAtLevel=1", "-cp", f"{directory}/client.jar:{directory}/lib/*")
    return Program((*java, "consolidator.Follow"), (*java, "consolidator.Validate"))


def _build_go(source: Path, directory: Path) -> None:
    # Pure Go, with the toolchain that is here, and with exactly the packages that go.sum names.
    variables = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local"}
    _run(["go", "build", "-mod=readonly", "-o", f"{directory}/", "./cmd/..."], source, **variables)


def _go(directory: Path) -> Program:
    return Program((str(directory / "follow"),), (str(directory / "validate"),))


def _build_node(source: Path, directory: Path) -> None:
    shutil.copytree(source, directory, dirs_exist_ok=True, ignore=shutil.ignore_patterns("node_modules"))
    _run(["npm", "ci", "--no-audit", "--no-fund"], directory)


def _node(directory: Path) -> Program:
    return Program(("node", str(directory / "src" / "follow.js")))


LANGUAGES = (
    Language("java", ("java", "javac", "mvn"), _build_java, _java),
    Language("go", ("go",), _build_go, _go),
    Language("node", ("node", "npm"), _build_node, _node),
)


def in_languages(*names: str) -> pytest.MarkDecorator:
    """For tests that take ``language``, the key of the fixture ``program``."""
    return pytest.mark.parametrize("language", names)


in_every_language = in_languages(*(one.name for one in LANGUAGES))


def lines_of(text: str) -> list[Line]:
    """The complete lines as values: integers and decimals are exact, as their texts are."""
    # JSON may have other separators of lines inside a string.
    return [json.loads(line, parse_float=Decimal) for line in text.split("\n")[:-1]]


class Following(AbstractContextManager["Following"]):
    """An example that runs: it can be watched, and ended with a signal. As a context manager it is killed at the end.

    Args:
        program: the example.
        variables: its environment.
        directory: for its output; one that has no other example's.
        options: of the command.
    """

    def __init__(self, program: Program, variables: Mapping[str, str], directory: Path, *options: str) -> None:
        directory.mkdir(parents=True)
        self._out, self._err = directory / "stdout", directory / "stderr"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._process = subprocess.Popen(
                [*program.follow, *options], env=os.environ | dict(variables), stdout=out, stderr=err
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(LIMIT_S)

    @property
    def messages(self) -> str:
        """What it wrote to standard error."""
        return self._err.read_text(encoding="utf-8")

    @property
    def lines(self) -> list[Line]:
        """The complete lines of its output so far."""
        return lines_of(self._out.read_text(encoding="utf-8"))

    def wait_message(self, words: str) -> None:
        """Wait until it has written words to standard error; it must not have ended before."""
        self._wait(lambda: words in self.messages, f"{words!r} among its messages")

    def wait_lines(self, count: int) -> list[Line]:
        """Wait until there are so many lines of output."""
        self._wait(lambda: len(self.lines) >= count, f"{count} lines")
        return self.lines

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        def met() -> bool:
            met = condition()
            assert met or self._process.poll() is None, f"it ended, and {what} did not come: {self.messages}"
            return met

        wait_until(met, what, limit_s=LIMIT_S, details=lambda: f"{self.messages}{self.lines}")

    def wait_end(self) -> int:
        """Wait until it has ended, and return its exit code."""
        return self._process.wait(LIMIT_S)

    def stop(self) -> None:
        """SIGTERM, and it has to end with 0."""
        self._process.send_signal(signal.SIGTERM)
        assert self.wait_end() == 0, self.messages
