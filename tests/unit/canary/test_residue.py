"""The file of what has to be erased: whole after a kill, and used by one canary at a time."""

import errno
import os

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


def test_a_kill_while_the_file_is_replaced_loses_nothing(path, monkeypatch):
    """What was there stays until the new file is whole: also when the disk takes no more."""
    with Residue(path) as residue:
        kept, gone = residue.begin("a", 0), residue.begin("b", 1)
        residue.note(kept, b"a/round-1", b"a/c1")
        before = path.read_bytes()

        class KilledError(BaseException):
            """The process ends here."""

        def killed(*_):
            raise KilledError

        with monkeypatch.context() as patched:
            patched.setattr(os, "write", killed)
            with pytest.raises(KilledError):
                residue.forget(gone)
        assert path.read_bytes() == before
    assert noted(path) == {"a": (0, {b"a/round-1": b"a/c1"}), "b": (1, {})}


def test_a_write_that_takes_a_part_is_gone_on_with(path, monkeypatch):
    """The system may take fewer bytes than it is given."""
    write = os.write
    monkeypatch.setattr(os, "write", lambda number, content: write(number, bytes(content)[:3]))
    with Residue(path) as residue:
        residue.note(residue.begin("a", 0), b"a/round-1", b"a/c1")
    assert noted(path) == {"a": (0, {b"a/round-1": b"a/c1"})}


def test_half_a_line_on_a_full_disk_spoils_no_other_one(path, monkeypatch):
    """An event that could not be noted is not there; later ones are, and the next start reads the file."""
    with Residue(path) as residue:
        remains = residue.begin("a", 0)
        with monkeypatch.context() as patched:
            patched.setattr(os, "write", full_after(10))
            with pytest.raises(InfrastructureError, match=str(path)):
                residue.note(remains, b"a/round-1", b"a/c1")
            with pytest.raises(InfrastructureError, match=str(path)):
                residue.begin("b", 1)
        assert residue.remains == {"a": remains}
        residue.note(remains, b"a/round-2", b"a/c2")
    assert noted(path) == {"a": (0, {b"a/round-2": b"a/c2"})}


def full_after(number_of_bytes):
    """What writes until the disk is full."""
    write, rest = os.write, [number_of_bytes]

    def limited(number, content):
        part = bytes(content)[: rest[0]]
        if not part:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        rest[0] -= len(part)
        return write(number, part)

    return limited


@pytest.mark.parametrize(
    "line", [b'{"application":"a","ke{"application"', b"\xff", b"[]", b'{"application":"b","key":"k","change":"c"}']
)
def test_a_line_that_cannot_be_read_is_named(path, line):
    """With what to do, and the file stays as it is; after that the lock is free."""
    with Residue(path) as residue:
        residue.begin("a", 0)
    content = path.read_bytes()
    path.write_bytes(content + line + b"\n")
    with pytest.raises(InfrastructureError, match=r"app\.jsonl: line 2 cannot be read.*To do: .*consolidator erase"):
        Residue(path)
    assert path.read_bytes() == content + line + b"\n"
    path.write_bytes(content)
    assert noted(path) == {"a": (0, {})}
