"""``consolidator demo`` as a user runs it: the command in a process of its own, on the session's broker."""

import json
import os
import re
import shlex
import signal
import subprocess
import threading
from pathlib import Path

import pytest
from confluent_kafka import KafkaError
from confluent_kafka.admin import AdminClient

from tests.real_kafka.admin_calls import answered, asked
from tests.real_kafka.installation import LIMIT_S
from tests.real_kafka.worker_process import CONSOLIDATOR, wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

DEMO_LIMIT_S = 150
EXIT_INTERRUPTED = 130
APPLICATIONS = "30"


@pytest.fixture
def environment(kafka, tmp_path, kafka_cache_dir):
    """What a user has set: the broker, and a state directory of its own that shares the downloaded jars."""
    (tmp_path / "cache").symlink_to(kafka_cache_dir)
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("CONSOLIDATOR_")},
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        "CONSOLIDATOR_STATE_DIR": str(tmp_path),
        # Commands that the demonstration shows are tried as they are shown.
        "PATH": f"{CONSOLIDATOR.parent}{os.pathsep}{os.environ['PATH']}",
    }


@pytest.fixture
def left_over(kafka, tmp_path):
    """What demonstrations have left behind on the broker and on disk."""
    admin = AdminClient({"bootstrap.servers": kafka})

    def topics():
        found = asked(lambda ask_s: admin.list_topics(timeout=ask_s))
        return [name for name in found.topics if name.startswith("demo-")]

    def groups():
        listing = answered(lambda ask_s: admin.list_consumer_groups(request_timeout=ask_s))
        return [group.group_id for group in listing.valid if group.group_id.startswith("demo-")]

    yield lambda: topics() + groups() + [path.name for path in tmp_path.glob("demo-*")]
    # The broker is the whole session's: the next test begins without this one's remains.
    for name in topics():
        gone = {KafkaError.UNKNOWN_TOPIC_OR_PART}
        answered(lambda ask_s, name=name: admin.delete_topics([name], request_timeout=ask_s)[name], done=gone)
    for name in groups():
        gone = {KafkaError.GROUP_ID_NOT_FOUND}
        answered(lambda ask_s, name=name: admin.delete_consumer_groups([name], request_timeout=ask_s)[name], done=gone)


def demo(environment, *arguments):
    return subprocess.run(
        [str(CONSOLIDATOR), "demo", "--applications", APPLICATIONS, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=DEMO_LIMIT_S,
        check=False,
    )


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_scenarios_come_out_and_nothing_is_left(environment, left_over):
    """Exit code 0, the mission's three results from Kafka, and neither topics nor group nor files remain."""
    done = demo(environment, "--format", "json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert [(one["actual"]["outcome"], one["actual"]["factors"], one["ok"]) for one in report["scenarios"]] == [
        ("partial", {"f_revenue_monthly_avg": 11000, "f_months_analyzed": 2}, True),
        ("cleared", {}, True),
        ("partial", {"f_verified_licenses_count": 2, "f_total_licenses_processed": 2}, True),
    ]
    assert report["ok"] is True
    assert (report["pairs"] > 100, report["unequal_pairs"]) == (True, 0)
    assert sorted(letter["error_class"] for letter in report["dead_letters"]) == ["invalid_json", "unknown_status"]
    assert sum(one["active"] for one in report["processors"]) > 200
    assert all(one["change"]["cause"]["topic"].endswith("-executions") for one in report["examples"])
    assert report["examples"]
    assert report["kept"] is None
    wait_until(lambda: not left_over(), "topics, group and files to be gone", limit_s=LIMIT_S, details=str)


def test_what_is_kept_can_be_looked_at_with_the_commands_shown(environment, left_over):
    """With --keep the page ends in commands that work as they stand, and the last one stops the worker."""
    done = demo(environment, "--keep")
    assert done.returncode == 0, done.stderr
    page, _, steps = done.stdout.partition("What to try next\n")
    for words in ("✓", "f_revenue_monthly_avg = 11000", "{} (no factors)", "bank_statement", "because execution"):
        assert words in page
    assert "✗" not in page
    export, *commands = [line.strip() for line in steps.splitlines()]
    kill = commands.pop()
    pid = int(re.match(r"kill (\d+)\b", kill)[1])
    try:
        assert is_alive(pid)
        for command in commands:
            shown = subprocess.run(
                ["sh", "-c", f"{export}\n{command}"],
                env=environment,
                capture_output=True,
                text=True,
                timeout=LIMIT_S,
                check=False,
            )
            # The day has two records that cannot be read, and a replay says so.
            assert shown.returncode == int(" replay " in command), (command, shown.stderr)
            assert shown.stdout.strip(), command
    finally:
        subprocess.run(["sh", "-c", kill], check=True, timeout=LIMIT_S)
    wait_until(lambda: not is_alive(pid), "the worker to stop", limit_s=LIMIT_S)
    app_id = dict(variable.split("=") for variable in shlex.split(export)[1:])["CONSOLIDATOR_APP_ID"]
    assert app_id in left_over()
    cleaned = demo(environment, "--clean", "--format", "json")
    assert cleaned.returncode == 0, cleaned.stderr
    assert json.loads(cleaned.stdout) == {"removed": [app_id]}
    wait_until(lambda: not left_over(), "topics, group and files to be gone", limit_s=LIMIT_S)
    assert demo(environment, "--clean").stdout == "no demonstration was kept\n"


@pytest.mark.parametrize(
    ("number", "moment"),
    [(signal.SIGINT, "Starting a worker"), (signal.SIGINT, "Publishing"), (signal.SIGTERM, "Consolidating")],
)
def test_an_interrupt_cleans_up(environment, left_over, tmp_path, number, moment):
    """Whenever Ctrl-C or SIGTERM comes, the worker is stopped and everything is deleted."""
    process = subprocess.Popen(
        [str(CONSOLIDATOR), "demo"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = threading.Timer(DEMO_LIMIT_S, process.kill)
    deadline.start()
    try:
        for line in process.stderr:
            if line.startswith(moment):
                break
        process.send_signal(number)
        errors = process.communicate()[1]
    finally:
        deadline.cancel()
        process.kill()
    assert process.returncode == EXIT_INTERRUPTED - signal.SIGINT + number, errors
    assert "Traceback" not in errors
    assert workers_below(tmp_path) == []
    wait_until(lambda: not left_over(), "topics, group and files to be gone", limit_s=LIMIT_S)


def workers_below(state_dir):
    """Processes that were told this state directory."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes()
        except OSError:
            continue
        if f"CONSOLIDATOR_STATE_DIR={state_dir}\0".encode() in environment:
            found.append(process.name)
    return found


def test_wrong_usage_starts_nothing(environment, left_over):
    """An impossible size is refused at once: exit code 2."""
    assert demo(environment, "--applications", "0").returncode == 2
    assert left_over() == []
