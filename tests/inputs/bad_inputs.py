"""Bad and odd input by kind, with the expected result of each.

Bad input no worker can fold: the dead letter names its defect. Odd input is unusual, but valid: it is folded, with or
without quality issues, and published again under its canonical key first if it came under another one. Each has the
canary in place of a value: it must appear in the dead letter's value, and nowhere else.
"""

import gzip
from base64 import b64encode
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from models.errors import Defect
from models.quality import Issue, QualityIssue
from tests.inputs.workloads import parse_json, to_json
from topics.records.record import Record

CANARY = "CANARY-7f3a90"
"""Looked for in logs and headers; no other test writes it."""


BAD_KEY = b"bad "
"""What the keys of bad records begin with, so that a checker knows them."""


Headers = Sequence[tuple[str, bytes | None]]


class Bad(NamedTuple):
    """One bad record."""

    value: bytes | None
    defect: Defect
    headers: Headers = ()


class Odd(NamedTuple):
    """One record that is unusual and good. Its event id is ``odd-`` and its kind."""

    value: bytes
    issues: tuple[QualityIssue, ...] = ()
    headers: Headers = ()
    key: bytes | None = None
    """None: the canonical one."""


def _event(**changes: Any) -> bytes:
    event = {
        "event_id": "bad",
        "application_id": "bad",
        "execution_id": "bad-1",
        "processor": "device_fingerprint",
        "status": "completed",
        "occurred_at": "2025-03-03T09:00:00Z",
        "output": {"factors": {"f_device": CANARY}},
    } | changes
    return to_json({name: value for name, value in event.items() if value is not ...})


def _with_factor(text: str) -> bytes:
    return _event(output={"factors": {"f": "here"}}).replace(b'"here"', text.encode())


def _with_field(name: str, text: str) -> bytes:
    """The event with the given text for one member."""
    return _event(**{name: "here"}).replace(b'"here"', text.encode())


def _envelope(**members: Any) -> bytes:
    """A CloudEvent in structured mode around the event; ``...`` leaves a member out."""
    event = parse_json(_event())
    members = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "data": event} | members
    return to_json({name: value for name, value in members.items() if value is not ...})


_HUGE_HEADER = bytes(range(256)) * 1_000

