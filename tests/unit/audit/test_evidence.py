"""Evidence in a directory: written, read back, and checked by the command, without Kafka."""

import json
import os
from dataclasses import replace
from hashlib import sha256

import pytest
from click.testing import CliRunner

from models.errors import ContractError
from streams.audit.evidence.bundle import Evidence, EvidenceCheck, TopicNames
from streams.audit.evidence.files import check_files, read_evidence, seal_of, write_evidence
from streams.cli.main import cli
from streams.core.rules import Rules
from tests.inputs.cases import event, failed, ok
from tests.inputs.kept_logs import kept_log, published
from tests.inputs.workloads import load_catalogue, parse_json, to_json
from tests.oracle.expected import Tombstone
from tests.oracle.folds import MAX_EVENT_BYTES, catalogue_of, topics_of
from topics.contract.keys import parse_event_key, partition_of
from topics.records.adoptions import KnownRulesets

PARTITIONS = 4
TOPICS = topics_of(PARTITIONS)
CATALOGUE = catalogue_of(load_catalogue())
FILES = [
    "SHA256SUMS",
    "catalogue.json",
    "executions.jsonl",
    "factor-changes.jsonl",
    "factors.jsonl",
    "manifest.json",
    "rulesets.json",
]
STORY = [
    event("a", "requested", 1, processor="bank_statement"),
    ok("a", 2, {"f_revenue_monthly": 10000}, processor="bank_statement"),
    failed("b", 3, processor="bank_statement"),
    ok("c", 4, {"f_revenue_monthly": 12000}, processor="bank_statement"),
    failed("d", 5, processor="credit_check"),
]


def evidence_of(items, *, without=()):
    """The evidence that a worker's output gives; the source lacks some events, by their ids."""
    log = kept_log(items, partitions=PARTITIONS)
    changes, factors = published(log, TOPICS, Rules(CATALOGUE))
    kept = [r for r in log.records if r.value is None or parse_event_key(r.key)[1] not in without]
    partition = partition_of("app", PARTITIONS)
    end = log.records[-1].offset + 1
    names = TopicNames.of(TOPICS)
    left_out = len(log.records) - len(kept)
    return Evidence(
        "app",
        names,
        partition,
        0,
        end,
        MAX_EVENT_BYTES,
        CATALOGUE,
        KnownRulesets(),
        kept,
        changes,
        factors,
        left_out,
    )


def written(directory, evidence):
    check = EvidenceCheck(evidence)
    findings = list(check.run())
    seal = write_evidence(directory, evidence, check.report().members())
    return seal, findings


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
    with pytest.raises(ContractError, match="no evidence that this program reads"):
        read_evidence(directory)


def test_a_directory_with_something_in_it_is_left_alone(directory):
    """Evidence is never mixed with other files."""
    with pytest.raises(ContractError, match="is not empty"):
        write_evidence(directory, evidence_of(STORY), {})
