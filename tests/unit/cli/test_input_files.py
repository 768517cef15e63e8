"""Whatever a shell hands over is read: files, pipes, named pipes, stdin; and what cannot be is named."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from streams.cli.commands.publish import Check

LIMIT_S = 60
EVENT = {
    "application_id": "a",
    "execution_id": "e",
    "processor": "credit_check",
    "status": "failed",
    "occurred_at": "2025-03-03T09:00:00Z",
}
PROGRAM = f"{sys.executable} -m streams.cli"
COMMANDS = ["replay --format json --input", "compare --format json --strategy legacy --input"]


@pytest.fixture
def shell(tmp_path):
    """Run a line of bash; the file with an event is ``$E``, and the program ``$P``."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CONSOLIDATOR_", "KAFKA_"))}
    events = tmp_path / "events.jsonl"
    events.write_text(json.dumps(EVENT) + "\n")
    own = {"CONSOLIDATOR_STATE_DIR": str(tmp_path), "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "P": PROGRAM}
    environment = kept | own | {"E": str(events), "D": str(tmp_path)}

    def run(line, **more):
        return subprocess.run(
            ["bash", "-c", line],
            env=environment | more,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
            cwd=Path.cwd(),
        )

    return run


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    "source",
    [
        '"$E"',
        '- < "$E"',
        'cat "$E" | $P COMMAND -',
        '<(cat "$E")',
        '/dev/stdin < "$E"',
        'cat "$E" | $P COMMAND /dev/stdin',
        'mkfifo "$D/f"; cat "$E" > "$D/f" & $P COMMAND "$D/f"',
    ],
)
def test_every_kind_of_input(shell, command, source):
    """Also by commands that read it several times."""
    line = source.replace("COMMAND", command) if "$P" in source else f"$P {command} {source}"
    process = shell(line)
    assert (process.returncode, process.stderr) in {(0, ""), (1, "")}
    told = [json.loads(one) for one in process.stdout.splitlines()]
    assert told[0].get("application_id", "a") == "a"
    assert told[-1].get("pairs", 1) == 1


@pytest.mark.parametrize("source", ['<(cat "$E")', '- < "$E"', '"$E"'])
def test_publish_reads_it_twice(shell, source):
    """All of the input is good, so that the broker is what is missing."""
    process = shell(f"$P publish {source}")
    assert process.returncode == 3
    assert process.stderr.startswith("error: no Kafka broker (KAFKA_BOOTSTRAP_SERVERS): 127.0.0.1:1 refuses")


@pytest.mark.parametrize("command", [*COMMANDS, "publish"])
@pytest.mark.parametrize(
    ("source", "code", "said"),
    [
        ("- <&-", 2, "stdin cannot be read: Bad file descriptor"),
        ("- 0>/dev/null", 2, "stdin cannot be read: Bad file descriptor"),
        ('"$D"', 2, "cannot read {D}: Is a directory"),
        ('"$D/none"', 2, "cannot read {D}/none: No such file or directory"),
        ("/proc/self/mem", 3, "/proc/self/mem cannot be read: Input/output error"),
    ],
)
def test_what_cannot_be_read(shell, command, source, code, said, tmp_path):
    """One line that says what and why."""
    process = shell(f"$P {command.replace('--format json', '')} {source}")
    assert process.returncode == code
    assert process.stderr.startswith(f"error: {said.format(D=tmp_path)}")
    assert len(process.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", ["compare --strategy legacy --input", "publish"])
def test_a_temporary_directory_without_room(shell, command):
    """Exit code 3, and which setting helps. A file's largest size stands for a full disk."""
    process = shell(f"ulimit -f 1; head -c 10000000 /dev/zero | $P {command} -")
    assert process.returncode == 3
    assert process.stderr.startswith("error: the input cannot be copied into the temporary directory: ")
    assert "TMPDIR" in process.stderr
    assert len(process.stderr.splitlines()) == 1


def test_bad_lines_are_json_where_json_is_wanted(shell):
    """Each of them, and the error."""
    line = json.dumps(EVENT | {"status": "done"})
    process = shell(f"echo '{line}' | $P publish - --format json")
    assert process.returncode == 2
    first, last = map(json.loads, process.stderr.splitlines())
    assert first["line"] == 1
    assert first["error_class"] == "unknown_status"
    assert first["message"].endswith('it is "done"')
    assert last == {"error": "1 of 1 events are bad, nothing was published", "exit_code": 2}


def test_an_event_whose_record_is_too_large_is_refused_before_anything_is_sent():
    """Ids stand in a record several times: in its value, its key and its headers."""
    line = json.dumps(EVENT).encode()
    [bad] = Check(max_event_bytes=len(line), max_record_bytes=len(line) + 10)([line])
    assert str(bad).startswith("line 1: too_large: with its key and headers it takes ")
    [good] = Check(max_event_bytes=len(line), max_record_bytes=10_000)([line])
    assert good.raw == line