BAD_INPUTS: dict[str, Bad] = {
    "invalid UTF-8": Bad(_event().replace(b"bad-1", b"\xff\xfe"), Defect.INVALID_UTF8),
    "truncated": Bad(_event()[:-3], Defect.INVALID_JSON),
    "text": Bad(CANARY.encode(), Defect.INVALID_JSON),
    "byte-order mark": Bad(b"\xef\xbb\xbf" + _event(), Defect.INVALID_JSON),
    "trailing text": Bad(_event() + b"x", Defect.INVALID_JSON),
    "NaN": Bad(_with_factor("NaN"), Defect.INVALID_JSON),
    "Infinity, nested": Bad(_event(ignored=[{"here": 1}]).replace(b"1}]", b"-Infinity}]"), Defect.INVALID_JSON),
    "empty": Bad(b"", Defect.EMPTY),
    "an array": Bad(b"[" + _event() + b"]", Defect.NOT_AN_OBJECT),
    "null as JSON": Bad(b"null", Defect.NOT_AN_OBJECT),
    "1e999": Bad(_with_factor("1e999"), Defect.NUMBER_LIMIT),
    "an integer of 4,000 digits": Bad(_with_factor("9" * 4_000), Defect.NUMBER_LIMIT),
    "too deep": Bad(
        _event(ignored=0).replace(b'"ignored":0', b'"ignored":' + b"[" * 100 + b"]" * 100), Defect.TOO_DEEP
    ),
    "a key twice": Bad(_event()[:-1] + b',"status":"failed"}', Defect.DUPLICATE_KEY),
    "attempt as text": Bad(_event(attempt="1"), Defect.INVALID_FIELD),
    "attempt as a boolean": Bad(_event(attempt=True), Defect.INVALID_FIELD),
    "attempt 0": Bad(_event(attempt=0), Defect.INVALID_FIELD),
    "attempt 1.0": Bad(_event(attempt="here").replace(b'"here"', b"1.0"), Defect.INVALID_FIELD),
    "no application": Bad(_event(application_id=...), Defect.MISSING_FIELD),
    "an empty execution id": Bad(_event(execution_id=""), Defect.INVALID_FIELD),
    "an unknown status": Bad(_event(status="exploded"), Defect.UNKNOWN_STATUS),
    "a newer schema": Bad(_event(schema_version=99), Defect.UNKNOWN_SCHEMA_VERSION),
    "a time without offset": Bad(_event(occurred_at="2025-03-03T09:00:00"), Defect.INVALID_TIME),
    "an impossible date": Bad(_event(occurred_at="2025-02-30T09:00:00Z"), Defect.INVALID_TIME),
    "the far future": Bad(_event(occurred_at="9999-01-01T00:00:00Z"), Defect.FAR_FUTURE),
    "an output that is a list": Bad(_event(output=[CANARY]), Defect.INVALID_OUTPUT),
    "a factor that is a list": Bad(_event(output={"factors": {"f": [CANARY]}}), Defect.INVALID_OUTPUT),
    "a factor that is an object": Bad(_event(output={"factors": {"f": {"g": CANARY}}}), Defect.INVALID_OUTPUT),
    "too large": Bad(_event(ignored="x" * 300_000), Defect.TOO_LARGE),
    # - text and JSON
    "UTF-16": Bad(_event().decode().encode("utf-16"), Defect.INVALID_UTF8),
    "an overlong encoding": Bad(_event().replace(b"bad-1", b"\xc0\xaf"), Defect.INVALID_UTF8),
    "a surrogate in UTF-8": Bad(_event().replace(b"bad-1", b"\xed\xa0\x80"), Defect.INVALID_UTF8),
    "a lone surrogate, escaped": Bad(_event().replace(b"bad-1", b"\\ud800"), Defect.INVALID_JSON),
    "a bare control character": Bad(_event().replace(b"bad-1", b"a\x00b"), Defect.INVALID_JSON),
    "white space only": Bad(b" \t\r\n", Defect.INVALID_JSON),
    "single quotes": Bad(_event().replace(b'"', b"'"), Defect.INVALID_JSON),
    "a comment": Bad(b"/* here */" + _event(), Defect.INVALID_JSON),
    "a trailing comma": Bad(_event()[:-1] + b",}", Defect.INVALID_JSON),
    "two events": Bad(_event() + b"\n" + _event(), Defect.INVALID_JSON),
    "a form": Bad(f"application_id=bad&f_device={CANARY}".encode(), Defect.INVALID_JSON),
    "XML": Bad(f"<event>{CANARY}</event>".encode(), Defect.INVALID_JSON),
    "gzip": Bad(gzip.compress(_event(), mtime=0), Defect.INVALID_UTF8),
    "zstd": Bad(b"\x28\xb5\x2f\xfd" + _event(), Defect.INVALID_UTF8),
    "UTF-16 without a mark": Bad(_event().decode().encode("utf-16-le"), Defect.INVALID_JSON),
    "UTF-32": Bad(_event().decode().encode("utf-32"), Defect.INVALID_UTF8),
    "Avro with a schema id": Bad(b"\x00\x00\x00\x00\x07" + CANARY.encode(), Defect.INVALID_JSON),
    "a string": Bad(f'"{CANARY}"'.encode(), Defect.NOT_AN_OBJECT),
    "a number": Bad(b"918273645546", Defect.NOT_AN_OBJECT),
    "a boolean": Bad(b"true", Defect.NOT_AN_OBJECT),
    "an empty object": Bad(b"{}", Defect.MISSING_FIELD),
    # - keys
    "a factor twice": Bad(_with_field("output", '{"factors":{"f":1,"f":2}}'), Defect.DUPLICATE_KEY),
    "a key twice, once escaped": Bad(_event()[:-1] + b',"st\\u0061tus":"failed"}', Defect.DUPLICATE_KEY),
    # - numbers
    "-Infinity": Bad(_with_factor("-Infinity"), Defect.INVALID_JSON),
    "1e999, nested": Bad(_with_field("ignored", '{"a":[1e999]}'), Defect.NUMBER_LIMIT),
    "1e-999": Bad(_with_factor("1e-999"), Defect.NUMBER_LIMIT),
    "39 digits": Bad(_with_factor("9" * 39), Defect.NUMBER_LIMIT),
    "1e39, spelled out": Bad(_with_factor("1" + "0" * 39), Defect.NUMBER_LIMIT),
    "1e-39": Bad(_with_factor("0.1e-38"), Defect.NUMBER_LIMIT),
    "an exponent of nine digits": Bad(_with_factor("1e999999999"), Defect.NUMBER_LIMIT),
    "39 decimals": Bad(_with_factor("0." + "1" * 39), Defect.NUMBER_LIMIT),
    "an exponent of twenty digits": Bad(_with_factor("1e" + "9" * 20), Defect.NUMBER_LIMIT),
    "a leading zero": Bad(_with_factor("012"), Defect.INVALID_JSON),
    "a plus sign": Bad(_with_factor("+1"), Defect.INVALID_JSON),
    "hexadecimal": Bad(_with_factor("0x1F"), Defect.INVALID_JSON),
    # - nesting
    "objects too deep": Bad(_with_field("ignored", '{"a":' * 40 + "1" + "}" * 40), Defect.TOO_DEEP),
    "100,000 brackets": Bad(b"[" * 100_000, Defect.TOO_DEEP),
    # - fields
    "attempt -1": Bad(_event(attempt=-1), Defect.INVALID_FIELD),
    "attempt beyond 32 bits": Bad(_event(attempt=2**31), Defect.INVALID_FIELD),
    "sequence as text": Bad(_event(sequence="1"), Defect.INVALID_FIELD),
    "sequence -1": Bad(_event(sequence=-1), Defect.INVALID_FIELD),
    "a number as application": Bad(_event(application_id=17), Defect.INVALID_FIELD),
    "an empty application": Bad(_event(application_id=""), Defect.INVALID_FIELD),
    "an execution that is null": Bad(_event(execution_id=None), Defect.MISSING_FIELD),
    "no processor": Bad(_event(processor=...), Defect.MISSING_FIELD),
    "a processor that is an object": Bad(_event(processor={"name": CANARY}), Defect.INVALID_FIELD),
    "an empty event id": Bad(_event(event_id=""), Defect.INVALID_FIELD),
    "an empty supersedes": Bad(_event(supersedes=""), Defect.INVALID_FIELD),
    "supersedes as a list": Bad(_event(supersedes=["bad-0"]), Defect.INVALID_FIELD),
    "no status": Bad(_event(status=...), Defect.MISSING_FIELD),
    "a status in capitals": Bad(_event(status="COMPLETED"), Defect.UNKNOWN_STATUS),
    "a status that is a list": Bad(_event(status=["completed"]), Defect.UNKNOWN_STATUS),
    "schema 0": Bad(_event(schema_version=0), Defect.UNKNOWN_SCHEMA_VERSION),
    "a schema as text": Bad(_event(schema_version="1"), Defect.INVALID_FIELD),
    "an error that is a text": Bad(_event(status="failed", error=CANARY), Defect.INVALID_FIELD),
    "an error code that is a number": Bad(_event(status="failed", error={"code": 17}), Defect.INVALID_FIELD),
    # - lengths
    "an application of 513 bytes": Bad(_event(application_id="a" * 513), Defect.TOO_LONG),
    "an application of 200 KB": Bad(_event(application_id="a" * 200_000), Defect.TOO_LONG),
    "an execution of 513 bytes": Bad(_event(execution_id="é" * 256 + "e"), Defect.TOO_LONG),
    "an event id of 513 bytes": Bad(_event(event_id="e" * 513), Defect.TOO_LONG),
    "supersedes of 513 bytes": Bad(_event(supersedes="s" * 513), Defect.TOO_LONG),
    "a processor of 257 bytes": Bad(_event(processor="é" * 128 + "p"), Defect.TOO_LONG),
    "an error code of 257 bytes": Bad(_event(status="failed", error={"code": "C" * 257}), Defect.TOO_LONG),
    "a factor's name of 257 bytes": Bad(_event(output={"factors": {"f" * 257: CANARY}}), Defect.TOO_LONG),
    "a time of 65 bytes": Bad(_event(occurred_at=f"2025-03-03T09:00:00.{'0' * 44}Z"), Defect.TOO_LONG),
    # - times
    "no time": Bad(_event(occurred_at=...), Defect.MISSING_FIELD),
    "a time as a number": Bad(_event(occurred_at=1_740_992_400), Defect.INVALID_FIELD),
    "a time with a space": Bad(_event(occurred_at="2025-03-03 09:00:00Z"), Defect.INVALID_TIME),
    "a leap second at nine": Bad(_event(occurred_at="2025-03-03T09:00:60Z"), Defect.INVALID_TIME),
    "a leap second in September": Bad(_event(occurred_at="2016-09-30T23:59:60Z"), Defect.INVALID_TIME),
    "a leap second by another clock": Bad(_event(occurred_at="2016-12-31T23:59:60+01:00"), Defect.INVALID_TIME),
    "the hour 24": Bad(_event(occurred_at="2025-03-03T24:00:00Z"), Defect.INVALID_TIME),
    "before the year 1 in UTC": Bad(_event(occurred_at="0001-01-01T00:00:00+01:00"), Defect.INVALID_TIME),
    "a time in another script": Bad(
        _event(occurred_at="\N{FULLWIDTH DIGIT TWO}025-03-03T09:00:00Z"), Defect.INVALID_TIME
    ),
    # - outputs
    "an output that is a text": Bad(_event(output=CANARY), Defect.INVALID_OUTPUT),
    "factors that are a list": Bad(_event(output={"factors": [CANARY]}), Defect.INVALID_OUTPUT),
    # - structured CloudEvents
    "a CloudEvent without data": Bad(_envelope(data=...), Defect.MISSING_FIELD),
    "a CloudEvent whose data is null": Bad(_envelope(data=None), Defect.INVALID_FIELD),
    "a CloudEvent whose data is a text": Bad(_envelope(data=_event().decode()), Defect.INVALID_FIELD),
    "a CloudEvent whose data is a list": Bad(_envelope(data=[CANARY]), Defect.INVALID_FIELD),
    "a CloudEvent whose data is empty": Bad(_envelope(data={}), Defect.MISSING_FIELD),
    "a CloudEvent in base64, empty": Bad(_envelope(data=..., data_base64="e30="), Defect.MISSING_FIELD),
    "a CloudEvent in what is no base64": Bad(_envelope(data=..., data_base64="e30"), Defect.INVALID_FIELD),
    "a CloudEvent with data twice": Bad(_envelope(data_base64="e30="), Defect.INVALID_FIELD),
    "a CloudEvent in base64 of a list": Bad(_envelope(data=..., data_base64="W10="), Defect.NOT_AN_OBJECT),
    "a CloudEvent in a CloudEvent": Bad(_envelope(data=parse_json(_envelope())), Defect.MISSING_FIELD),
    "a batch of CloudEvents": Bad(b"[" + _envelope() + b"]", Defect.NOT_AN_OBJECT),
    # - headers have no effect on a bad event, and are kept
    "bad, with wrong CloudEvents headers": Bad(
        _event(status="exploded"),
        Defect.UNKNOWN_STATUS,
        headers=[("ce_specversion", b"9.9"), ("ce_id", b""), ("ce_type", b"\xff\xfe"), ("ce_time", b"yesterday")],
    ),
    "bad, with the headers of a dead letter": Bad(
        b"[]",
        Defect.NOT_AN_OBJECT,
        headers=[("dlq_topic", b"elsewhere"), ("dlq_offset", b"no number"), ("dlq_error_class", b"none")],
    ),
    "bad, with a huge header": Bad(b"{", Defect.INVALID_JSON, headers=[("huge", _HUGE_HEADER)]),
    "bad, with a thousand headers": Bad(b"{", Defect.INVALID_JSON, headers=[("h", b"%d" % n) for n in range(1_000)]),
    "bad, with an empty header's name": Bad(b"{", Defect.INVALID_JSON, headers=[("", None), ("", b"")]),
    "a tombstone without a canonical key": Bad(None, Defect.TOMBSTONE_KEY),
    "a tombstone with headers": Bad(None, Defect.TOMBSTONE_KEY, headers=[("ce_id", b"1")]),
    "a tombstone with a huge header": Bad(None, Defect.TOMBSTONE_KEY, headers=[("huge", _HUGE_HEADER)]),
}

