"""Asks an installation how it is, as an operator does, and reads the answers as a program does."""

import json
import os
import subprocess
from dataclasses import dataclass
from typing import Any

from tests.real_kafka.installation import LIMIT_S, Installation
from tests.real_kafka.worker_process import CONSOLIDATOR

__all__ = ["Answer", "Examined", "asked", "examined", "status_of"]


@dataclass(frozen=True)
class Answer:
    """How a command ended.

    Attributes:
        exit_code: the exit code.
        stdout: what it printed.
        output: that, and then what it said on stderr.
    """

    exit_code: int
    stdout: str
    output: str


@dataclass(frozen=True)
class Examined:
    """What the doctor said.

    Attributes:
        code: the exit code.
        checks: each check by name.
        said: everything that was printed.
    """

    code: int
    checks: dict[str, dict[str, Any]]
    said: str

    def findings(self, check: str, *, severity: str | None = None) -> list[dict[str, str]]:
        """What a check found."""
        found = self.checks[check]["findings"]
        return [one for one in found if severity in {None, one["severity"]}]

    @property
    def ill(self) -> dict[str, list[str]]:
        """What is wrong, by check."""
        wrong = {
            name: [one["what"] for one in check["findings"] if one["severity"] != "note"]
            for name, check in self.checks.items()
        }
        return {name: found for name, found in wrong.items() if found}

    @property
    def not_asked(self) -> list[str]:
        """What could not be asked."""
        return [reason for check in self.checks.values() for reason in check["not_asked"]]


def asked(installation: Installation, *arguments: str, **variables: str) -> Answer:
    """Run a command of an installation, to its end."""
    done = subprocess.run(
        [str(CONSOLIDATOR), *arguments],
        env=os.environ | installation.variables | variables,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    return Answer(done.returncode, done.stdout, done.stdout + done.stderr)


def examined(installation: Installation, *arguments: str, **variables: str) -> Examined:
    """Ask the doctor."""
    result = asked(installation, "doctor", "--format", "json", *arguments, **variables)
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert lines, result.output
    *checks, summary = lines
    assert summary["exit_code"] == result.exit_code
    return Examined(result.exit_code, {check["check"]: check for check in checks}, result.output)


def status_of(installation: Installation, *arguments: str, **variables: str) -> tuple[int, dict[str, Any]]:
    """Ask for the status: exit code and object."""
    result = asked(installation, "status", "--format", "json", *arguments, **variables)
    return result.exit_code, json.loads(result.stdout) if result.stdout else {}
