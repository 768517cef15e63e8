"""The log's settings: what a library would print of passwords and values is not printed, whatever the level."""

import subprocess
import sys

import pytest

CANARY = "canary-5d21"

SCRIPT = f"""
import logging
from streams.runtime.logs import configure_logging

def fail(password):
    raise ValueError("told apart")

configure_logging("debug", "{{output}}")
logging.getLogger("aiokafka.conn").debug("Request to %s: %s", "broker", "{CANARY}")
logging.getLogger("aiokafka.client").debug("shown")
try:
    fail("canary-" + "5d21")
except ValueError:
    logging.getLogger("faust").exception("crashed")
"""


@pytest.mark.parametrize("output", ["json", "text"])
def test_neither_requests_nor_local_variables_are_logged(output):
    """At debug level aiokafka's requests, which hold passwords and values, and a traceback's variables stay out."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(output=output)], capture_output=True, text=True, check=True, timeout=60
    )
    assert "shown" in done.stderr
    assert "told apart" in done.stderr
    assert CANARY not in done.stderr
