"""An installation whose command line and workers have to authenticate; the tests use the plain listener."""

import os
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.real_kafka.installation import Installation
from tests.real_kafka.secured_broker import KEY_PASSWORD, PASSWORD, SecuredBroker
from tests.real_kafka.worker_process import CONSOLIDATOR
from topics.contract.permissions import Permission, Role, permissions

__all__ = ["COMMAND_LIMIT_S", "Done", "SecuredInstallation"]

COMMAND_LIMIT_S = 60.0
SECRETS = (PASSWORD, KEY_PASSWORD, "PRIVATE KEY")


@dataclass(frozen=True)
class Done:
    """The output, the exit code and the duration of a command."""

    code: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def said(self) -> str:
        """Everything that the command wrote."""
        return self.stdout + self.stderr


class SecuredInstallation(Installation):
    """An installation on the secured broker.

    Args:
        broker: the broker.
        directory: for state directories and logs.
        connection: the settings of the connection, as the broker's ``scram`` and ``certificate`` make them.
    """

    def __init__(self, broker: SecuredBroker, directory: Path, connection: Mapping[str, str]) -> None:
        super().__init__(broker.open_servers, directory, **connection)
        self.broker = broker

    def needed(self, role: Role) -> list[Permission]:
        """The documented list of a role for this installation."""
        return permissions(role, self.topics, self.name)

    def permit(self, *roles: Role) -> None:
        """Permit the documented lists of these roles, and nothing else."""
        self.broker.permit(one for role in roles for one in self.needed(role))

    def command(self, *arguments: str, stdin: bytes = b"", **variables: str) -> Done:
        """Run ``consolidator`` to its end; its output must not have a secret."""
        started = time.monotonic()
        done = subprocess.run(
            [str(CONSOLIDATOR), *arguments],
            env=os.environ | self.variables | variables,
            input=stdin,
            capture_output=True,
            timeout=COMMAND_LIMIT_S,
            check=False,
        )
        found = Done(done.returncode, done.stdout.decode(), done.stderr.decode(), time.monotonic() - started)
        require_no_secret(found.said)
        return found


def require_no_secret(text: str) -> None:
    """Fail if a password or a key is in a text."""
    assert not [secret for secret in SECRETS if secret in text]
