"""How a command ends: one exit code, at most one error line, never a traceback."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

LIMIT_S = 60
PROGRAM = (sys.executable, "-m", "streams.cli")

COMMAND = """
import click, os, signal, sys, threading, time, weakref
from pathlib import Path
from streams.cli.ends import run_program

class Thing: pass

@click.group()
def cli(): pass

@cli.command()
@click.option("--format")
def work(format):
    BODY

@cli.command()
def tail():
    BODY

run_program(cli, sys.argv[1:])
"""


@pytest.fixture
def environment(tmp_path):
    """Nothing of the user's, and a state directory of the test's own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CONSOLIDATOR_", "KAFKA_"))}
    return kept | {"CONSOLIDATOR_STATE_DIR": str(tmp_path / "state"), "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}


def ended(environment, *command, **options):
    """Run a program to its end."""
    options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE} | options
    return subprocess.run(
        command, env=environment, stderr=subprocess.PIPE, timeout=LIMIT_S, check=False, cwd=Path.cwd(), **options
    )


def body(environment, code, *arguments, **options):
    """Run a command of such a body through the one place where commands end."""
    return ended(environment, sys.executable, "-c", COMMAND.replace("BODY", code), *(arguments or ("work",)), **options)


def reports(environment):
    """The tracebacks that were written down."""
    return sorted(Path(environment["CONSOLIDATOR_STATE_DIR"], "errors").glob("*"))


@pytest.mark.parametrize("error", ["ValueError('sec' 'ret')", "RecursionError('sec' 'ret')", "KeyError('sec' 'ret')"])
def test_what_nobody_expected_is_one_line_and_a_file(environment, error):
    """Exit code 70, a file that only its owner can read, and no value in either."""
    # In two parts: a report has the lines of the code, since Python 3.13 of that on the command line as well.
    process = body(environment, f"raise {error} from RuntimeError('sec' 'ret')")
    assert process.returncode == 70
    (line,) = process.stderr.decode().splitlines()
    (report,) = reports(environment)
    assert line.startswith("error: ")
    assert str(report) in line
    assert stat.S_IMODE(report.stat().st_mode) == 0o600
    assert stat.S_IMODE(report.parent.stat().st_mode) == 0o700
    text = report.read_text()
    assert "builtins.RuntimeError" in text
    assert "in work" in text
    assert "secret" not in text + line


def test_a_state_directory_that_cannot_be_written_changes_nothing(environment, tmp_path):
    """The error is still one line, with exit code 70."""
    tmp_path.joinpath("state").write_text("a file")
    process = body(environment, "raise ValueError")
    assert (process.returncode, len(process.stderr.splitlines())) == (70, 1)


def test_without_a_home_directory(environment):
    """Neither the state directory nor the report can be placed: one line says so each."""
    nobody = {name: value for name, value in environment.items() if name not in {"HOME", "CONSOLIDATOR_STATE_DIR"}}
    homeless = "import os.path; os.path.expanduser = lambda path: path; "
    program = "import sys; from streams.cli.__main__ import main; sys.argv = ['consolidator', 'topics', 'list']; main()"
    process = ended(nobody, sys.executable, "-c", homeless + program)
    assert process.returncode == 2
    assert b"this user has none" in process.stderr
    process = ended(nobody, sys.executable, "-c", homeless + COMMAND.replace("BODY", "raise ValueError"), "work")
    assert (process.returncode, len(process.stderr.splitlines())) == (70, 1)


def test_old_reports_are_forgotten(environment):
    """A command that fails every minute does not fill the disk."""
    directory = Path(environment["CONSOLIDATOR_STATE_DIR"], "errors")
    directory.mkdir(parents=True)
    for number in range(60):
        directory.joinpath(f"2020{number:02}.txt").touch()
    body(environment, "raise ValueError")
    assert len(reports(environment)) == 50


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("open('/there/is/none')", "No such file or directory: /there/is/none"),
        ("raise OSError(28, 'No space left on device', '/tmp/x')", "No space left on device: /tmp/x"),
        ("raise MemoryError", "there is not enough memory"),
        (
            "import confluent_kafka as k; raise k.KafkaException(k.KafkaError(k.KafkaError._TIMED_OUT))",
            "Kafka failed: ",
        ),
    ],
)
def test_what_the_machine_or_kafka_refuses_is_one_line(environment, code, said):
    """Exit code 3, in words, and nothing is written down."""
    process = body(environment, code)
    assert process.returncode == 3
    (line,) = process.stderr.decode().splitlines()
    assert line.startswith(f"error: {said}")
    assert reports(environment) == []


