"""Evidence in a directory: written, read back, and checked by the command, without Kafka."""

import json
import os
from dataclasses import replace
from hashlib import sha256

import pytest
from click.testing import CliRunner

from models.errors import ContractError
from streams.audit.evidence.files import check_files, read_evidence, seal_of, write_evidence
from streams.cli.main import cli
from tests.inputs.evidence_mutations import FILES as EVENT_FILES
from tests.inputs.evidence_mutations import SUMS
from tests.inputs.kept_evidence import CATALOGUE, STORY, evidence_of, written
from tests.inputs.workloads import parse_json, to_json
from tests.oracle.expected import Tombstone

FILES = [SUMS, *EVENT_FILES]


@pytest.fixture
def directory(tmp_path):
    found = tmp_path / "evidence"
    assert written(found, evidence_of(STORY))[1] == []
    return found


@pytest.fixture
def verify(tmp_path):
    """Run the check with no broker that it could reach, and return exit code and JSON."""
    unset = {name: None for name in os.environ if name.startswith(("CONSOLIDATOR_", "KAFKA_"))}
    runner = CliRunner(env=unset | {"CONSOLIDATOR_STATE_DIR": str(tmp_path), "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"})

    def run(directory, *arguments):
        result = runner.invoke(
            cli, ["evidence", "verify", str(directory), "--format", "json", *arguments], catch_exceptions=False
        )
        return result.exit_code, json.loads(result.stdout)

    return run


def resealed(directory):
    """What a forger does: the sums fit again."""
    sums = "".join(f"{sha256((directory / name).read_bytes()).hexdigest()}  {name}\n" for name in FILES[1:])
    (directory / "SHA256SUMS").write_text(sums)


def test_evidence_holds_without_kafka(directory, verify):
    """The events give what was published: every change and both processors' factors are equal."""
    code, told = verify(directory, "--seal", seal_of(directory))
    assert (code, told["holds"], told["problems"], told["differences"]) == (0, True, [], [])
    assert told["seal"] == seal_of(directory)
    assert told["verification"]["factor_changes"]["equal"] == len(STORY)
    assert told["verification"]["factors"]["equal"] == 2
    assert sorted(path.name for path in directory.iterdir()) == FILES


def test_the_same_evidence_has_the_same_seal(directory, tmp_path):
    """Nothing in it depends on when and where it was written, and it is read back as it was."""
    evidence, _ = read_evidence(directory)
    assert written(tmp_path / "again", evidence)[0] == seal_of(directory)
    assert evidence == evidence_of(STORY)


