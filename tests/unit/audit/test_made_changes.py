"""A fold's changes as values: the very ones that are read from the records that it publishes."""

from contextlib import nullcontext

import msgspec
import pytest

from consolidator.records import FactorChange
from streams.audit.made_changes import published_form
from streams.replay.replay import Replay
from streams.replay.tables import MemoryTable
from streams.rulesets.rule_book import RuleBook
from tests.inputs.cases import event, failed, ok, one_factor
from tests.inputs.kept_logs import kept_log
from tests.inputs.workloads import Rates, believable, load_catalogue
from tests.oracle.adoptions import AdoptedLog
from tests.oracle.expected import Tombstone
from tests.oracle.folds import MAX_EVENT_BYTES, Partition, catalogue_of, records_of, rules_of, topics_of
from topics.reading.ranges import Range

ODD = [
    *(ok(f"e{number}", number, {"x": number}) for number in range(60)),
    *(failed(f"f{number}", number, error={"code": "c"} if number % 2 else None) for number in range(60)),
    ok("e60", 61, {"x": None, "y/~\u00e9": 1}),
    event("e1", "cancelled", 62, attempt=None),
    ok("e61", 63, {"x": 0.125}, supersedes="e61", event_id="again"),
    Tombstone("app", "again"),
]


def read_back(record):
    return msgspec.json.encode(msgspec.json.decode(record.value, type=FactorChange))


def replayed(log, book, partitions):
    ends = dict.fromkeys(range(partitions), 0) | {record.partition: record.offset + 1 for record in log.records}
    replay = Replay(topics_of(partitions), book, MemoryTable(), MAX_EVENT_BYTES, open_log=lambda: nullcontext(log))
    ranges = {partition: Range(0, 0, end) for partition, end in ends.items()}
    return [batch.folded for batch in replay.run(log, ranges)]


def require_equal(results, topics):
    """Each record of factor-changes has its value, in the same order; return how many there are."""
    count = 0
    for folded in results:
        sent = [one for one in folded.outgoing if one.topic == topics.factor_changes.name]
        assert [made.record for made in folded.changes] == sent
        for made in folded.changes:
            assert msgspec.json.encode(published_form(made)) == read_back(made.record)
            assert made.row_key == (published_form(made).application_id + "/" + made.change.processor).encode()
        count += len(sent)
    return count


@pytest.mark.parametrize(
    ("items", "content", "partitions"),
    [
        pytest.param(believable(7, 12, rates=Rates()), load_catalogue(), 4, id="believable"),
        pytest.param(ODD, one_factor("mean"), 1, id="odd"),
    ],
)
def test_a_change_as_a_value_is_what_its_record_says(items, content, partitions):
    """Every member, digit for digit; a reader of the replay need not decode what the replay has written."""
    log = kept_log(items, partitions=partitions)
    results = replayed(log, RuleBook(rules_of(content)), partitions)
    assert require_equal(results, topics_of(partitions)) > 50


def test_a_change_of_an_adoption_is_what_its_record_says():
    """The cause is the ruleset; what differs was compared, not folded."""
    before, after = (catalogue_of(one_factor(reducer)) for reducer in ("sum", "count"))
    adopted = AdoptedLog(before, after, [ok(name, 1, {"x": 5}, application_id=name) for name in "abc"], 3)
    results = replayed(adopted.log, adopted.book, 1)
    assert require_equal(results, topics_of()) == 6
    [of_the_adoption] = [folded for folded in results if folded.changes and folded.mark.applied == 3]
    assert [published_form(made).cause.status for made in of_the_adoption.changes] == 3 * ["ruleset"]


def test_a_worker_keeps_no_values():
    """Once they are written, changes hold memory no longer: a worker needs none of them."""
    partition = Partition(one_factor("sum"))
    folded = partition.begin(records_of([ok("a", 1), ok("b", 2)]))
    assert folded.changes == []
    assert len(folded.outgoing) == 3