STEERING = "\x1b[2J\u202e\u2028<script>"
"""What could steer a terminal or a page: kept as it is, escaped wherever it is shown."""


def _odd(kind: str, **changes: Any) -> bytes:
    return _event(**{"event_id": f"odd-{kind}", "application_id": "odd", "execution_id": kind} | changes)


def _odd_envelope(kind: str, **members: Any) -> bytes:
    return _envelope(data=parse_json(_odd(kind)), **members)


def _income(kind: str, value: Any) -> bytes:
    return _odd(kind, processor="proof_of_income", output={"factors": {"f_income_monthly": value}})


ODD_INPUTS: dict[str, Odd] = {
    "no output": Odd(_odd("no output", output=...)),
    "an output that is null": Odd(_odd("an output that is null", output=None)),
    "an output without factors": Odd(_odd("an output without factors", output={})),
    "factors that are null": Odd(_odd("factors that are null", output={"factors": None})),
    "a factor that is null": Odd(
        _odd("a factor that is null", output={"factors": {"f": None}}), (QualityIssue(Issue.FACTOR_NULL, "f"),)
    ),
    "below its bound": Odd(
        _income("below its bound", -1), (QualityIssue(Issue.FACTOR_OUT_OF_BOUNDS, "f_income_monthly"),)
    ),
    "above its bound": Odd(
        _income("above its bound", 10_000_001),
        (QualityIssue(Issue.FACTOR_OUT_OF_BOUNDS, "f_income_monthly"),),
    ),
    "a text for a number": Odd(
        _income("a text for a number", CANARY),
        (QualityIssue(Issue.FACTOR_WRONG_TYPE, "f_income_monthly"),),
    ),
    "a boolean for a number": Odd(
        _income("a boolean for a number", True),  # noqa: FBT003 - a factor's value
        (QualityIssue(Issue.FACTOR_WRONG_TYPE, "f_income_monthly"),),
    ),
    "an output on a failure": Odd(
        _odd("an output on a failure", status="failed", output=[CANARY]), (QualityIssue(Issue.OUTPUT_IGNORED),)
    ),
    "superseding itself": Odd(
        _odd("superseding itself", supersedes="superseding itself"), (QualityIssue(Issue.SUPERSEDES_ITSELF),)
    ),
    "38 digits": Odd(_odd("38 digits", output={"factors": {"f": int("9" * 38)}})),
    "1e38, spelled out": Odd(_odd("1e38, spelled out", output={"factors": {"f": 10**38}})),
    "0e400": Odd(_odd("0e400", output={"factors": {"f": "here"}}).replace(b'"here"', b"0e400")),
    "1.0e-38": Odd(_odd("1.0e-38", output={"factors": {"f": "here"}}).replace(b'"here"', b"1.0e-38")),
    "the longest ids and names": Odd(
        _odd(
            "the longest ids and names",
            execution_id="é" * 256,
            supersedes="s" * 512,
            processor="p" * 256,
            output={"factors": {"f" * 256: 1}},
        )
    ),
    "a leap second": Odd(_odd("a leap second", occurred_at="2016-12-31T23:59:60.5Z")),
    "no declared field": Odd(
        _odd("no declared field", processor="bank_statement", output={"factors": {"f_revenue": 1}}),
        (QualityIssue(Issue.NO_DECLARED_FIELD),),
    ),
    "factors beside the output": Odd(
        _odd("factors beside the output", output=..., factors={"f": 1}),
        (QualityIssue(Issue.FACTORS_MISPLACED, "factors"),),
    ),
    "outputs": Odd(
        _odd("outputs", output=..., outputs={"factors": {"f": 1}}), (QualityIssue(Issue.FACTORS_MISPLACED, "outputs"),)
    ),
    "a factor in the output": Odd(
        _odd("a factor in the output", output={"factor": {"f": 1}}),
        (QualityIssue(Issue.FACTORS_MISPLACED, "output.factor"),),
    ),
    "steering characters": Odd(
        _odd("steering characters", execution_id=STEERING, output={"factors": {STEERING: STEERING}})
    ),
    "fields that nobody knows": Odd(_odd("fields that nobody knows", ignored=[{"a": None}], **{STEERING: CANARY})),
    "white space around": Odd(b" \n" + _odd("white space around") + b"\t\r\n "),
    "a time in the far past": Odd(_odd("a time in the far past", occurred_at="0001-01-01T00:00:00Z")),
    "wrong CloudEvents headers": Odd(
        _odd("wrong CloudEvents headers"),
        headers=[("ce_specversion", b"9.9"), ("ce_id", b"another"), ("ce_type", b"\xff\xfe"), ("ce_subject", None)],
    ),
    "an unknown content type": Odd(_odd("an unknown content type"), headers=[("content-type", b"application/avro")]),
    "a header without value": Odd(_odd("a header without value"), headers=[("none", None), ("", b"")]),
    "a huge header": Odd(_odd("a huge header"), headers=[("huge", _HUGE_HEADER)]),
    "a CloudEvent": Odd(_odd_envelope("a CloudEvent")),
    "a CloudEvent in base64": Odd(_envelope(data=..., data_base64=b64encode(_odd("a CloudEvent in base64")).decode())),
    "a CloudEvent of no version": Odd(_odd_envelope("a CloudEvent of no version", specversion=None, id=7, type=[])),
    "a foreign key": Odd(_odd("a foreign key"), key=b"odd"),
    "a binary key": Odd(_odd("a binary key"), headers=[("kept", b"\xff")], key=b"\x00\xff"),
    "an empty key": Odd(_odd("an empty key"), key=b""),
}


def bad_positions(source: Iterable[Record]) -> frozenset[tuple[int, int]]:
    """The places of the bad records in the source: partition and offset."""
    return frozenset((record.partition, record.offset) for record in source if (record.key or b"").startswith(BAD_KEY))
