"""The embedded broker, for real: started, found again, stopped, killed."""

import json
import os
import signal
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from confluent_kafka import Consumer, KafkaError, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from models.errors import ContractError, InfrastructureError
from streams.broker.embedded import broker_status, start_broker, stop_broker
from streams.broker.jars import KAFKA_VERSION
from streams.broker.process import ended_within
from streams.configuration.broker_choice import bootstrap_servers
from streams.configuration.settings import load_settings
from tests.real_kafka.admin_calls import answered, asked

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

LIMIT_S = 60.0


@pytest.fixture
def place(tmp_path, kafka_cache_dir):
    """The directories of a broker of the test's own, which is stopped after the test."""
    place = SimpleNamespace(data_dir=tmp_path / "kafka", cache_dir=kafka_cache_dir)
    yield place
    stop_broker(place.data_dir)


def start(place, **options):
    return start_broker(place.data_dir, place.cache_dir, **options)


def publish(servers, value):
    client = AdminClient({"bootstrap.servers": servers})  # kept until the answer is there
    there = {KafkaError.TOPIC_ALREADY_EXISTS}
    answered(lambda ask_s: client.create_topics([NewTopic("t", 1)], request_timeout=ask_s)["t"], done=there)
    producer = Producer({"bootstrap.servers": servers})
    producer.produce("t", value)
    assert producer.flush(LIMIT_S) == 0


def first_message(servers):
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "g", "auto.offset.reset": "earliest"})
    try:
        consumer.subscribe(["t"])
        message = consumer.poll(LIMIT_S)
        assert message is not None
        assert message.error() is None
        return message.value()
    finally:
        consumer.close()


def test_nobody_else_reads_the_brokers_data(place):
    """Whatever the umask of whoever starts it: records lie in its files as they are."""
    before = os.umask(0)
    try:
        publish(start(place).bootstrap_servers, b"secret")
        assert os.umask(0) == 0
    finally:
        os.umask(before)
    readable = [path for path in (place.data_dir, *place.data_dir.rglob("*")) if path.stat().st_mode & 0o077]
    assert readable == []


def test_a_jar_that_somebody_planted_does_not_run(place, tmp_path, kafka_cache_dir):
    """Java runs the locked jars by name, not whatever lies beside them."""
    place.cache_dir = tmp_path / "cache"
    directory = place.cache_dir / f"kafka-{KAFKA_VERSION}"
    directory.mkdir(parents=True)
    for jar in (kafka_cache_dir / directory.name).glob("*.jar"):
        (directory / jar.name).symlink_to(jar)
    with zipfile.ZipFile(directory / "a-planted-one.jar", "w") as planted:
        # Kafka's logger would read it from any jar that is on the class path, and write where it says.
        planted.writestr("simplelogger.properties", f"org.slf4j.simpleLogger.logFile={tmp_path}/it-ran\n")
    # Kafka warns of this setting: something is logged in any case.
    start(place, properties={"log.cleaner.enable": "false"})
    assert not (tmp_path / "it-ran").exists()


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
def test_the_broker_has_an_environment_of_its_own(place, monkeypatch):
    """It goes on after the command that started it: with neither its passwords nor its libraries."""
    monkeypatch.setenv("KAFKA_SASL_PASSWORD", "correct-horse")
    monkeypatch.setenv("KAFKA_SSL_KEY_PASSWORD", "correct-horse")
    monkeypatch.setenv("SOME_OTHER_TOKEN", "correct-horse")
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-Dplanted=1")
    monkeypatch.setenv("CLASSPATH", "/planted.jar")
    environment = Path(f"/proc/{start(place).pid}/environ").read_bytes()
    names = {variable.partition(b"=")[0].decode() for variable in environment.split(b"\0") if variable}
    assert names <= {"PATH", "HOME", "TZ", "LANG", "LC_ALL", "LC_CTYPE"}


def kill(place, pid):
    os.kill(pid, signal.SIGKILL)
    assert ended_within(place.data_dir / "broker.pid", LIMIT_S)


def test_the_shared_broker_answers(kafka):
    """The session's broker is one node that names itself."""
    client = AdminClient({"bootstrap.servers": kafka})
    assert len(asked(lambda ask_s: client.list_topics(timeout=ask_s)).brokers) == 1


