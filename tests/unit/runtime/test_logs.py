"""The log's settings: no passwords and values at any level, nothing that could steer a terminal in either form."""

import json
import os
import subprocess
import sys
import unicodedata

import pytest

from tests.inputs.terminal import in_terminal

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


STEERING = "\x1b[31m\x9b2J\u202e\u2066\u200b\u2028\x7f\r\n2026-01-01T00:00:00Z [info] forged"
ESCAPED = "\\u001b[31m\\u009b2J\\u202e\\u2066\\u200b\\u2028\\u007f\\u000d\\u000a2026-01-01T00:00:00Z [info] forged"

SAYING = f"""
import logging, warnings
import structlog
from models.errors import BadEventError, Defect
from models.events import LifecycleEvent, Position, Status
from streams.runtime.logs import EventLog, configure_logging
from streams.worker.logging_observer import LoggingObserver

foreign = {STEERING!a}
configure_logging("info", "{{output}}")
structlog.get_logger().info(foreign, application_id=foreign, partitions=[foreign], **{{{{foreign: foreign}}}})
structlog.get_logger().info("after a fault", reason=ValueError(foreign))
logging.getLogger("aiokafka").warning("a topic: %s", foreign)
logging.getLogger("librdkafka").error(foreign)
warnings.warn(foreign)
log = EventLog("info", "{{output}}")
observer = LoggingObserver(log)
at = Position("executions", 0, 1)
observer.rejected(at, BadEventError(Defect.INVALID_FIELD, foreign))
log.say("info", "execution failed", application_id=foreign, processor=foreign, execution_id=foreign, code=foreign)
log.say("warning", "quality issue", issues=[foreign])
log.flush()
"""
QUOTED = 15


def steering(text):
    """The characters that could steer a terminal, but for the ends of lines."""
    return [one for one in text if one != "\n" and unicodedata.category(one) in {"Cc", "Cf", "Cs", "Zl", "Zp"}]


def said(output):
    done = subprocess.run(
        [sys.executable, "-c", SAYING.format(output=output)], capture_output=True, check=True, timeout=60
    )
    return done.stderr.decode()


def test_nothing_in_a_text_line_steers_a_terminal():
    """Whoever says it, us or a library: escapes, C1 controls, bidi and forged lines are written as JSON writes them."""
    text = said("text")
    assert steering(text) == []
    assert "\n2026-01-01T00:00:00Z [info] forged" not in text
    # What has blanks in it structlog quotes, as Python would: there is another backslash then.
    assert text.count("u001b[31m") + text.count("x1b[31m") == QUOTED


def test_nothing_in_a_json_line_steers_a_terminal():
    """JSON leaves C1 controls and bidi as they are; read again, the line means the same."""
    text = said("json")
    assert steering(text) == []
    entries = [json.loads(line) for line in text.splitlines()]
    assert entries[0]["event"] == entries[0]["application_id"] == entries[0]["partitions"][0] == STEERING
    assert entries[-2]["code"] == entries[-2]["processor"] == STEERING


def test_on_a_terminal_the_text_is_the_same():
    """The default there; with NO_COLOR nothing is coloured."""
    code, text = in_terminal([sys.executable, "-c", SAYING.format(output="auto")], 200, os.environ)
    assert code == 0
    assert steering(text) == []
    assert text.count("u001b[31m") + text.count("x1b[31m") == QUOTED


ERRORS = """
import structlog
from streams.runtime.logs import configure_logging

configure_logging("info", "text")
structlog.get_logger().critical("worker halted", error="what is missing:\\n  Read on topic t\\n\x1b[2J")
try:
    raise ValueError("told\\n\x1b[2J")
except ValueError as error:
    structlog.get_logger().critical("worker crashed", exc_info=error)
"""


def test_an_error_of_several_lines_goes_on_further_in():
    """It can be read, and none of its lines looks like one of the log."""
    done = subprocess.run([sys.executable, "-c", ERRORS], capture_output=True, text=True, check=True, timeout=60)
    assert steering(done.stderr) == []
    halted, crashed, *further = done.stderr.splitlines()
    assert "worker halted" in halted
    assert "Read on topic t" in halted
    assert "worker crashed" in crashed
    assert further
    assert all(line.startswith((" ", "Traceback")) for line in further), done.stderr
    assert 'File "<string>"' in done.stderr


def test_a_path_that_is_no_utf_8_can_be_logged():
    """Python has it as half of a surrogate pair, which no encoder takes."""
    code = (
        "import structlog; from streams.runtime.logs import configure_logging; configure_logging('info', 'json');"
        "structlog.get_logger().info('opened', path='/a-\\udc80')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(done.stderr)["path"] == "/a-\udc80"


PRINTED = """
import sys
import structlog
from streams.runtime.logs import configure_logging
from streams.runtime.standard_error import queue_standard_error

queue_standard_error()
configure_logging("info", "{output}")
structlog.get_logger().info("ours")
print("a library's text", file=sys.stderr)
sys.stderr.write("two\\nlines\\n")
"""


def printed(output):
    code = PRINTED.format(output=output)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=290)
    return done.stderr.splitlines()


def test_what_is_printed_to_stderr_is_json_where_the_log_is():
    """Whoever reads the log reads objects only; each line has the text as its event."""
    entries = [json.loads(line) for line in printed("json")]
    assert [entry["event"] for entry in entries] == ["ours", "a library's text", "two", "lines"]
    assert [entry.get("logger") for entry in entries] == [None, *["stderr"] * 3]


def test_what_is_printed_to_stderr_stays_as_it_is_where_the_log_is_text():
    """For a person."""
    assert printed("text")[1:] == ["a library's text", "two", "lines"]
