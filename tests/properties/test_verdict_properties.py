"""Laws of verdicts: numbers are judged by value, and whatever is accepted and written can be read again."""

import json
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from consolidator.keys import event_key, partition_of
from models.errors import BadEventError, CatalogueError, Defect
from models.numbers import exact_number, scalar_text, within_limits
from streams.audit.evidence.bundle import Evidence, EvidenceCheck, TopicNames
from streams.audit.evidence.files import check_files, read_evidence, write_evidence
from streams.core.rules import Rules
from streams.replay.application_log import KeptLog
from streams.rulesets.catalogue_file import catalogue_json, parse_catalogue
from tests.inputs.cases import ok
from tests.inputs.kept_logs import FIRST_MS, published
from tests.inputs.strategies import ADVERSARIAL_CATALOGUE
from tests.inputs.workloads import to_json
from tests.oracle.folds import MAX_EVENT_BYTES, catalogue_of, topics_of
from topics.records.adoptions import KnownRulesets
from topics.records.decoding import decode_event
from topics.records.record import Record

_DIGITS = st.text("0123456789", min_size=1, max_size=45)
_FEW_DIGITS = st.sampled_from(["0", "1", "9", "10", "25", "1" + "0" * 37, "9" * 38, "9" * 39, "1" + "0" * 37 + "1"])


@st.composite
def spellings(draw: st.DrawFn) -> list[str]:
    """One number, spelled several ways: the point is moved, and zeros are put at both ends."""
    digits = draw(_DIGITS | _FEW_DIGITS)
    exponent = draw(st.integers(-90, 90))
    sign = draw(st.sampled_from(["", "-"]))
    found = []
    for _ in range(draw(st.integers(2, 4))):
        shift = draw(st.integers(-60, 60))
        zeros = draw(st.integers(0, 30))
        padded = digits + "0" * zeros
        point = len(digits) + shift
        if point <= 0:
            whole, fraction = "0", "0" * -point + padded
        else:
            whole, fraction = padded.ljust(point, "0")[:point], padded[point:]
        whole = whole.lstrip("0") or "0"
        power = exponent - shift
        mark = draw(st.sampled_from(["e", "E", "e+" if power >= 0 else "e"]))
        found.append(f"{sign}{whole}{'.' + fraction if fraction else ''}{'' if power == 0 else f'{mark}{power}'}")
    return found


def value_of(text: str) -> Fraction:
    return Fraction(text)


def is_within(value: Fraction) -> bool:
    """The rule, said a second time: by value alone."""
    if value == 0:
        return True
    units = value * 10**38
    if units.denominator != 1 or abs(value) >= 10**39:
        return False
    return len(str(abs(units.numerator)).rstrip("0")) <= 38


@given(spellings())
def test_a_number_is_judged_by_its_value(texts: list[str]) -> None:
    """All spellings of a number have one verdict, the rule's, and one canonical text, which is accepted again."""
    (value,) = {value_of(text) for text in texts}
    numbers = [exact_number(text) for text in texts]
    assert {number is not None for number in numbers} == {is_within(value)}
    for number in numbers:
        if number is not None:
            text = scalar_text(number)
            assert Fraction(text) == value
            assert "e" not in text.lower()
            assert within_limits(number)
            if value.denominator == 1:
                assert within_limits(int(text))


@given(spellings())
def test_the_decoder_judges_a_number_by_its_value(texts: list[str]) -> None:
    """As a factor and anywhere else, and two spellings of one number are one event."""
    event = to_json(ok("e", 1, {"x": "here"}))
    found = set()
    for text in texts:
        try:
            decoded = decode_event(event.replace(b'"here"', text.encode()), max_bytes=MAX_EVENT_BYTES)
            found.add(decoded.digest)
        except BadEventError as error:
            found.add(error.defect)
    assert len(found) == 1
    assert (found == {Defect.NUMBER_LIMIT}) is not is_within(value_of(texts[0]))


_NAMES = st.one_of(
    st.sampled_from(["x", "y", "a.b", 'quo"te', "back\\slash", "é" * 128, "x" * 256, "x" * 257, "\u202e", "tab\there"]),
    st.text(max_size=20),
)


