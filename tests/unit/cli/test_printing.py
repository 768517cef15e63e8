"""What is printed cannot steer a terminal, and is readable in a narrow one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.inputs.terminal import in_terminal

STEERING = "\x1b[31m\x9b2J\u202e\u2028\r\n\udc80"
ESCAPED = "\\u001b[31m\\u009b2J\\u202e\\u2028\\u000d\\u000a\\udc80"
PRINTERS = "from streams.cli.output.console import *; from streams.cli.output.console import cell; import sys\n"
LIMIT_S = 60


def printed(code, *, columns=None, stream="stdout"):
    """What Python code prints: into a pipe, or into a terminal of so many columns."""
    command = [sys.executable, "-c", code]
    if columns is None:
        process = subprocess.run(command, capture_output=True, timeout=LIMIT_S, check=True, cwd=Path.cwd())
        return getattr(process, stream).decode()
    return in_terminal(command, columns, os.environ)[1]


@pytest.mark.parametrize(
    ("call", "stream"),
    [
        ("say({0!r})", "stdout"),
        ("say_heading({0!r})", "stdout"),
        ("write_lines([{0!r}])", "stdout"),
        ("note({0!r})", "stderr"),
        ("warn({0!r})", "stderr"),
    ],
)
def test_a_line_stays_a_line(call, stream):
    """Escape sequences, C1 controls, and what turns the reading direction or ends a line are escaped."""
    line = printed(PRINTERS + call.format(STEERING), stream=stream)
    assert line.removeprefix("warning: ") == f"{ESCAPED}\n"


def test_json_means_the_same():
    """Its strings are escaped as JSON escapes them."""
    value = STEERING.replace("\udc80", "")
    line = printed(f"{PRINTERS}print_json({{{value!r}: {value!r}}})")
    assert line == line.encode("ascii").decode()
    assert "\x1b" not in line
    assert json.loads(line) == {value: value}


def test_an_error_quotes_foreign_text():
    """In words and as JSON; its own lines stay lines."""
    text = "\x1b[31m\x9b\u202e"
    assert printed(f"{PRINTERS}complain({text!r} + '\\n  2nd')", stream="stderr") == (
        "error: \\u001b[31m\\u009b\\u202e\n  2nd\n"
    )
    line = printed(f"{PRINTERS}complain({text!r}, as_json=True, code=2)", stream="stderr")
    assert json.loads(line) == {"error": text, "exit_code": 2}
    assert line.isascii()


def test_a_table_has_no_markup_and_no_escapes():
    """Names of a catalogue are foreign, too."""
    table = "from rich.table import Table; t = Table('a'); t.add_row(cell('[bold]\\x1b[31m')); print_table(t)"
    assert "[bold]\\u001b[31m" in printed(PRINTERS + table)
    assert "[bold]\\u001b[31m" in printed(PRINTERS + table, columns=10)


TABLE = (
    "from rich.table import Table\nt = Table('application', 'factors')\n"
    "t.add_row(cell('a-name-that-must-stay-whole'), cell('f_one = 1\\nf_two = 2'))\n"
    "t.add_row(cell(''), cell('(no factors)'))\nprint_table(t)"
)


@pytest.mark.parametrize("columns", [40, 45])
def test_a_table_that_does_not_fit_is_a_list(columns):
    """No identifier is broken."""
    assert printed(PRINTERS + TABLE, columns=columns) == (
        "application a-name-that-must-stay-whole\n  factors\n    f_one = 1\n    f_two = 2\nfactors (no factors)\n"
    )


@pytest.mark.parametrize("columns", [None, 80])
def test_a_table_that_fits_is_a_table(columns):
    """A pipe has no width."""
    assert "│ a-name-that-must-stay-whole │ f_one = 1    │" in printed(PRINTERS + TABLE, columns=columns)


@pytest.mark.parametrize("call", ["say(LINE)", "write_lines([LINE])"])
def test_a_long_line_goes_on_further_in(call):
    """Between words: what is copied stays whole. A pipe gets the line as it is."""
    line = "  execution app-0035-cc-1-again failed at attempt 1 with PROVIDER_TIMEOUT"
    code = PRINTERS + call.replace("LINE", repr(line))
    assert printed(code) == f"{line}\n"
    assert printed(code, columns=40) == (
        "  execution app-0035-cc-1-again failed\n      at attempt 1 with PROVIDER_TIMEOUT\n"
    )


def test_json_is_never_broken():
    """Not in the narrowest terminal."""
    line = json.dumps({"a": "b " * 50})
    assert printed(f"{PRINTERS}say({line!r})", columns=40) == f"{line}\n"


def test_several_problems_are_a_list():
    """Programs need not take lines apart."""
    line = printed(
        f"{PRINTERS}complain('c.toml: 2 problems:\\n  a: x\\n  b: y', as_json=True, code=2)", stream="stderr"
    )
    assert json.loads(line) == {"error": "c.toml: 2 problems", "problems": ["a: x", "b: y"], "exit_code": 2}


def test_what_is_to_be_done_is_another_list():
    """Of a message that tells both, as that about topics which are not as declared does."""
    message = "the topics are not as declared:\\n  a: missing\\nto do:\\n  consolidator topics apply"
    line = printed(f"{PRINTERS}complain('{message}', as_json=True, code=2)", stream="stderr")
    assert json.loads(line) == {
        "error": "the topics are not as declared",
        "problems": ["a: missing"],
        "to_do": ["consolidator topics apply"],
        "exit_code": 2,
    }
