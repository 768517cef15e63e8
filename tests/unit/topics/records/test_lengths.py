"""Lengths: what becomes a key, a label or an entry of a cache is bounded in bytes."""

import pytest

from models.errors import Defect
from models.lengths import MAX_ID_BYTES, MAX_NAME_BYTES
from tests.inputs.one_event import message, read, refusal

IDS = ("application_id", "execution_id", "event_id", "supersedes")


@pytest.mark.parametrize("character", ["x", "é", "€", "😀"])
@pytest.mark.parametrize(("name", "limit"), [*[(name, MAX_ID_BYTES) for name in IDS], ("processor", MAX_NAME_BYTES)])
def test_an_id_and_a_name_have_a_length_in_bytes(name, limit, character):
    """512 for ids, 256 for names: inclusive, and in UTF-8, whatever the characters are."""
    longest = character * (limit // len(character.encode()))
    longest += "x" * (limit - len(longest.encode()))
    assert getattr(read(**{name: longest}), name) == longest
    assert refusal(**{name: longest + "x"}) is Defect.TOO_LONG
    assert message(**{name: longest + "x"}) == f"{name} has {limit + 1} bytes in UTF-8, the limit is {limit}"


@pytest.mark.parametrize("character", ["x", "é", "😀"])
def test_a_factors_name_and_an_errors_code_have_a_length_in_bytes(character):
    """They become labels and columns: 256 bytes; a factor's value and an error's message have none of their own."""
    longest = character * (MAX_NAME_BYTES // len(character.encode()))
    assert read(output={"factors": {longest: "v" * 5_000}}).factors == {longest: "v" * 5_000}
    assert refusal(output={"factors": {"f": 1, longest + "x": None}}) is Defect.TOO_LONG
    assert read(status="failed", error={"code": longest, "message": "m" * 5_000}).code == longest
    assert refusal(status="failed", error={"code": longest + "x"}) is Defect.TOO_LONG


def test_what_is_not_read_has_no_length():
    """An output or an error on a status that ignores it, and members that nobody knows."""
    name = "x" * 1_000
    assert read(status="started", output={"factors": {name: 1}}, error={"code": name}, **{name: name}).output_ignored
