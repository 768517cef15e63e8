"""Another ruleset in the middle of a partition: what the fold publishes, and that a replay comes to the same."""

import json
from contextlib import nullcontext
from dataclasses import replace

import pytest

from consolidator.records import decode_change
from models.errors import ContractError
from streams.audit.verification.findings import Kind
from streams.audit.verification.verify import Verification
from streams.core.rules import Rules
from streams.partition.adoption import PART_PAIRS
from streams.partition.batch import Batch
from streams.partition.batch_parts import fold_in_parts
from streams.partition.partition_fold import PartitionFold
from streams.partition.ruleset_switches import NoSwitches
from streams.partition.state.row_codec import MARK_KEY, decode_row
from streams.replay.application_log import KeptLog
from streams.replay.replay import Replay, folded_until
from streams.replay.tables import MemoryTable
from streams.rulesets.catalogue_file import catalogue_json
from streams.rulesets.rule_book import RuleBook
from tests.inputs.cases import failed, ok, one_factor
from tests.oracle.expected import Tombstone
from tests.oracle.folds import MAX_EVENT_BYTES, RECORDED_MS, StoredRows, catalogue_of, record_of, topics_of
from topics.reading.ranges import Range
from topics.records.adoptions import ADOPTION_PREFIX, Adoption, KnownRulesets
from topics.records.dead_letter_format import CLASS
from topics.records.erasure_authority import EveryErasure
from topics.records.erasures import erasure_of
from topics.records.record import Record

TOPICS = topics_of()
SUM = catalogue_of(one_factor("sum"))
WIDER = catalogue_of(
    {
        "version": "2",
        "processors": {
            "p": {
                "type": "document",
                "factors": {"f": {"reducer": "max", "field": "x"}, "g": {"reducer": "latest", "field": "y"}},
            }
        },
    }
)
"""Another reducer, and a factor of a field that the first catalogue does not read."""

HERE = 4
"""Where the adoption stands in :data:`LOG`."""

ADOPTION = Adoption(0, HERE, SUM.digest, WIDER.digest)
LOG = [
    ok("a", 1, {"x": 1, "y": "first"}),
    ok("b", 2, {"x": 2}),
    ok("c", 3, processor="unknown"),
    failed("d", 4, application_id="other"),
    ADOPTION,
    ok("e", 5, {"x": 1, "y": "later"}),
]


def recorded(offset, item):
    if isinstance(item, Adoption):
        return Record("executions", 0, offset, RECORDED_MS, ADOPTION_PREFIX + b"x", item.value, ())
    if isinstance(item, Record):
        return replace(item, topic="executions", offset=offset)
    found = record_of(offset, item)
    return Record("executions", 0, offset, found.timestamp, found.key, found.value, ())


def kept(items):
    return KeptLog("executions", 1, [recorded(offset, item) for offset, item in enumerate(items)])


def book(*adoptions, configured=WIDER, catalogues=(SUM, WIDER)):
    texts = {one.digest: catalogue_json(one).encode() for one in catalogues}
    return RuleBook(
        Rules(configured), lambda: KnownRulesets(texts, {0: adoptions} if adoptions else {}), EveryErasure()
    )


def opened(log):
    return lambda: nullcontext(log)


def replayed(items, rules):
    """The replay, and everything that it would publish."""
    log = kept(items)
    replay = Replay(TOPICS, rules, MemoryTable(), MAX_EVENT_BYTES, open_log=opened(log))
    batches = list(replay.run(log, {0: Range(0, 0, len(items))}))
    return replay, [sent for batch in batches for sent in batch.folded.outgoing]


def changes_in(sent):
    return [json.loads(one.value) for one in sent if one.topic == "factor-changes"]


def test_what_differs_is_published_with_the_ruleset_as_its_cause():
    """One change for the pair that differs, none for those that do not, in a record that readers understand."""
    _, sent = replayed(LOG, book(ADOPTION))
    changes = changes_in(sent)
    [adopted] = [change for change in changes if change["cause"]["status"] == "ruleset"]
    assert adopted["cause"] == {
        "status": "ruleset",
        "ruleset": {"before": SUM.digest, "after": WIDER.digest},
        "topic": "executions",
        "partition": 0,
        "offset": HERE,
    }
    assert (adopted["application_id"], adopted["processor"], adopted["factors"]) == ("app", "p", {"f": 2, "g": "first"})
    assert [one["factor"] for one in adopted["changed"]] == ["f", "g"]
    assert adopted["ruleset"]["digest"] == WIDER.digest
    assert len(adopted["id"]) == 32
    assert decode_change(next(one.value for one in sent if json.loads(one.value) == adopted)).id == adopted["id"]
    assert changes[-1]["factors"] == {"f": 2, "g": "later"}
    assert len({change["id"] for change in changes}) == len(changes)


def test_the_factors_follow():
    """The current factors of the pair that differs are of the new ruleset; the last record of a batch counts."""
    _, sent = replayed(LOG[: HERE + 1], book(ADOPTION))
    current = {one.key: json.loads(one.value) for one in sent if one.topic == "factors"}
    assert current[b"app/p"]["factors"] == {"f": 2, "g": "first"}
    assert current[b"app/p"]["version"]["offset"] == HERE
    assert current[b"app/unknown"]["ruleset"]["digest"] == SUM.digest


