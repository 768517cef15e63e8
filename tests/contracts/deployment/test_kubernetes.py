"""The Kubernetes manifests are valid by Kubernetes' own schemas, and keep what docs/operations.md says of them."""

import copy
import gzip
import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from streams.cli.main import COMMANDS
from streams.configuration.settings import SECRETS, Settings, variable_of
from streams.rulesets.catalogue_file import load_catalogue
from streams.runtime.grace import GRACE_S
from tests.inputs.repository import ROOT

KUBERNETES = ROOT / "deploy" / "kubernetes"
BASE = KUBERNETES / "base"
OVERLAYS = sorted(path.name for path in (KUBERNETES / "overlays").iterdir())
SCHEMAS = json.loads(
    gzip.decompress((Path(__file__).parent / "kubernetes_schemas" / "kubernetes-1.32.json.gz").read_bytes())
)
VARIABLES = {variable_of(field) for field in Settings.model_fields}
VARIABLES |= {f"{variable_of(field)}_FILE" for field in SECRETS}
HEALTH_PORT = 9404


def documents(text: str) -> list[dict[str, Any]]:
    return [one for one in yaml.safe_load_all(text) if one]


def manifests() -> dict[str, dict[str, Any]]:
    """Every whole resource that lies in the repository, by its file."""
    found = {}
    for file in sorted(KUBERNETES.rglob("*.yaml")):
        if file.name == "kustomization.yaml" or ("overlays" in file.parts and file.name != "namespace.yaml"):
            continue
        [found[file.relative_to(KUBERNETES).as_posix()]] = documents(file.read_text(encoding="utf-8"))
    return found


MANIFESTS = manifests()
BY_NAME = {f"{one['kind']}/{one['metadata']['name']}": one for one in MANIFESTS.values()}
WORKLOADS = {name: one for name, one in BY_NAME.items() if "template" in one.get("spec", {})}
LONG_RUNNING = {name: one for name, one in WORKLOADS.items() if not name.startswith("Job/")}


def problems(resource: dict[str, Any]) -> list[str]:
    """What Kubernetes would refuse: unknown members, missing ones, wrong types."""
    kind = SCHEMAS["kinds"][resource["kind"]]
    validator = Draft202012Validator({"$ref": f"#/$defs/{kind}", "$defs": SCHEMAS["$defs"]})
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(resource)]


def pod_of(workload: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = workload["spec"]["template"]["spec"]
    return found


def container_of(workload: dict[str, Any]) -> dict[str, Any]:
    [found] = pod_of(workload)["containers"]
    return dict(found)


def built(overlay: Path) -> list[dict[str, Any]]:
    """What kubectl would send."""
    if shutil.which("kubectl") is None:
        pytest.skip("needs kubectl")
    command = ["kubectl", "kustomize", str(overlay)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr
    return documents(done.stdout)


@pytest.mark.parametrize("file", MANIFESTS)
def test_a_manifest_is_valid(file):
    """By the strict schema of its kind."""
    assert problems(MANIFESTS[file]) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("spec", "replicsa"), 3),
        (("spec", "replicas"), "three"),
        (("spec", "template", "spec", "containers", 0, "image_"), "a"),
        (("spec", "template", "spec", "containers", 0, "livenessProbe", "httpGet", "prot"), 1),
    ],
)
def test_a_mistake_is_found(path, value):
    """The check can fail: a misspelt member and a wrong type, however deep."""
    wrong = copy.deepcopy(BY_NAME["StatefulSet/consolidator-worker"])
    place = wrong
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    assert problems(wrong) != []


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_can_be_built_and_is_valid(overlay):
    """All that kubectl would send, where kubectl is there."""
    resources = built(KUBERNETES / "overlays" / overlay)
    assert {resource["kind"] for resource in resources} == {one["kind"] for one in MANIFESTS.values()}
    for resource in resources:
        assert problems(resource) == []
        if resource["kind"] == "ConfigMap" and resource["metadata"]["name"] == "consolidator-settings":
            assert set(resource["data"]) <= VARIABLES
        if "template" in resource.get("spec", {}):
            names = {volume["name"] for volume in pod_of(resource).get("volumes", [])}
            names |= {claim["metadata"]["name"] for claim in resource["spec"].get("volumeClaimTemplates", [])}
            assert {mount["name"] for mount in container_of(resource)["volumeMounts"]} == names


@pytest.mark.parametrize("folder", ["base", *(f"overlays/{overlay}" for overlay in OVERLAYS)])
def test_a_kustomization_names_files_that_exist(folder):
    """And every file beside it is named in it."""
    directory = KUBERNETES / folder
    config = yaml.safe_load((directory / "kustomization.yaml").read_text(encoding="utf-8"))
    named = [*config["resources"], *(patch["path"] for patch in config.get("patches", []) if "path" in patch)]
    generated = [name for one in config.get("configMapGenerator", []) for name in one["files"]]
    assert [name for name in named + generated if not (directory / name).exists()] == []
    beside = {file.name for file in directory.glob("*.yaml")} - {"kustomization.yaml"}
    assert beside == {name for name in named if name.endswith(".yaml")}