def test_errors_are_json_where_json_is_wanted(environment):
    """One object with the words and the exit code."""
    process = body(environment, "raise MemoryError", "work", "--format", "json")
    assert json.loads(process.stderr) == {"error": "there is not enough memory", "exit_code": 3}
    process = body(environment, "pass", "work", "--format=json", "--fromat", "x")
    assert json.loads(process.stderr)["exit_code"] == 2
    assert "Did you mean --format?" in json.loads(process.stderr)["error"]


def test_threads_and_finalizers_write_no_traceback(environment):
    """What fails beside the command is written down, and the command goes on."""
    code = "threading.Thread(target=lambda: 1 / 0).start(); print('done')"
    process = body(environment, code)
    assert (process.returncode, process.stdout, process.stderr) == (0, b"done\n", b"")
    assert len(reports(environment)) == 1


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("command", ["work", "tail"])
def test_a_signal_ends_a_command(environment, number, code, command):
    """Quietly, with 128 and its number; with 0 where that is how the command ends; and what is open is closed."""
    lines = "try:\n        os.kill(os.getpid(), NUMBER); time.sleep(60)\n    finally:\n        click.echo('closed')"
    process = body(environment, lines.replace("NUMBER", str(int(number))), command)
    assert process.returncode == (0 if command == "tail" else code)
    assert (process.stdout, process.stderr) == (b"closed\n", b"")


@pytest.mark.parametrize(
    "lost",
    [
        "os.kill(os.getpid(), signal.SIGINT)\n    except KeyboardInterrupt: raise SystemError('made of it by C code')",
        "os.kill(os.getpid(), signal.SIGINT)\n    except KeyboardInterrupt: pass",
        "eval('os.kill(os.getpid(), signal.SIGINT)')\n    except KeyboardInterrupt: pass",
        "t = Thing(); r = weakref.ref(t, lambda _: signal.raise_signal(2)); del t; time.sleep(60)\n    finally: r",
    ],
)
def test_a_signal_that_is_lost_on_the_way_still_ends_the_command(environment, lost):
    """C code may make another exception of it, or none, and Python loses it in callbacks."""
    process = body(environment, f"try: {lost}")
    assert (process.returncode, process.stderr) == (130, b"")


