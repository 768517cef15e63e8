"""Evidence that somebody has altered or made up: it holds only where nothing was altered, and never takes long."""

import random
import shutil
import time
from collections import Counter

import pytest
from click.testing import CliRunner

from models.errors import ConsolidatorError
from streams.audit.evidence.files import seal_of
from streams.cli.main import cli
from streams.runtime.exit_codes import exit_code_of
from tests.fault_runs.scale import scale
from tests.inputs.evidence_mutations import mutate, reseal
from tests.inputs.kept_evidence import STORY, evidence_of, written

MUTATIONS = scale("MUTATIONS", short=400, long=10_000)
UNREADABLE = {"files", "no_files"}
LIMIT_S = 30.0
"""For one directory, on a busy machine; an honest one takes milliseconds."""


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    found = tmp_path_factory.mktemp("original") / "evidence"
    assert written(found, evidence_of(STORY))[1] == []
    return found


def verify(directory, *arguments):
    """Exit code and output, as the program would end."""
    result = CliRunner().invoke(cli, ["evidence", "verify", str(directory), *arguments])
    if isinstance(result.exception, ConsolidatorError):
        return exit_code_of(result.exception), f"{result.output}{result.exception}"
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def same(one, other):
    """Whether two directories of files have the same ones."""
    contents = [{path.name: path.read_bytes() for path in directory.iterdir()} for directory in (one, other)]
    return contents[0] == contents[1]


@pytest.mark.slow
@pytest.mark.timeout(3_000)
def test_mutated_evidence_never_holds_against_its_seal(original, tmp_path, monkeypatch):
    """Bytes, lines, members, files and links, with sums that fit or not: exit code 1 or 2, soon, no traceback."""
    monkeypatch.chdir(tmp_path)
    seal = seal_of(original)
    seen = Counter()
    for number in range(MUTATIONS):
        rng = random.Random(number)
        directory = tmp_path / "mutated"
        shutil.copytree(original, directory)
        kinds = [mutate(directory, rng)] if number else []
        if rng.random() < 0.3 and not UNREADABLE & {*kinds}:
            kinds.append(mutate(directory, rng))
        resealed = rng.random() < 0.5
        if resealed and not UNREADABLE & {*kinds}:
            reseal(directory)
        untouched = not UNREADABLE & {*kinds} and same(original, directory)
        since = time.monotonic()
        code, output = verify(directory, "--seal", seal)
        alone, said = verify(directory)
        assert time.monotonic() - since < LIMIT_S, (number, kinds)
        assert "Traceback" not in output + said
        assert code in ({0} if untouched else {1, 2}), (number, kinds, output)
        assert alone in ({0, 1, 2} if resealed else {0} if untouched else {1, 2}), (number, kinds, said)
        seen[code, resealed] += 1
        shutil.rmtree(directory)
    assert seen[0, False] + seen[0, True] >= 1
    assert min(seen[1, False], seen[1, True], seen[2, False], seen[2, True]) > MUTATIONS // 100
