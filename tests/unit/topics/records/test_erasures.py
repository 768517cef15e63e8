"""Entries, what they say of an application, and to whom topics belong."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import ContractError
from topics.records.bindings import Binding, binding_in, in_force
from topics.records.erasures import entries_in, erasure_of, forgotten_in
from topics.records.record import Record

SALT, OTHER_SALT = bytes(range(16)), bytes(16)


def entry(erasure, partition=3, offset=17, *, at=None, value=None):
    key = erasure.entry_key(partition, offset)
    return Record("erasures", partition if at is None else at, 0, 0, key, value or erasure.entry_value, ())


@pytest.mark.parametrize("lifted", [True, False])
def test_an_entry_is_read_as_it_was_written(lifted):
    """It has all that its record has, so that it confirms no other one."""
    erasure = erasure_of("app/1", SALT, lifted=lifted)
    assert list(entries_in(entry(erasure))) == [(17, erasure)]
    assert b"app" not in erasure.entry_key(3, 17) + erasure.entry_value


def test_what_is_no_entry_confirms_nothing():
    """Another key, a tombstone, another partition's, damaged."""
    erasure = erasure_of("app", SALT)
    strangers = [
        Record("erasures", 3, 0, 0, b"else/3/17", erasure.entry_value, ()),
        Record("erasures", 3, 0, 0, erasure.entry_key(3, 17), None, ()),
        entry(erasure, at=2),
        entry(erasure, value=b"{"),
        entry(erasure, value=erasure.value),
        Record("erasures", 3, 0, 0, b"erasure/3/x", erasure.entry_value, ()),
    ]
    assert [found for record in strangers for found in entries_in(record)] == []


def test_an_entry_of_a_later_version_is_not_ignored():
    """An application that is erased would live; the error says where the entry stands."""
    later = json.dumps({"schema_version": 2}).encode()
    with pytest.raises(ContractError, match=r"erasures partition 3 offset 0: an entry of schema_version 2"):
        list(entries_in(entry(erasure_of("app", SALT), value=later)))


@given(st.lists(st.tuples(st.sampled_from(["app", "other"]), st.sampled_from([SALT, OTHER_SALT]), st.booleans())))
def test_the_last_erasure_of_an_application_is_told(steps):
    """Where it stands, and what of it has to be lifted: with each salt for itself, as the workers keep it."""
    standing, at = {}, None
    for offset, (application, salt, lifted) in enumerate(steps):
        if application != "app":
            continue
        if lifted:
            standing.pop(salt, None)
        elif salt not in standing:
            standing[salt] = at = offset
    entries = {at: erasure_of(name, salt, lifted=lifted) for at, (name, salt, lifted) in enumerate(steps)}
    found = forgotten_in(entries, 2, "app")
    if at is None:
        assert found is None
    else:
        assert (found.partition, found.offset, found.lifted) == (2, at, not standing)
        assert {one.salt for one in found.standing} == {*standing}
        assert str(found).startswith(f"erased at 2:{at}")
        assert ("lifted" in str(found)) == found.lifted


def binding_record(binding, value=None):
    return Record("rulesets", 0, 5, 0, binding.key, value or binding.value, ())


def test_a_binding_is_read_as_it_was_written():
    """Under a key of its own each time: compaction would take an earlier one away."""
    binding = Binding("lending", "prod.", "before", {0: 17, 3: 4})
    assert binding_in(binding_record(binding)) == binding
    assert binding.key != binding.key
    assert binding_in(Record("rulesets", 0, 5, 0, b"catalogue/x", b"{}", ())) is None
    assert binding_in(binding_record(binding, b"{}")) is None
    with pytest.raises(ContractError, match="a binding of schema_version 2"):
        binding_in(binding_record(binding, b'{"schema_version":2}'))


def test_the_first_binding_holds_and_a_move_says_from_whom():
    """Of two that came at the same time the second does nothing; nor does a move from somebody else."""
    first, second = Binding("a", ""), Binding("b", "")
    move, stray = Binding("c", "", moved_from="a"), Binding("d", "", moved_from="b")
    assert in_force([]) is None
    assert in_force([first, second]) is first
    assert in_force([first, second, stray, move]) is move
    assert in_force([first, move, Binding("a", "", moved_from="c")]).app_id == "a"
