"""Every kind of bad and odd input through a partition's fold, without Kafka: its verdict, and what is said of it."""

import json

import pytest

from consolidator.keys import event_key
from tests.inputs.bad_inputs import BAD_INPUTS, BAD_KEY, ODD_INPUTS
from tests.inputs.workloads import load_catalogue
from tests.oracle.folds import MAX_EVENT_BYTES, RECORDED_MS, Partition, Record
from tests.oracle.reference_decoder import is_event
from topics.records.dead_letter_format import CLASS, parse_dead_letter
from topics.records.record import Record as KafkaRecord


@pytest.mark.parametrize("kind", BAD_INPUTS)
def test_bad_input_becomes_a_dead_letter(kind):
    """Its defect, and the original value, key and headers; the second decoder refuses it, too."""
    bad = BAD_INPUTS[kind]
    partition = Partition(load_catalogue())
    partition.take(Record(0, BAD_KEY + kind.encode(), bad.value, headers=tuple(bad.headers)))
    [letter] = partition.sent
    assert dict(letter.headers)[CLASS] == bad.defect.value.encode()
    found = parse_dead_letter(KafkaRecord(letter.topic, 0, 0, 0, letter.key, letter.value, tuple(letter.headers)))
    assert (letter.value, found.key, list(found.headers)) == (bad.value, BAD_KEY + kind.encode(), list(bad.headers))
    assert bad.value is None or not is_event(bad.value, max_bytes=MAX_EVENT_BYTES, recorded_ms=RECORDED_MS)


@pytest.mark.parametrize("kind", ODD_INPUTS)
def test_odd_input_is_folded_with_its_issues(kind):
    """Under its canonical key, once, with exactly its quality issues; the second decoder accepts it, too."""
    odd = ODD_INPUTS[kind]
    partition = Partition(load_catalogue())
    canonical = event_key("odd", f"odd-{kind}")
    partition.take(Record(0, canonical if odd.key is None else odd.key, odd.value, headers=tuple(odd.headers)))
    if odd.key is not None:
        [again] = partition.sent
        assert (again.key, again.value, again.headers) == (canonical, odd.value, list(odd.headers))
        return
    [change] = [json.loads(sent.value) for sent in partition.sent if sent.topic == "factor-changes"]
    assert [(issue["issue"], issue.get("factor")) for issue in change["quality"]] == [
        (str(issue), factor) for issue, factor in odd.issues
    ]
    assert is_event(odd.value, max_bytes=MAX_EVENT_BYTES, recorded_ms=RECORDED_MS)