def test_every_row_is_of_the_new_ruleset():
    """No row is left that the new catalogue would misread, and the mark names it."""
    replay, _ = replayed(LOG, book(ADOPTION))
    rows = [decode_row(raw) for _, raw in replay.rows.between(b"", None)]
    assert {row.ruleset for row in rows} == {Rules(WIDER).tag}
    assert [(pair.row.application_id, pair.row.processor) for pair in replay.pairs()] == [
        ("app", "p"),
        ("app", "unknown"),
        ("other", "p"),
    ]


@pytest.mark.parametrize("cut", range(len(LOG) + 1))
def test_it_does_not_matter_where_a_batch_ends(cut):
    """Events before and behind the adoption, in its batch or in another one, in flight or stored: the same records."""
    rules, rows = book(ADOPTION), StoredRows()
    log = kept(LOG)
    replay = Replay(TOPICS, rules, MemoryTable(), MAX_EVENT_BYTES, open_log=opened(log))

    class Switches(NoSwitches):
        def rules_at(self, offset):
            return rules.adopted_at(0, offset)

        def refolded(self, offset, wanted):
            return folded_until(opened(log), TOPICS, wanted, 0, offset, max_event_bytes=MAX_EVENT_BYTES)

    fold = PartitionFold(
        0,
        TOPICS,
        rules.first(0),
        rows,
        max_event_bytes=MAX_EVENT_BYTES,
        cached_pairs=0,
        cached_weight=1,
        switches=Switches(),
        authority=EveryErasure(),
    )
    parts = [(0, log.records[:cut]), (cut, log.records[cut:])]
    results = []
    for start, part in parts:
        for _, result in fold_in_parts(fold, Batch("executions", 0, start, start + len(part), part)):
            results.append(result)
            rows.store(result.rows())
            fold.written(result)
    expected = {
        one.key: one.value for batch in replay.run(log, {0: Range(0, 0, len(LOG))}) for one in batch.folded.outgoing
    }
    assert {one.key: one.value for result in results for one in result.outgoing} == expected
    assert {key: raw for key, raw in rows.items() if key != MARK_KEY} == dict(replay.rows.between(b"", None))
    assert decode_row(rows[MARK_KEY]).ruleset == Rules(WIDER).tag


def test_verification_holds_over_the_switch():
    """What a worker published over an adoption is, byte for byte, what a replay gives; without the book it is not."""
    log = kept(LOG)
    _, sent = replayed(LOG, book(ADOPTION))

    def records(topic):
        found = [one for one in sent if one.topic == topic]
        return [Record(topic, 0, offset, RECORDED_MS, one.key, one.value, ()) for offset, one in enumerate(found)]

    def differences(rules):
        verification = Verification(TOPICS, rules, lambda _: MemoryTable(), MAX_EVENT_BYTES, open_log=opened(log))
        indexed = list(verification.index(records("factor-changes")))
        ranges = {0: Range(0, 0, len(LOG))}
        return indexed + list(verification.run(log, ranges, {0: len(LOG)}, records("factors")))

    assert differences(book(ADOPTION)) == []
    assert differences(book())


def test_verification_holds_over_an_adoption_in_several_parts():
    """More pairs than go over at once: nothing differs; a change that is missing, and one too many, are each found."""
    count = PART_PAIRS + 100
    items = [ok("a", 1, {"x": 1, "y": "z"}, application_id=f"app-{number}") for number in range(count)]
    rules, log = book(replace(ADOPTION, offset=count)), kept([*items, ADOPTION])
    _, sent = replayed([*items, ADOPTION], rules)
    adopted = [one for one in sent if one.topic == "factor-changes"][count:]
    assert len(adopted) == count

    def differences(changed):
        published = [one for one in sent if one.topic == "factor-changes"]
        records = [
            Record("factor-changes", 0, offset, RECORDED_MS, one.key, one.value, ())
            for offset, one in enumerate(changed(published))
        ]
        factors = [
            Record("factors", 0, offset, RECORDED_MS, one.key, one.value, ())
            for offset, one in enumerate(one for one in sent if one.topic == "factors")
        ]
        verification = Verification(TOPICS, rules, lambda _: MemoryTable(), MAX_EVENT_BYTES, open_log=opened(log))
        indexed = list(verification.index(records))
        found = verification.run(log, {0: Range(0, 0, count + 1)}, {0: count + 1}, factors)
        return [(one.kind, one.key) for one in indexed + list(found)]

    assert differences(lambda published: published) == []
    assert differences(lambda published: published[:-1]) == [(Kind.MISSING, adopted[-1].key)]
    assert differences(lambda published: [*published, published[-1]]) == [(Kind.DUPLICATE, adopted[-1].key)]


