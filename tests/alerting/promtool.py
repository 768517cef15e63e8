"""Runs ``promtool``, which is in Debian's package ``prometheus``."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

__all__ = ["REQUIRED", "run"]

REQUIRED: Final = "CONSOLIDATOR_TEST_PROMTOOL"
"""With the value ``required``, as CI sets it, tests fail where promtool is missing; otherwise they are skipped."""

_LIMIT_S: Final = 280.0
"""Below the limit of a test."""


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run ``promtool`` and return how it ended; without it, skip the test or fail it.

    Args:
        arguments: the program's.
    """
    program = shutil.which("promtool")
    if program is None:
        reason = "needs promtool: apt-get install prometheus"
        if os.environ.get(REQUIRED) == "required":
            pytest.fail(reason)
        pytest.skip(reason)
    command = [program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
