"""Fixtures that every folder of tests may use."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from streams.broker.embedded import start_broker
from streams.configuration.broker_choice import cache_dir
from streams.configuration.settings import load_settings
from tests.fault_runs.conclusion import Conclusion
from tests.fault_runs.figures import Figures, save
from tests.real_kafka.cluster import Cluster
from tests.real_kafka.discarding import discard_broker
from tests.real_kafka.installation import Installation
from tests.real_kafka.installed import installed
from tests.real_kafka.secured_broker import SecuredBroker, secured_broker

if TYPE_CHECKING:
    from tests.databases.postgresql import PostgresServer

# A shell without job control starts background processes with SIGINT ignored. Every process that a test starts would
# inherit that, and could not be interrupted.
signal.signal(signal.SIGINT, signal.default_int_handler)

# No deadline for properties: a busy machine is no reason to fail. HYPOTHESIS_PROFILE=thorough tries more examples.
for _name, _examples in (("fast", 50), ("thorough", 2_000)):
    settings.register_profile(
        _name, max_examples=_examples, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))


@pytest.fixture(scope="session")
def kafka_cache_dir() -> Path:
    """Where the jars of Kafka are kept between test runs: the user's own state directory, read before any test.

    It exists: a test that gives it to a process of its own makes a link to it.
    """
    directory = cache_dir(load_settings())
    directory.mkdir(parents=True, exist_ok=True)
    return directory


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory, kafka_cache_dir: Path) -> Iterator[str]:
    """The address of a real broker, which is started once per session with its own data.

    Tests share it: each names its topics and groups for itself.
    """
    data_dir = tmp_path_factory.mktemp("kafka")
    try:
        yield start_broker(data_dir, kafka_cache_dir).bootstrap_servers
    finally:
        discard_broker(data_dir)


@pytest.fixture(scope="session")
def postgres() -> Iterator["PostgresServer"]:
    """A real PostgreSQL server, started once per session; tests share it, each with databases of its own."""
    # Imported here: most runs need neither the server nor its driver.
    from tests.databases.postgresql import PostgresServer, programs  # noqa: PLC0415

    if programs() is None and os.environ.get("CONSOLIDATOR_TEST_POSTGRES") != "required":
        pytest.skip("needs PostgreSQL's server: apt-get install postgresql")
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, kafka_cache_dir: Path) -> Iterator[Cluster]:
    """Three real brokers, for the tests that kill them; each test leaves all three running and in sync.

    They end with the module, so that three idle brokers do not slow down everything after it.
    """
    found = Cluster(tmp_path_factory.mktemp("cluster"), kafka_cache_dir)
    try:
        found.start()
        yield found
    finally:
        found.close()


@pytest.fixture(scope="session")
def secured(tmp_path_factory: pytest.TempPathFactory, kafka_cache_dir: Path) -> Iterator[SecuredBroker]:
    """A real broker with passwords, certificates and access control lists; started only if a test needs it."""
    with secured_broker(tmp_path_factory.mktemp("secured"), kafka_cache_dir) as broker:
        yield broker


@pytest.fixture
def installation(kafka: str, tmp_path: Path) -> Iterator[Installation]:
    """The test's own installation: topics, group and state directory. Its workers are killed at its end."""
    with installed(kafka, tmp_path) as found:
        yield found


@pytest.fixture
def record_figures(capsys: pytest.CaptureFixture[str]) -> Callable[[Figures], None]:
    """Shows and saves the figures of a fault scenario; see ``tests/fault_runs/figures.py``."""

    def record(figures: Figures) -> None:
        with capsys.disabled():
            print(f"\n{figures}")  # noqa: T201 - a run tells its seed and figures
        save(figures)

    return record


@pytest.fixture
def conclude(record_figures: Callable[[Figures], None]) -> Conclusion:
    """Ends a fault scenario; see ``tests/fault_runs/conclusion.py``."""
    return Conclusion(record_figures)
