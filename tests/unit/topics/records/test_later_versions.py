"""Records that a later version has written are refused by name: none is ignored, none read for less than it says."""

import json

import pytest

from models.errors import BadEventError, ContractError, Defect
from topics.records.adoptions import Adoption, adoptions_in
from topics.records.dead_letter_format import dead_letter_headers, parse_dead_letter
from topics.records.erasures import erasure_of, parse_erasure
from topics.records.record import Record
from topics.records.schema_version import newer_version, version_of

SALT = bytes(range(16))


def written(value: bytes, **members) -> bytes:
    """A JSON record with other members."""
    return json.dumps(json.loads(value) | members).encode()


def in_rulesets(key: bytes, value: bytes) -> Record:
    return Record("rulesets", 2, 17, 0, key, value, ())


def test_an_adoption_of_a_later_version_is_not_ignored():
    """A partition would go on with the ruleset that it left; the error says where the record stands."""
    adoption = Adoption(3, 99, "before", "after")
    assert list(adoptions_in(in_rulesets(adoption.key, adoption.value))) == [adoption]
    with pytest.raises(ContractError, match=r"rulesets partition 2 offset 17.*schema_version 2, this program knows 1"):
        list(adoptions_in(in_rulesets(adoption.key, written(adoption.value, schema_version=2))))
    with pytest.raises(ContractError, match="a later version has written it"):
        list(adoptions_in(in_rulesets(adoption.key, b'{"schema_version":2}')))


def test_an_erasure_of_a_later_version_is_a_dead_letter_that_says_so():
    """Whoever may publish may write one: it ends no worker, and erases nothing that it may not be about."""
    erasure = erasure_of("app", SALT)
    assert parse_erasure(erasure.key, erasure.value) == erasure
    with pytest.raises(BadEventError, match=r"schema_version 2, the newest known is 1.*later version") as caught:
        parse_erasure(erasure.key, written(erasure.value, schema_version=2))
    assert caught.value.defect is Defect.INVALID_ERASURE


@pytest.mark.parametrize("digits", [1, 18, 30, 4_000])
def test_a_number_of_somebody_elses_fills_no_error(digits):
    """A version that no program will ever have is shown cut."""
    erasure = erasure_of("app", SALT)
    raw = erasure.value.replace(b'"schema_version":1', b'"schema_version":' + b"9" * digits)
    with pytest.raises(BadEventError) as caught:
        parse_erasure(erasure.key, raw)
    assert len(str(caught.value)) < 250


def test_a_dead_letter_of_a_later_format_is_not_taken_for_somebody_elses():
    """It is neither left out of a list nor redriven as what it is not."""
    error = BadEventError(Defect.EMPTY, "nothing")
    headers = dead_letter_headers(error, topic="t", partition=3, offset=1, timestamp_ms=5, key=b"k", headers=())
    letter = Record("executions.dlq", 3, 8, 0, b"t/3/1", b"", tuple(headers))
    assert parse_dead_letter(letter).offset == 1
    later = Record("executions.dlq", 3, 8, 0, b"t/3/1", b"", (*headers, ("dlq_format", b"9")))
    with pytest.raises(ContractError, match=r"executions.dlq partition 3 offset 8: a dead letter of format '9'"):
        parse_dead_letter(later)


@pytest.mark.parametrize("raw", [None, b"", b"[]", b"{", b'{"a":1}', b'{"schema_version":null}', b"\xff", b"{}"])
def test_what_has_no_version_is_of_no_later_one(raw):
    """Whatever else is wrong with it is for its reader to say."""
    assert newer_version(version_of(raw), 1) is None


@pytest.mark.parametrize("version", [True, 2.0, "2", [2], None, 1, 0, -1])
def test_only_an_integer_is_a_later_version(version):
    """A boolean or a fraction is a mistake, not a later version."""
    assert newer_version(version, 1) is None
