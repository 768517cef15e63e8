"""A command that runs until it is ended puts a mistyped setting into its log, not beside it."""

import json
import os
import subprocess
import sys
from pathlib import Path

LIMIT_S = 60


def test_a_mistyped_setting_is_a_line_of_the_log(tmp_path: Path) -> None:
    """A sink that ends at once, as its database's URL is none, has said before which variable is no setting."""
    ended = subprocess.run(
        [sys.executable, "-m", "streams.cli", "sink", "run", "--url", "nothing", "--log-format", "json"],
        env=os.environ | {"CONSOLIDATOR_MOOD": "good", "CONSOLIDATOR_STATE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert ended.returncode == 2, ended.stderr
    first, *_ = ended.stderr.splitlines()
    said = json.loads(first)
    assert said["level"] == "warning"
    assert said["error"] == "no settings, and ignored: CONSOLIDATOR_MOOD"