def test_a_second_start_finds_the_running_broker(place):
    """Starting twice is starting once; another port for a running broker is refused."""
    first = start(place)
    assert start(place) == first
    assert start(place, port=int(first.bootstrap_servers.split(":")[1])) == first
    assert broker_status(place.data_dir) == first
    with pytest.raises(ContractError, match=f"already running on {first.bootstrap_servers}: stop it first"):
        start(place, port=1)


def test_two_starts_at_the_same_time_give_one_broker(place):
    """Of two racing starts the second waits and finds the first's broker."""
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: start(place), range(2))
    assert first == second


def test_data_and_port_survive_a_restart(place):
    """What was published is consumed from the same address after a stop and a start."""
    first = start(place)
    publish(first.bootstrap_servers, b"kept")
    assert stop_broker(place.data_dir)
    assert broker_status(place.data_dir) is None
    assert not stop_broker(place.data_dir)
    second = start(place)
    assert second.bootstrap_servers == first.bootstrap_servers
    assert second.pid != first.pid
    assert first_message(second.bootstrap_servers) == b"kept"


def test_a_killed_broker_is_not_running_and_starts_again(place):
    """After kill -9 the stale pid file deceives nobody, and the data is still there."""
    first = start(place)
    publish(first.bootstrap_servers, b"kept")
    kill(place, first.pid)
    assert broker_status(place.data_dir) is None
    assert not stop_broker(place.data_dir)
    second = start(place)
    assert second.bootstrap_servers == first.bootstrap_servers
    assert first_message(second.bootstrap_servers) == b"kept"


def test_a_broker_that_dies_at_its_start_shows_its_last_words(place):
    """The error quotes the log and says where it is, and nothing is left running."""
    start(place)
    stop_broker(place.data_dir)
    with pytest.raises(
        InfrastructureError, match=r"ended before it was ready(?s:.*)broker\.log(?s:.*)num\.io\.threads"
    ):
        start(place, properties={"num.io.threads": "none"})
    assert broker_status(place.data_dir) is None


def test_an_impossible_property_of_a_new_broker_is_shown(place):
    """What Kafka says when it refuses to format its storage reaches the user."""
    with pytest.raises(InfrastructureError, match=r"could not be formatted(?s:.*)num\.io\.threads"):
        start(place, properties={"num.io.threads": "none"})


def test_the_choice_starts_and_finds_the_embedded_broker(tmp_path, monkeypatch, kafka_cache_dir):
    """Without a variable the embedded broker is started if that is wanted, and found by those that do not start one."""
    (tmp_path / "cache").symlink_to(kafka_cache_dir)
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    settings = load_settings(state_dir=tmp_path)
    try:
        assert bootstrap_servers(settings, start=True) == bootstrap_servers(settings, start=False)
    finally:
        stop_broker(tmp_path / "kafka")


def test_the_command_line_starts_shows_and_stops(tmp_path, kafka_cache_dir):
    """Start prints its one JSON object and leaves the broker to itself; it needs neither PATH nor HOME."""
    (tmp_path / "cache").symlink_to(kafka_cache_dir)
    environment = {
        "CONSOLIDATOR_STATE_DIR": str(tmp_path),
        "HOME": str(tmp_path / "home"),
        "PATH": str(tmp_path / "empty"),
        "KAFKA_BOOTSTRAP_SERVERS": "elsewhere:9092",
    }

    def consolidator(*arguments):
        program = "from streams.cli.__main__ import main; main()"
        return subprocess.run(
            [sys.executable, "-c", program, "broker", *arguments, "--format", "json"],
            env=environment,
            capture_output=True,
            text=True,
            timeout=LIMIT_S * 2,
            check=False,
        )

    try:
        started = consolidator("start")
        assert started.returncode == 0, started.stderr
        info = json.loads(started.stdout)
        assert set(info) == {"bootstrap_servers", "pid"}
        assert "Starting Kafka on" in started.stderr
        assert "KAFKA_BOOTSTRAP_SERVERS is set to elsewhere:9092" in started.stderr
        shown = consolidator("status")
        assert shown.returncode == 0
        assert json.loads(shown.stdout).items() >= {"running": True, **info}.items()
        assert json.loads(consolidator("stop").stdout) == {"stopped": True}
        assert consolidator("status").returncode == 1
    finally:
        stop_broker(tmp_path / "kafka")
