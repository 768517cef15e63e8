"""The schemas against every released version: they keep what was promised, and a break makes CI fail by name."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.compatibility.releases import Break, breaks, read, released
from tests.compatibility.verdicts import findings
from tests.inputs.repository import ROOT, committed_files
from topics.contract.schemas import closed

SCHEMAS = ROOT / "topics" / "schemas"
LIMIT_S = 240

KEPT = {
    "0.1.0/catalogue.schema.json": "e9e2a6becb58c20041dd973cf88d076a5c3dd99ac3b1f29daa30d9eef2453b28",
    "0.1.0/factor-change.accepted.json": "6b70edee198dae907463d03b350379c7b58952e210cfb65171c43ccc97b54655",
    "0.1.0/factor-change.produced.json": "c1f0a3159416b0dbc8787f52df7616f8273c854c33c43e75aba96476ca26e716",
    "0.1.0/factors.accepted.json": "38444607877ad81873ec132cef97ad99732c7008b9179936d6e9800b11b86673",
    "0.1.0/factors.produced.json": "a7e5226745d62af3f657d06604ddfe4b4cf19460837f9ddf3de3009c08de1318",
    "0.1.0/lifecycle-event.accepted.json": "e702ac56dc70d7d41bf01358a55a4f32eb19ebcf98625592c29123e0f80d1c75",
}
"""SHA-256 of every file of a released version: they are added to, and never changed."""


def run(program: list[str], tree: Path) -> subprocess.CompletedProcess[str]:
    """Run a program in a tree, with the tree's own packages."""
    variables = os.environ | {"PYTHONPATH": f"{tree}{os.pathsep}{tree / 'clients' / 'python'}"}
    return subprocess.run(
        [sys.executable, *program],
        cwd=tree,
        env=variables,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


def test_this_version_breaks_no_released_one() -> None:
    """In any role: as publisher, as subscriber to what is in the topics, as consumer of events, as reader of files."""
    assert [str(one) for one in breaks(read(SCHEMAS), released(SCHEMAS))] == []


def test_what_was_released_is_what_it_was() -> None:
    """A released schema is a promise; a new version gets a folder of its own."""
    folder = SCHEMAS / "released"
    files = {file.relative_to(folder).as_posix(): file for file in folder.rglob("*.json")}
    assert {name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in files.items()} == KEPT


def test_every_schema_is_kept() -> None:
    """The version in pyproject.toml has the schemas of this tree, as .ci/release asks."""
    found = run([".ci/compatibility.py", "kept"], ROOT)
    assert (found.returncode, found.stderr) == (0, "")


EDITS: list[tuple[str, str, tuple[str, Any], tuple[str, str, str]]] = [
    ("an outcome more", "factors.produced.json", ("/properties/outcome/enum/5", "lost"),
     ("publisher", "enum", "/outcome")),
    ("a factor of another type", "factors.produced.json", ("/properties/factors/additionalProperties/type/3", "array"),
     ("publisher", "type", "/factors/another_member")),
    ("a member no more", "factor-change.produced.json", ("/required", ["schema_version"]),
     ("publisher", "required", "/ruleset")),
    ("a longer list", "factor-change.produced.json", ("/$defs/Executions/properties/failures/maxItems", 51),
     ("publisher", "maxItems", "/executions/failures")),
    ("an older record's outcome refused", "factors.accepted.json", ("/$defs/Outcome/enum", ["cleared", "partial"]),
     ("subscriber", "enum", "/outcome")),
    ("a new member that readers require", "factors.accepted.json", ("/required/10", "remark"),
     ("subscriber", "required", "/remark")),
    ("a member of events required", "lifecycle-event.accepted.json", ("/required/5", "event_id"),
     ("consumer", "required", "/event_id")),
    ("a shorter id of events", "lifecycle-event.accepted.json", ("/properties/processor/maxLength", 64),
     ("consumer", "maxLength", "/processor")),
    ("a reducer no more", "catalogue.schema.json", ("/$defs/Reducer/enum", ["mean", "sum"]),
     ("file", "enum", "/processors/another_member/factors/another_member/reducer")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("edit", "expected"), [(edit[1:3], edit[3]) for edit in EDITS], ids=[edit[0] for edit in EDITS]
)
def test_a_break_is_named(edit: tuple[str, tuple[str, Any]], expected: tuple[str, str, str]) -> None:
    """The real schemas with one edit: role, version, rule, place, and an example."""
    file, (pointer, value) = edit
    current = read(SCHEMAS)
    *path, last = pointer.split("/")[1:]
    part = current[file]
    for name in path:
        part = part[int(name) if isinstance(part, list) else name]
    if isinstance(part, list):
        part.append(value)
    else:
        part[last] = value
    found = [one for one in breaks(current, released(SCHEMAS)) if one.version == "0.1.0"]
    assert expected in {(one.role, one.finding.rule, one.finding.pointer) for one in found}
    assert all(f"example: {json.dumps(one.finding.example, ensure_ascii=False)}" in str(one) for one in found)


def test_a_file_that_is_gone_is_a_break() -> None:
    """Readers refer to a schema by its name."""
    current = read(SCHEMAS)
    del current["lifecycle-event.accepted.json"]
    found = breaks(current, released(SCHEMAS))
    assert [(one.file, one.finding.rule) for one in found] == [("lifecycle-event.accepted.json", "removed")]
    assert "lifecycle-event.accepted.json, as publisher, breaks 0.1.0: removed" in str(found[0])


def test_what_may_be_added_is_no_break() -> None:
    """A member more in what is published and in what is read, as docs/contract.md promises."""
    current = read(SCHEMAS)
    for schema in current.values():
        if "Executions" in schema["$defs"]:
            schema["$defs"]["Executions"]["properties"]["skipped"] = {"type": "integer"}
        schema["properties"]["remark"] = {"type": "string"}
    assert breaks(current, released(SCHEMAS)) == []


def test_unknown_members_of_events_are_nobodys_promise() -> None:
    """Why a producer is taken to write what the contract names: with any member allowed, nothing could be added."""
    event = read(SCHEMAS)["lifecycle-event.accepted.json"]
    longer = json.loads(json.dumps(event))
    longer["properties"]["remark"] = {"type": "string"}
    assert [(one.rule, one.pointer) for one in findings(event, longer)] == [("type", "/remark")]
    assert findings(closed(event), longer) == []


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of what the schemas are made and judged with."""
    copy = tmp_path / "tree"
    for file in committed_files():
        if file.parts[0] in {".ci", "clients", "models", "topics", "tests"} or file.name == "pyproject.toml":
            (copy / file.parent).mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / file, copy / file)
    return copy


@pytest.mark.slow
def test_a_release_keeps_its_schemas(tree: Path) -> None:
    """A new version's are missing until they are kept; once kept, neither they nor the schemas may change."""
    settings = tree / "pyproject.toml"
    settings.write_text(settings.read_text(encoding="utf-8").replace('version = "0.1.0"', 'version = "0.2.0"', 1))
    missing = run([".ci/compatibility.py", "kept"], tree)
    assert (missing.returncode, "compatibility.py keep" in missing.stderr) == (1, True)
    assert run([".ci/compatibility.py", "keep"], tree).returncode == 0
    assert run([".ci/compatibility.py", "kept"], tree).returncode == 0
    assert run([".ci/compatibility.py"], tree).stdout == "the schemas are compatible with 0.1.0, 0.2.0\n"
    event = tree / "topics" / "schemas" / "lifecycle-event.accepted.json"
    event.write_text(event.read_text(encoding="utf-8").replace('"maxLength": 64', '"maxLength": 65', 1))
    kept = (tree / "topics" / "schemas" / "released" / "0.2.0" / event.name).read_bytes()
    for verb in ("kept", "keep"):
        changed = run([".ci/compatibility.py", verb], tree)
        assert (changed.returncode, "raise the version" in changed.stderr) == (1, True)
    assert (tree / "topics" / "schemas" / "released" / "0.2.0" / event.name).read_bytes() == kept


@pytest.mark.slow
def test_an_incompatible_edit_makes_ci_fail(tree: Path) -> None:
    """End to end, in a copy of the tree: a type is edited, the schemas are generated, the check names what breaks."""
    assert run([".ci/compatibility.py"], tree).returncode == 0
    records = tree / "clients" / "python" / "consolidator" / "records.py"
    text = records.read_text(encoding="utf-8")
    edited = re.sub(r"^    outcome: _Outcome$", "    result: _Outcome", text, count=1, flags=re.MULTILINE)
    assert edited != text
    records.write_text(edited, encoding="utf-8")
    schemas = tree / "topics" / "contract" / "schemas.py"
    schemas.write_text(schemas.read_text(encoding="utf-8").replace('"outcome": {', '"result": {'), encoding="utf-8")
    made = run(["-m", "topics.contract.schemas", "topics/schemas"], tree)
    assert made.returncode == 0, made.stderr
    judged = run([".ci/compatibility.py"], tree)
    assert judged.returncode == 1
    assert "factors.produced.json, as publisher, breaks 0.1.0: required at /outcome" in judged.stdout
    assert "factors.accepted.json, as subscriber, breaks 0.1.0: required at /result" in judged.stdout
    assert "breaks of the contract" in judged.stderr


def test_a_break_without_example_says_so() -> None:
    """Neither a proof nor an example: CI fails too, and names the rule in doubt."""
    wider = {"type": "string", "pattern": "^[ab]*$"}
    [found] = findings({"type": "string", "pattern": "^a*$"}, wider)
    assert "the rule in doubt is pattern" in str(Break("publisher", "f.json", "0.1.0", found))