def test_a_second_signal_ends_what_takes_too_long_to_tidy_up(environment):
    """The first one is waited for, the second one is not."""
    code = (
        "try:\n        print('up', flush=True)\n        while True: time.sleep(0.05)\n"
        "    finally:\n        print('tidying', flush=True)\n        while True: time.sleep(0.05)"
    )
    command = [sys.executable, "-c", COMMAND.replace("BODY", code), "work"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout.readline() == b"up\n"
            process.send_signal(signal.SIGINT)
            assert process.stdout.readline() == b"tidying\n"
            while process.poll() is None:
                process.send_signal(signal.SIGINT)
                time.sleep(0.2)
            assert process.returncode == 130
        finally:
            process.kill()


def caught_signals(pid):
    """Which signals a process handles, as bits."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:")), 16)


@pytest.mark.parametrize("delay_s", [0, 0.02, 0.05, 0.1, 0.2])
@pytest.mark.parametrize("command", [["version"], ["tail", "executions"], ["run"]])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_the_imports(environment, delay_s, command, number):
    """From the program's first line on a signal ends it quietly."""
    process = subprocess.Popen(
        [*PROGRAM, *command], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=Path.cwd()
    )
    try:
        while not caught_signals(process.pid) & (1 << signal.SIGTERM - 1):
            time.sleep(0.001)
        time.sleep(delay_s)
        process.send_signal(number)
        _, errors = process.communicate(timeout=LIMIT_S)
    finally:
        process.kill()
    # A quick command may be done before, or be refused: nobody listens.
    assert process.returncode in ({0, 128 + number} if command == ["version"] else {0, 3}), errors
    assert b"Traceback" not in errors
    assert errors.count(b"error: ") <= 1


def test_a_closed_stdout_ends_by_sigpipe(environment):
    """Quietly, as every program whose reader has gone."""
    reader, writer = os.pipe()
    os.close(reader)
    process = ended(environment, *PROGRAM, "catalogue", "schema", stdout=writer)
    os.close(writer)
    assert (process.returncode, process.stderr) == (-signal.SIGPIPE, b"")


def test_a_full_stdout_is_one_line(environment):
    """Exit code 3, and why."""
    with Path("/dev/full").open("wb") as full:
        process = ended(environment, *PROGRAM, "version", stdout=full)
    assert process.returncode == 3
    assert process.stderr == b"error: stdout cannot be written: No space left on device\n"


def test_a_stdout_that_is_not_open_is_one_line(environment):
    """Exit code 3, and nothing is written into a file that happens to get its number."""
    process = ended(environment, "sh", "-c", 'exec "$@" >&-', "sh", *PROGRAM, "version", stdout=None)
    assert process.returncode == 3
    assert process.stderr == b"error: stdout cannot be written: Bad file descriptor\n"


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full"])
def test_a_stderr_that_cannot_be_written_changes_nothing(environment, redirection):
    """Neither the output nor the exit code."""
    process = ended(environment, "sh", "-c", f'exec "$@" {redirection}', "sh", *PROGRAM, "catalogue", "show")
    assert process.returncode == 0
    assert b"bank_statement" in process.stdout
    process = ended(environment, "sh", "-c", f'exec "$@" {redirection}', "sh", *PROGRAM, "tial")
    assert process.returncode == 2


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_stdout_is_utf_8_whatever_the_locale(environment, encoding):
    """As JSON output is."""
    process = ended(environment | {"PYTHONIOENCODING": encoding}, *PROGRAM, "catalogue", "show")
    assert process.returncode == 0, process.stderr
    assert "≥" in process.stdout.decode()


@pytest.mark.parametrize(
    "arguments", [["factors", b"ab\xff"], [b"\xfe"], ["publish", b"\xc3"], ["catalogue", "check", b"a\x80.toml"]]
)
def test_an_argument_that_is_no_utf_8_is_refused(environment, arguments):
    """Exit code 2, and which one it is."""
    process = ended(environment, *PROGRAM, *arguments)
    assert process.returncode == 2
    (line,) = process.stderr.decode().splitlines()
    assert line.startswith(f"error: argument {len(arguments)} is no UTF-8: b'")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["tial"], "No such command 'tial'. Did you mean tail? (consolidator --help)"),
        (["topics", "chekc"], "No such command 'chekc'. Did you mean check? (consolidator topics --help)"),
        (["dlq", "lits"], "No such command 'lits'. Did you mean list? (consolidator dlq --help)"),
        (["factors", "a", "--wyh"], "No such option: --wyh. Did you mean --why? (consolidator factors --help)"),
        (["factors"], "Missing argument 'APPLICATION'. (consolidator factors --help)"),
        (["\x1b[31m"], "No such command '\\x1b[31m'. (consolidator --help)"),
    ],
)
def test_wrong_usage_is_one_line(environment, arguments, said):
    """With what was probably meant, and where the help is."""
    process = ended(environment, *PROGRAM, *arguments)
    assert process.returncode == 2
    assert process.stderr.decode() == f"error: {said}\n"


def test_the_version(environment):
    """Asked for as of every program."""
    process = ended(environment, *PROGRAM, "--version")
    assert process.returncode == 0
    assert process.stdout.startswith(b"consolidator 0.")


def test_shells_complete_commands(environment):
    """As docs/commands.md tells."""
    asked = {"_CONSOLIDATOR_COMPLETE": "bash_complete", "COMP_WORDS": "consolidator to", "COMP_CWORD": "1"}
    assert ended(environment | asked, *PROGRAM).stdout == b"plain,topics\n"