@pytest.mark.parametrize("name", FILES)
def test_one_byte_more_or_less_or_other_is_noticed(directory, verify, name):
    """In whichever file, at the beginning, in the middle or at the end."""
    file = directory / name
    right = file.read_bytes()
    changed = [
        right[:place] + bytes([right[place] ^ bit]) + right[place + 1 :]
        for place in (0, len(right) // 3, len(right) // 2, len(right) - 2, len(right) - 1)
        for bit in (0x01, 0x20)
    ]
    for altered in (*changed, right + b"\n", right[:-1], b""):
        file.write_bytes(altered)
        code, told = verify(directory)
        assert (code, told["holds"]) == (1, False)
    file.write_bytes(right)
    assert verify(directory)[0] == 0


def test_a_forger_who_mends_the_sums_is_caught_by_the_events(directory, verify):
    """A factor that was altered in the published files is named, with its topic and offset; its value is not."""
    before = seal_of(directory)
    evidence, report = read_evidence(directory)
    victim = evidence.changes[-2]
    forged = parse_json(victim.value) | {"outcome": "withdrawn"}
    changes = [replace(one, value=to_json(forged)) if one is victim else one for one in evidence.changes]
    for path in directory.iterdir():
        path.unlink()
    write_evidence(directory, replace(evidence, changes=changes), report)
    code, told = verify(directory, "--seal", before)
    assert code == 1
    [difference] = told["differences"]
    assert (difference["kind"], difference["offset"]) == ("altered", victim.offset)
    assert difference["reason"] == "differs in outcome"
    assert any("seal" in problem for problem in told["problems"])
    assert any("manifest.json" in problem for problem in told["problems"])


def test_a_manifest_that_says_too_much_is_caught(directory, verify):
    """What the manifest says of the verification has to be what the check gives, however well it is sealed."""
    manifest = directory / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"equal": 5', '"equal": 6'))
    resealed(directory)
    code, told = verify(directory)
    assert (code, told["problems"]) == (1, ["manifest.json: its verification is not what this check gives"])


def test_events_that_were_left_out_make_their_changes_unverifiable(tmp_path, verify):
    """Without an erased event nobody can tell whether its changes, and the later ones of its pair, were right."""
    erased = STORY[1]["event_id"]
    evidence = evidence_of([*STORY, Tombstone("app", erased)], without={erased})
    _, findings = written(tmp_path / "evidence", evidence)
    assert findings == []
    code, told = verify(tmp_path / "evidence")
    changes = told["verification"]["factor_changes"]
    # The erased event's change, the two later ones of its processor, and the tombstone's.
    assert (code, changes["unverifiable"], changes["equal"]) == (0, 4, 2)
    assert told["verification"]["factors"]["equal_in_content"] == 1


def test_files_that_are_missing_or_foreign_are_named(directory, verify):
    """A directory with more or less than the evidence is not the evidence."""
    (directory / "notes.txt").write_text("mine")
    (directory / "factors.jsonl").unlink()
    assert check_files(directory) == ["factors.jsonl: missing", "notes.txt: is no part of this evidence"]
    code, told = verify(directory)
    assert (code, told["seal"], told["verification"]) == (1, None, None)


def test_another_format_or_catalogue_is_refused(directory):
    """Sealed, but nothing that this program reads: an error that says what it is."""
    manifest = directory / "manifest.json"
    right = manifest.read_text()
    manifest.write_text(right.replace("consolidator-evidence/1", "consolidator-evidence/9"))
    with pytest.raises(ContractError, match="format 'consolidator-evidence/9'"):
        read_evidence(directory)
    manifest.write_text(right.replace(CATALOGUE.digest, "0" * 64))
    with pytest.raises(ContractError, match="digest"):
        read_evidence(directory)
    manifest.write_text("[]")
    with pytest.raises(ContractError, match="cannot be read as evidence"):
        read_evidence(directory)


def test_a_directory_with_something_in_it_is_left_alone(directory):
    """Evidence is never mixed with other files."""
    with pytest.raises(ContractError, match="is not empty"):
        write_evidence(directory, evidence_of(STORY), {})


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero"), lambda path: path.mkdir()])
@pytest.mark.parametrize("name", ["executions.jsonl", "SHA256SUMS", "notes.txt"])
def test_what_is_no_file_is_refused_unopened(directory, make, name):
    """A FIFO would hang whoever opens it, a device never ends, a link leads elsewhere."""
    (directory / name).unlink(missing_ok=True)
    make(directory / name)
    with pytest.raises(ContractError, match=rf"{name} is a (FIFO|link|directory), and was not opened"):
        check_files(directory)


def test_a_file_beyond_its_limit_is_refused_unread(directory):
    """Three gigabytes of nothing take no memory."""
    os.truncate(directory / "manifest.json", 3 * 1024**3)
    with pytest.raises(ContractError, match="the limit is"):
        check_files(directory)


def test_a_directory_of_something_else_is_no_evidence(tmp_path):
    """Without manifest and sums nothing was altered: this never was evidence."""
    (tmp_path / "photo.jpg").write_bytes(b"x")
    with pytest.raises(ContractError, match="has no evidence"):
        check_files(tmp_path)


@pytest.mark.parametrize(
    ("name", "right", "wrong", "reason"),
    [
        ("manifest.json", '"application_id": "app"', '"application_id": null', "Expected `str`"),
        ("manifest.json", '"application_id": "app"', '"application_id": "another"', "is not in partition"),
        ("manifest.json", '"from": 0', '"from": 99', "ends before it begins"),
        ("manifest.json", '"partitions": 4', '"partitions": 4.5', "Expected `int`"),
        ("manifest.json", '"factors": 2', '"factors": 3', "does not have the 3 lines"),
        ("manifest.json", '"format"', '"extra": 1, "format"', "unknown field"),
        ("rulesets.json", '"catalogues": {}', '"catalogues": {"%s": "junk"}' % ("0" * 64), "line 1"),
        ("rulesets.json", '"adoptions": []', '"adoptions": [{"partition": 1}]', "missing required field"),
        ("executions.jsonl", '"offset": 1', '"offset": -1', "Expected `int`"),
        ("executions.jsonl", '"key": "', '"key": "=', "Invalid base64"),
        ("catalogue.json", '"sample-underwriting"', '"other"', "is not that of the manifest"),
    ],
)
def test_what_is_malformed_is_refused_however_well_it_is_sealed(directory, name, right, wrong, reason):
    """Types, counts, ranges and names have to agree with each other; the message names the file."""
    file = directory / name
    text = file.read_text()
    assert right in text
    file.write_text(text.replace(right, wrong, 1))
    resealed(directory)
    with pytest.raises(ContractError, match=reason) as raised:
        read_evidence(directory)
    assert "evidence/" in str(raised.value)


def test_without_a_seal_the_origin_is_not_checked(directory, tmp_path):
    """It is said, as JSON and to people; a seal that is none is wrong usage."""
    run = CliRunner(env={"CONSOLIDATOR_STATE_DIR": str(tmp_path)})
    plain = run.invoke(cli, ["evidence", "verify", str(directory)])
    assert (plain.exit_code, "not checked where this evidence comes from" in plain.stderr) == (0, True)
    told = json.loads(run.invoke(cli, ["evidence", "verify", str(directory), "--format", "json"]).stdout)
    assert told["origin_checked"] is False
    sealed = run.invoke(cli, ["evidence", "verify", str(directory), "--seal", seal_of(directory).upper()])
    assert (sealed.exit_code, sealed.stderr) == (0, "")
    wrong = run.invoke(cli, ["evidence", "verify", str(directory), "--seal", "5f0c"])
    assert (wrong.exit_code, "64 hexadecimal digits" in wrong.stderr) == (2, True)


def modes(directory):
    return {oct(path.stat().st_mode & 0o777) for path in directory.iterdir()}, oct(directory.stat().st_mode & 0o777)


def test_only_the_owner_can_read_evidence(tmp_path):
    """Whatever the umask, in a new directory with its parents, and in an empty one that was open to all."""
    before = os.umask(0)
    try:
        written(tmp_path / "new" / "evidence", evidence_of(STORY))
        (tmp_path / "open").mkdir(0o777)
        written(tmp_path / "open", evidence_of(STORY))
    finally:
        os.umask(before)
    assert modes(tmp_path / "new" / "evidence") == ({"0o600"}, "0o700")
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    assert modes(tmp_path / "open") == ({"0o600"}, "0o700")


def test_evidence_is_not_written_through_a_link(tmp_path):
    """Who made the link would decide where confidential files go; a link of our own on the way is ours."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for link in ("link", "dangling"):
        with pytest.raises(ContractError, match="is a link"):
            write_evidence(tmp_path / link, evidence_of(STORY), {})
    assert list((tmp_path / "real").iterdir()) == []
    assert not (tmp_path / "nowhere").exists()
    written(tmp_path / "link" / "own", evidence_of(STORY))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give directories away")
def test_evidence_is_not_written_to_somebody_else(tmp_path):
    """Neither into another user's directory, nor on the way through another user's link."""
    (tmp_path / "theirs").mkdir(0o777)
    os.chown(tmp_path / "theirs", 4242, 4242)
    with pytest.raises(ContractError, match="somebody else's directory"):
        write_evidence(tmp_path / "theirs", evidence_of(STORY), {})
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    os.chown(tmp_path / "link", 4242, 4242, follow_symlinks=False)
    with pytest.raises(ContractError, match="a link of somebody else's"):
        write_evidence(tmp_path / "link" / "evidence", evidence_of(STORY), {})
    with pytest.raises(ContractError, match="who could exchange it"):
        write_evidence(tmp_path / "theirs" / "new" / "evidence", evidence_of(STORY), {})
    assert list((tmp_path / "theirs").iterdir()) + list((tmp_path / "real").iterdir()) == []