def test_erased_events_stay_erased():
    """What a tombstone erased before the adoption is not in the new rows either, and a late copy is ignored."""
    gone = ok("z", 1, {"x": 99}, event_id="gone")
    items = [gone, ok("a", 2), Tombstone("app", "gone"), ok("b", 3), ADOPTION, gone]
    replay, sent = replayed(items, book(ADOPTION))
    [pair] = replay.pairs()
    assert set(pair.row.executions) == {"a", "b"}
    assert changes_in(sent)[-1]["factors"] == {"f": 1}


@pytest.mark.parametrize("told", ["tombstone", "erasure"])
def test_an_erasure_right_behind_it_finds_the_rows(told):
    """In the adoption's own batch: rows that were written anew and are not stored yet forget the event as well."""
    item = ok("a", 1, {"x": 5}, event_id="e")
    erasure = erasure_of("app", bytes(16))
    gone = Tombstone("app", "e") if told == "tombstone" else Record("", 0, 0, 0, erasure.key, erasure.value, ())
    items = [item, ok("b", 2), replace(ADOPTION, offset=2), gone]
    replay, sent = replayed(items, book(replace(ADOPTION, offset=2)))
    assert [set(pair.row.executions) for pair in replay.pairs()] == ([{"b"}] if told == "tombstone" else [])
    if told == "tombstone":
        assert changes_in(sent)[-1]["factors"] == {"f": 1}


def test_who_only_publishes_cannot_adopt_anything():
    """A record under such a key, of which the topic of rulesets does not know, is a dead letter."""
    replay, sent = replayed(LOG, book())
    assert [dict(one.headers)[CLASS] for one in sent if one.topic == "executions.dlq"] == [b"invalid_adoption"]
    assert {pair.row.ruleset for pair in replay.pairs()} == {Rules(WIDER).tag}


def test_a_log_that_lacks_events_of_the_state_is_refused():
    """Rows keep only the fields that their ruleset reads: without the events another one cannot be adopted."""
    log = kept(LOG)
    shortened = replace(log, records=log.records[1:])
    replay = Replay(TOPICS, book(ADOPTION), MemoryTable(), MAX_EVENT_BYTES, open_log=opened(shortened))
    with pytest.raises(ContractError, match="the log no longer has all events of the state, such as those of app/p"):
        list(replay.run(log, {0: Range(0, 0, len(LOG))}))
    emptied = replace(log, records=[])
    replay = Replay(TOPICS, book(ADOPTION), MemoryTable(), MAX_EVENT_BYTES, open_log=opened(emptied))
    with pytest.raises(ContractError, match="another ruleset cannot be adopted"):
        list(replay.run(log, {0: Range(0, 0, len(LOG))}))


def test_one_may_come_back():
    """There and back again: three stretches, ids that differ, and the results of the first ruleset in the end."""
    back = Adoption(0, 5, WIDER.digest, SUM.digest)
    again = replace(ADOPTION, offset=6)
    items = [*LOG[:4], ADOPTION, back, again, replace(again, offset=7)]
    _, sent = replayed(items, book(ADOPTION, back, again, configured=SUM))
    adopted = [change for change in changes_in(sent) if change["cause"]["status"] == "ruleset"]
    assert [change["factors"] for change in adopted] == [{"f": 2, "g": "first"}, {"f": 3}, {"f": 2, "g": "first"}]
    assert len({change["id"] for change in adopted}) == 3


def test_a_catalogue_that_nobody_kept_is_asked_for():
    """What a partition was folded with has to be in the topic of rulesets, under its own digest."""
    with pytest.raises(ContractError, match=f"digest {SUM.digest} is not in the topic of rulesets"):
        book(ADOPTION, catalogues=(WIDER,)).first(0)
    forged = KnownRulesets({SUM.digest: catalogue_json(WIDER).encode()}, {0: (ADOPTION,)})
    with pytest.raises(ContractError, match="has the digest"):
        RuleBook(Rules(WIDER), lambda: forged).first(0)
    broken = KnownRulesets({SUM.digest: b"{"}, {0: (ADOPTION,)})
    with pytest.raises(ContractError, match="in Kafka"):
        RuleBook(Rules(WIDER), lambda: broken).first(0)


def test_the_book_is_read_once_and_not_before_it_is_asked():
    """A command takes the log's end first: an adoption that comes before that end must not look forged to it."""
    reads = []

    def read():
        reads.append("now")
        return KnownRulesets()

    lazy = RuleBook(Rules(WIDER), read)
    assert lazy.knows(WIDER.digest)
    assert reads == []
    assert lazy.first(0) is lazy.last(0, 9) is lazy.configured
    assert reads == ["now"]


def test_the_rules_of_each_stretch():
    """Before an adoption the old rules hold, from it on the new ones."""
    rules = book(ADOPTION, configured=SUM)
    assert [rules.last(0, end).digest for end in (0, HERE, HERE + 1)] == [SUM.digest, SUM.digest, WIDER.digest]
    assert rules.last(1, 9).digest == SUM.digest
    assert rules.known_of(0) == KnownRulesets(
        {one.digest: catalogue_json(one).encode() for one in (SUM, WIDER)}, {0: (ADOPTION,)}
    )
    assert rules.known_of(1) == KnownRulesets()
    assert (rules.knows(SUM.digest), rules.knows("0" * 64)) == (True, False)