@st.composite
def catalogue_texts(draw: st.DrawFn) -> str:
    """A catalogue as JSON text, with bounds in any spelling; many of them are refused."""
    processors: dict[str, Any] = {}
    bounds: list[str] = []

    def bound() -> str:
        bounds.append(draw(spellings())[0])
        return f"@{len(bounds) - 1}@"

    for name in draw(st.lists(_NAMES, max_size=3, unique=True)):
        factors = {}
        for factor in draw(st.lists(_NAMES, min_size=1, max_size=3, unique=True)):
            rule: dict[str, Any] = {
                "reducer": draw(st.sampled_from(["max", "mean", "latest", "count"])),
                "field": draw(_NAMES),
            }
            if draw(st.booleans()):
                rule[draw(st.sampled_from(["minimum", "maximum"]))] = bound()
            rule |= draw(st.fixed_dictionaries({}, optional={"unit": _NAMES, "description": st.text(max_size=10)}))
            factors[factor] = rule
        processors[name] = {"type": draw(st.sampled_from(["document", "application"])), "factors": factors}
    text = json.dumps({"schema_version": 1, "name": "law", "version": "1", "processors": processors})
    for number, spelling in enumerate(bounds):
        text = text.replace(f'"@{number}@"', spelling)
    return text


@given(catalogue_texts())
@settings(max_examples=300)
def test_a_catalogue_that_is_accepted_can_be_shown_and_checked_again(text: str) -> None:
    """``check(show(x)) = x``: the same value with the same digest, as often as one likes."""
    try:
        catalogue = parse_catalogue(text.encode(), suffix=".json", source="c")
    except CatalogueError:
        return
    shown = catalogue_json(catalogue)
    again = parse_catalogue(shown.encode(), suffix=".json", source="shown")
    assert again == catalogue
    assert again.digest == catalogue.digest
    assert catalogue_json(again) == shown


_VALUES = st.one_of(
    spellings().map(lambda texts: texts[0]),
    st.sampled_from(
        ["1e38", "1" + "0" * 38, "0e400", "1.0e-38", "true", "null", '"\\u0000\\u202e"', '"😀"', '"\\ud83d\\ude00"']
    ),
)
_PROCESSORS = st.sampled_from([*ADVERSARIAL_CATALOGUE["processors"], "unknown", "é" * 128])


@st.composite
def raw_events(draw: st.DrawFn) -> bytes:
    """A completed event with factors in any spelling, ids of any length, and members at odd places."""
    limits = st.sampled_from(["e", "😀" * 128, "x" * 512, "x" * 513, "/%"])
    event = ok(draw(limits), draw(st.integers(0, 50)), {"amount": "@0@", draw(_NAMES): "@1@"})
    event |= {"processor": draw(_PROCESSORS), "event_id": draw(limits) + str(draw(st.integers(0, 3)))}
    event |= draw(st.fixed_dictionaries({}, optional={"factors": st.just({}), "outputs": st.none()}))
    raw = to_json(event)
    for number in range(2):
        raw = raw.replace(f'"@{number}@"'.encode(), draw(_VALUES).encode())
    return raw


@given(st.lists(raw_events(), min_size=1, max_size=8))
@settings(max_examples=60)
def test_evidence_of_whatever_is_accepted_can_be_verified(raws: list[bytes]) -> None:
    """Written, read back and checked: nothing differs, whatever the events hold."""
    topics, catalogue, partition = topics_of(4), catalogue_of(ADVERSARIAL_CATALOGUE), partition_of("app", 4)
    records = []
    for raw in raws:
        with suppress(BadEventError):
            key = event_key("app", decode_event(raw, max_bytes=MAX_EVENT_BYTES).event_id)
            records.append(Record("executions", partition, len(records), FIRST_MS, key, raw, ()))
    log = KeptLog("executions", 4, records)
    changes, factors = published(log, topics, Rules(catalogue))
    names, end = TopicNames.of(topics), len(records)
    evidence = Evidence(
        *("app", names, partition, 0, end, MAX_EVENT_BYTES, catalogue, KnownRulesets(), records, changes, factors, 0)
    )
    check = EvidenceCheck(evidence)
    assert list(check.run()) == []
    with TemporaryDirectory() as name:
        directory = Path(name) / "evidence"
        write_evidence(directory, evidence, check.report().members())
        assert check_files(directory) == []
        again, report = read_evidence(directory)
        assert (again, report) == (evidence, check.report().members())
        assert list(EvidenceCheck(again).run()) == []
