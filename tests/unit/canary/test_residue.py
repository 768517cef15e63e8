"""The file of what has to be erased: whole after a kill, and used by one canary at a time."""

import pytest

from models.errors import ContractError, InfrastructureError
from streams.canary.residue import Residue


@pytest.fixture
def path(tmp_path):
    return tmp_path / "canary" / "app.jsonl"


def noted(path):
    """What a canary finds that begins now."""
    with Residue(path) as residue:
        return {name: (one.partition, dict(one.events)) for name, one in residue.remains.items()}


def test_a_canary_finds_what_a_killed_one_has_left(path):
    """Applications with their partitions, and both keys of each event; without what was erased."""
    with Residue(path) as residue:
        kept = residue.begin("consolidator-canary/a", 3)
        residue.note(kept, b"consolidator-canary%2Fa/round-1", b"consolidator-canary%2Fa/c1")
        gone = residue.begin("consolidator-canary/b", 1)
        residue.note(gone, b"consolidator-canary%2Fb/round-1", b"consolidator-canary%2Fb/c1")
        residue.forget(gone)
        residue.note(kept, b"consolidator-canary%2Fa/round-2", b"consolidator-canary%2Fa/c2")
    events = {
        b"consolidator-canary%2Fa/round-1": b"consolidator-canary%2Fa/c1",
        b"consolidator-canary%2Fa/round-2": b"consolidator-canary%2Fa/c2",
    }
    assert noted(path) == {"consolidator-canary/a": (3, events)}
    assert noted(path) == {"consolidator-canary/a": (3, events)}


def test_every_line_is_in_the_file_as_soon_as_it_is_noted(path):
    """Before the event is published: a kill loses none."""
    with Residue(path) as residue:
        residue.note(residue.begin("a", 0), b"a/round-1", b"a/c1")
        assert [line.count(b'"') for line in path.read_bytes().splitlines()] == [6, 12]


def test_a_line_that_was_cut_off_counts_for_nothing(path):
    """Its event was not published yet."""
    with Residue(path) as residue:
        residue.note(residue.begin("a", 0), b"a/round-1", b"a/c1")
        residue.note(residue.remains["a"], b"a/round-2", b"a/c2")
    path.write_bytes(path.read_bytes()[:-5])
    assert noted(path) == {"a": (0, {b"a/round-1": b"a/c1"})}


def test_the_file_is_its_owners_and_one_canarys(path):
    """Two of them would erase each other's events."""
    with Residue(path):
        assert path.stat().st_mode & 0o077 == 0
        with pytest.raises(ContractError, match=r"another canary uses .*CONSOLIDATOR_STATE_DIR"):
            Residue(path)
    assert noted(path) == {}


def test_a_directory_that_cannot_be_made_is_named(tmp_path):
    """No traceback, but where."""
    (tmp_path / "canary").write_text("a file")
    with pytest.raises(InfrastructureError, match=str(tmp_path / "canary")):
        Residue(tmp_path / "canary" / "app.jsonl")
