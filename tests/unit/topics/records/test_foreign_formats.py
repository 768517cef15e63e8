"""What is no JSON in UTF-8 is named in the dead letter."""

import gzip
import json

import pytest

from models.errors import Defect
from tests.inputs.one_event import message, raw_of, read, refusal, with_text


@pytest.mark.parametrize(
    ("encode", "defect", "name"),
    [
        (lambda text: text.encode("utf-8-sig"), Defect.INVALID_JSON, "byte-order mark"),
        (lambda text: text.encode("utf-16"), Defect.INVALID_UTF8, "UTF-16"),
        (lambda text: b"\xfe\xff" + text.encode("utf-16-be"), Defect.INVALID_UTF8, "UTF-16"),
        (lambda text: text.encode("utf-16-le"), Defect.INVALID_JSON, "UTF-16"),
        (lambda text: text.encode("utf-16-be"), Defect.INVALID_JSON, "UTF-16"),
        (lambda text: text.encode("utf-32"), Defect.INVALID_UTF8, "UTF-32"),
        (lambda text: text.encode("utf-32-be"), Defect.INVALID_JSON, "UTF-32"),
        (lambda text: gzip.compress(text.encode(), mtime=0), Defect.INVALID_UTF8, "gzip"),
        (lambda text: b"\x28\xb5\x2f\xfd" + text.encode(), Defect.INVALID_UTF8, "zstd"),
        (lambda text: b"\x04\x22\x4d\x18\xff" + text.encode(), Defect.INVALID_UTF8, "lz4"),
        (lambda text: b"PK\x03\x04" + text.encode(), Defect.INVALID_JSON, "ZIP"),
        (lambda text: b"\x00\x00\x00\x00\x07" + text.encode(), Defect.INVALID_JSON, "schema registry"),
    ],
)
def test_another_format_is_named(encode, defect, name):
    """Whoever sees the dead letter knows what its producer has to change."""
    raw = encode(raw_of().decode())
    assert refusal(raw) is defect
    assert name in message(raw)


@pytest.mark.parametrize(
    "text",
    [
        *[r"\ud800", r"x\udc00", r"\ud83dx", r"\ud83d\n\ude00", r"\ud83d\ud83d\ude00", r"\ude00\ud83d"],
        *[r"\\\ud800", r"\ud83d\ude00\uDBFF", r"\u00e9\uD800\u00e9"],
    ],
)
@pytest.mark.parametrize("name", ["execution_id", "ignored"])
def test_half_of_a_surrogate_pair_is_named(text, name):
    """Wherever it stands, the message says what it is, and not that the input is truncated."""
    for raw in (with_text(name, f'"{text}"'), raw_of()[:-1] + f',"{text}":1}}'.encode()):
        assert refusal(raw) is Defect.INVALID_JSON
        assert "half of a surrogate pair" in message(raw)


@pytest.mark.parametrize("text", [r"\ud83d\ude00", r"\\ud800", r"\\\\ud800", r"\u00e9", "\U0001f600"])
def test_a_whole_pair_is_a_character(text):
    """So is a backslash before letters that look like half of one."""
    raw = with_text("execution_id", f'"{text}"')
    assert read(raw).execution_id == json.loads(f'"{text}"')
    assert "surrogate" not in message(raw[:-1])