def catalogue_of(resources: list[dict[str, Any]]) -> tuple[str, str, str | None]:
    """The name of the catalogue's ConfigMap in the workers' pods, its content, and which ruleset is adopted."""
    [worker] = [one for one in resources if one["kind"] == "StatefulSet"]
    [volume] = [one for one in pod_of(worker)["volumes"] if one["name"] == "catalogue"]
    name = volume["configMap"]["name"]
    [found] = [one for one in resources if one["kind"] == "ConfigMap" and one["metadata"]["name"] == name]
    variables = {one["name"]: one.get("value") for one in container_of(worker)["env"]}
    [mount] = [one for one in container_of(worker)["volumeMounts"] if one["name"] == "catalogue"]
    [file] = found["data"]
    assert variables["CONSOLIDATOR_CATALOGUE"] == f"{mount['mountPath']}/{file}"
    return name, found["data"][file], variables.get("CONSOLIDATOR_ADOPT_RULESET")


def test_another_catalogue_and_the_consent_to_it_are_one_rollout(tmp_path):
    """By the steps of docs/operations.md: the pods' template changes once; the former ConfigMap is not altered."""
    shutil.copytree(KUBERNETES, tmp_path / "kubernetes")
    overlay = tmp_path / "kubernetes" / "overlays" / "production"
    first, content, adopted = catalogue_of(built(overlay))
    rules = load_catalogue(overlay / "catalogue.toml")
    assert adopted is None
    (overlay / "catalogue.toml").write_text(content.replace(f'"{rules.version}"', '"2"'), encoding="utf-8")
    worker = (overlay / "worker.yaml").read_text(encoding="utf-8")
    uncommented = re.sub(r"# (- name: CONSOLIDATOR_ADOPT_RULESET\n *)# ( +value:)", r"\1\2", worker)
    assert uncommented != worker
    (overlay / "worker.yaml").write_text(uncommented, encoding="utf-8")
    resources = built(overlay)
    second, _, adopted = catalogue_of(resources)
    assert first != second
    assert first not in {one["metadata"]["name"] for one in resources}
    assert adopted == f"{rules.name}/2"
    assert [problem for one in resources for problem in problems(one)] == []


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_pod_has_no_privileges(name):
    """What the restricted pod security standard asks for, and a root that nobody writes to."""
    pod, container = pod_of(WORKLOADS[name]), container_of(WORKLOADS[name])
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    user = re.search(r"^USER (\d+):(\d+)$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert (str(pod["securityContext"]["runAsUser"]), str(pod["securityContext"]["runAsGroup"])) == user.groups()
    assert pod["securityContext"]["fsGroup"] == int(user[2])


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_pod_runs_a_command_that_exists(name):
    """In the image of this version, with limits, and with the settings that all share."""
    container = container_of(WORKLOADS[name])
    assert container["args"][0] in COMMANDS
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert container["image"] == f"factor-consolidator:{version}"
    assert "memory" in container["resources"]["limits"]
    assert set(container["resources"]["requests"]) == {"cpu", "memory"}
    assert container["envFrom"] == [{"configMapRef": {"name": "consolidator-settings"}}]
    assert {one["name"] for one in container.get("env", [])} <= VARIABLES


@pytest.mark.parametrize("name", LONG_RUNNING)
def test_a_pod_is_probed_and_has_time_to_drain(name):
    """Liveness and readiness at the health address; more time than the worker's own grace period."""
    workload = LONG_RUNNING[name]
    container = container_of(workload)
    paths = {kind: container[kind]["httpGet"]["path"] for kind in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert paths == {"startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"}
    assert container["ports"] == [{"name": "health", "containerPort": HEALTH_PORT}]
    assert pod_of(workload)["terminationGracePeriodSeconds"] > GRACE_S


def test_the_settings_are_settings():
    """With values that this version accepts; the health address has the port of the probes."""
    data = BY_NAME["ConfigMap/consolidator-settings"]["data"]
    assert set(data) <= VARIABLES
    Settings.model_validate(data)
    assert data["CONSOLIDATOR_HEALTH_ADDRESS"] == f"0.0.0.0:{HEALTH_PORT}"


def test_a_worker_is_a_static_member_by_its_pods_name():
    """A pod that comes back has the name of the one that went, and comes back before its session ends."""
    worker = BY_NAME["StatefulSet/consolidator-worker"]
    [instance] = [one for one in container_of(worker)["env"] if one["name"] == "CONSOLIDATOR_INSTANCE_ID"]
    assert instance["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    [claim] = worker["spec"]["volumeClaimTemplates"]
    assert {"name": claim["metadata"]["name"], "mountPath": "/var/lib/consolidator"} in container_of(worker)[
        "volumeMounts"
    ]
    assert BY_NAME["Service/consolidator-worker"]["spec"]["clusterIP"] == "None"
    assert worker["spec"]["serviceName"] == "consolidator-worker"


def test_one_worker_at_a_time_may_be_away():
    """The budget and the service select the workers."""
    labels = BY_NAME["StatefulSet/consolidator-worker"]["spec"]["selector"]["matchLabels"]
    budget = BY_NAME["PodDisruptionBudget/consolidator-worker"]["spec"]
    assert budget == {"maxUnavailable": 1, "selector": {"matchLabels": labels}}
    assert BY_NAME["Service/consolidator-worker"]["spec"]["selector"] == labels


def test_only_metrics_come_in():
    """Both directions are limited: in by the health port, out by names, Kafka and PostgreSQL."""
    policy = BY_NAME["NetworkPolicy/consolidator"]["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    [rule] = policy["ingress"]
    assert rule["ports"] == [{"protocol": "TCP", "port": HEALTH_PORT}]
    assert "from" in rule
    assert {port["port"] for rule in policy["egress"] for port in rule["ports"]} == {53, 9092, 5432}
