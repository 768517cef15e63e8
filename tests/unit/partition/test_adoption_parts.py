"""A partition goes over to another ruleset in parts: interrupted after any of them, it comes to the same."""

from itertools import pairwise

import msgspec
import pytest
from msgspec.structs import replace

from models.errors import ContractError
from models.events import Position
from models.rows import HalfwayMark, PartitionMark, Row
from streams.core.change import Change, RulesetCause, common_parts, encode_change, encode_factors
from streams.core.fold import load_pair
from streams.core.rules import Rules
from streams.partition.batch import Batch
from streams.partition.judge import Judge, decode_judgement, head_of_row, with_version
from streams.partition.partition_fold import PartitionFold
from streams.partition.state.row_codec import MARK_KEY, decode_row, encode_row
from tests.inputs.cases import ok, one_factor
from tests.inputs.workloads import believable
from tests.oracle.adoptions import AdoptedLog, AdoptingWorker, adopted_sample
from tests.oracle.folds import MAX_EVENT_BYTES, catalogue_of, topics_of

ITEMS = believable(7, 12)
ADOPTED = adopted_sample(ITEMS, len(ITEMS) * 2 // 3)
"""Some pairs differ, others do not."""

PARTS = 3
"""Pairs that go over together."""


def changes_in(sent):
    """The changes, in the order in which they are published."""
    return [one for one in sent if one.topic == "factor-changes"]


def factors_of(sent):
    """The current factors of each pair in the end: how many records lead there depends on where batches end."""
    return {one.key: one for one in sent if one.topic == "factors"}


def uninterrupted():
    worker = AdoptingWorker(ADOPTED, PARTS)
    worker.run()
    return worker


WHOLE = uninterrupted()


def test_the_mark_says_how_far_it_is():
    """While it goes over, the offset stays before the record and the ruleset is the old one; keys come in order."""
    halfway = [mark for mark in WHOLE.marks if isinstance(mark, HalfwayMark)]
    assert len(halfway) > PARTS
    assert {(mark.applied, mark.adoption, mark.ruleset) for mark in halfway} == {
        (ADOPTED.at - 1, ADOPTED.at, Rules(ADOPTED.before).tag)
    }
    keys = [mark.gone_over for mark in halfway]
    assert keys == sorted(set(keys))
    [*_, last] = [after for before, after in pairwise(WHOLE.marks) if isinstance(before, HalfwayMark)]
    assert type(last) is PartitionMark
    assert (last.applied, last.ruleset) == (ADOPTED.at, Rules(ADOPTED.after).tag)


def test_what_is_published_does_not_depend_on_the_parts():
    """In one part or in many: the same changes in the same order, the same rows; and a replay gives them, too."""
    at_once = AdoptingWorker(ADOPTED, 10**6)
    at_once.run()
    rows, sent = ADOPTED.replayed()
    for worker in (at_once, WHOLE):
        assert changes_in(worker.sent) == changes_in(sent)
        assert factors_of(worker.sent) == factors_of(sent)
        assert worker.stored() == rows


@pytest.mark.parametrize("transactions", range(len(WHOLE.marks) + 1))
def test_killed_after_any_transaction_it_goes_on_from_there(transactions):
    """Nothing is published twice, nothing is missing, and every byte is as without the kill."""
    worker = AdoptingWorker(ADOPTED, PARTS, lives=[transactions])
    worker.run()
    assert changes_in(worker.sent) == changes_in(WHOLE.sent)
    assert factors_of(worker.sent) == factors_of(WHOLE.sent)
    assert worker.rows == WHOLE.rows


def test_half_way_only_the_rows_up_to_the_mark_are_of_the_other_ruleset():
    """What a reader of the table sees between two parts."""
    begun = next(number for number, mark in enumerate(WHOLE.marks, 1) if isinstance(mark, HalfwayMark))
    worker = AdoptingWorker(ADOPTED, PARTS)
    worker.live(begun + 1)
    mark = decode_row(worker.rows[MARK_KEY])
    assert isinstance(mark, HalfwayMark)
    for key, raw in worker.stored().items():
        row = decode_row(raw)
        if isinstance(row, Row):
            adopted = ADOPTED.after if key <= mark.gone_over else ADOPTED.before
            assert row.ruleset == Rules(adopted).tag


def test_a_partition_half_way_folds_nothing_else():
    """The record that it is half way through has to come next: an event would meet rows of both rulesets."""
    begun = next(number for number, mark in enumerate(WHOLE.marks, 1) if isinstance(mark, HalfwayMark))
    worker = AdoptingWorker(ADOPTED, PARTS)
    worker.live(begun)
    fold = PartitionFold(
        0, topics_of(), Rules(ADOPTED.before), worker.rows,
        max_event_bytes=MAX_EVENT_BYTES, cached_pairs=1, cached_weight=1,
    )  # fmt: skip
    assert fold.gone_over
    with pytest.raises(ContractError, match=f"half way to the ruleset that is adopted at offset {ADOPTED.at}"):
        fold.fold(Batch("executions", 0, ADOPTED.at, ADOPTED.at + 1, ()))


def test_a_mark_half_way_is_refused_by_whoever_does_not_know_it():
    """It has a tag of its own: an older worker would take every row for one of the ruleset that the mark names."""
    mark = PartitionMark(3, 41, "name@digest", 2, "topic-id")
    halfway = HalfwayMark.of(mark, 42, b"app/p")
    raw = encode_row(halfway)
    assert decode_row(raw) == halfway
    assert halfway.plain == mark
    assert b"halfway2" in raw
    assert b"mark1" not in raw


LATEST = catalogue_of(one_factor("latest"))
SUM = catalogue_of(one_factor("sum"))


def rows_under(catalogue, *items):
    """The rows of a partition."""
    worker = AdoptingWorker(AdoptedLog(catalogue, catalogue, items, len(items)), 1)
    worker.run()
    return worker.stored()


def test_a_judgement_holds_as_long_as_both_rows_stay():
    """An event that changed one of the rows, another version of the old one, or another pair: it is made anew."""
    items = [ok("a", 1, {"x": 1}), ok("b", 2, {"x": 2})]
    [(key, old)], [(_, new)] = rows_under(SUM, *items).items(), rows_under(LATEST, *items).items()
    judge = Judge(0, topics_of(), Rules(SUM), Rules(LATEST))
    kept, raw = judge.ahead(key, old, new)
    judgement = decode_judgement(raw)
    assert kept == new
    assert judgement.parts is not None
    assert judgement.holds_for(old, new)
    later = [("c", 3, {"x": 3})]
    [old_later] = rows_under(SUM, *items, *(ok(*each) for each in later)).values()
    [new_later] = rows_under(LATEST, *items, *(ok(*each) for each in later)).values()
    assert not judgement.holds_for(old_later, new)
    assert not judgement.holds_for(old, new_later)
    assert not judgement.holds_for(None, new)
    version = head_of_row(old).version
    assert not judgement.holds_for(with_version(old, head_of_row(old), version + 1), new)
    alone = judge.judge(key, None, new)
    assert alone.holds_for(None, new)
    assert not alone.holds_for(old, new)


def test_a_row_of_which_nothing_differs_is_kept_with_its_version():
    """The old row's, which the new one, folded for itself, need not have; the judgement holds for what is kept."""
    items = [ok("a", 1, {"x": 1})]
    [(key, old)], [(_, new)] = rows_under(SUM, *items).items(), rows_under(LATEST, *items).items()
    old = with_version(old, head_of_row(old), 70_000)
    kept, raw = Judge(0, topics_of(), Rules(SUM), Rules(LATEST)).ahead(key, old, new)
    judgement = decode_judgement(raw)
    assert judgement.parts is None
    assert kept == with_version(new, head_of_row(new), 70_000) != new
    assert judgement.holds_for(old, kept)


@pytest.mark.parametrize("version", [-1, 0, 127, 128, 255, 65_536, 2**31, 2**40])
def test_a_row_with_another_version_is_the_row_with_another_version(version):
    """It is put together from its bytes, and is what is written of the row; also where it is written in another way."""
    long_names = {"application_id": "a" * 300, "processor": "p" * 40}
    for catalogue, extra in ((SUM, {}), (SUM, long_names)):
        [raw] = rows_under(catalogue, ok("a", 1, {"x": 1}, **extra), ok("b", 2, **extra)).values()
        expected = encode_row(replace(decode_row(raw), version=version))
        assert with_version(raw, head_of_row(raw), version) == expected
        # An array's length of three bytes, as other encoders may write it.
        other = b"\xdc\x00" + bytes([raw[0] & 0x0F]) + raw[1:]
        assert with_version(other, head_of_row(other), version) in {expected, other}


def test_a_judgement_made_ahead_gives_the_very_same_records():
    """Whether pairs were compared ahead of the adoption or at it, and whether that is still true, changes no byte."""

    class Ahead:
        """What was folded again, with judgements; every other one is of an earlier row."""

        def __init__(self, refolded, judge, rows):
            self._refolded, self._judge, self._rows = refolded, judge, rows

        def pairs_after(self, key):
            for number, (pair, new, _) in enumerate(self._refolded.pairs_after(key)):
                kept, judgement = self._judge.ahead(pair, self._rows.get(pair), new)
                if number % 2:
                    other = replace(decode_judgement(judgement), new_start=b"another row", parts=None)
                    judgement = msgspec.msgpack.encode(other)
                yield pair, kept, judgement

    def gone_over(ahead):
        worker = AdoptingWorker(ADOPTED, PARTS)
        worker.live(next(n for n, mark in enumerate(WHOLE.marks) if isinstance(mark, HalfwayMark)))
        log, book = ADOPTED.log, ADOPTED.book
        before, after = book.first(0), Rules(ADOPTED.after)
        switches = worker.switches()
        fold = PartitionFold(
            0, topics_of(), before, worker.rows,
            max_event_bytes=MAX_EVENT_BYTES, cached_pairs=1, cached_weight=1, switches=switches,
        )  # fmt: skip
        batch = Batch("executions", 0, ADOPTED.at, ADOPTED.at + 1, [log.records[ADOPTED.at]])
        adopting = fold.adoption_in(batch)
        with switches.refolded(ADOPTED.at, after) as refolded:
            found = Ahead(refolded, Judge(0, topics_of(), before, after), worker.rows) if ahead else refolded
            return [(folded.outgoing, list(folded.rows())) for folded in fold.go_over(adopting, found)]

    assert gone_over(ahead=True) == gone_over(ahead=False)


def test_the_records_are_those_of_a_change():
    """What is written ahead of the adoption is, byte for byte, what a change says that the adoption caused."""
    changed = [one for one in WHOLE.sent if one.topic == "factor-changes" and b'"status":"ruleset"' in one.value]
    assert changed
    log, book = ADOPTED.log, ADOPTED.book
    record = log.records[ADOPTED.at]
    switches = WHOLE.switches()
    before, after = book.first(0), Rules(ADOPTED.after)
    cause = RulesetCause(before.digest, after.digest, record.timestamp * 1000, Position("executions", 0, ADOPTED.at))
    old = AdoptingWorker(AdoptedLog(ADOPTED.before, ADOPTED.before, ITEMS[: ADOPTED.at], ADOPTED.at), 1)
    old.run()
    expected = []
    with switches.refolded(ADOPTED.at, after) as refolded:
        for key, raw, _ in refolded.pairs_after(b""):
            row = decode_row(raw)
            was, now = load_pair(decode_row(old.rows[key]), before).tally, load_pair(row, after).tally
            kind = after.of(row.processor).processor_type
            if now.differs(was):
                change = Change(row.application_id, row.processor, kind, was, now, cause)
                common = common_parts(change, after.json)
                expected.append((encode_change(change, change.id, common), key, encode_factors(common)))
    assert [value for value, _, _ in expected] == [one.value for one in changed]
    published = [(one.key, one.value) for one in WHOLE.sent if one.topic == "factors"]
    assert all((key, value) in published for _, key, value in expected)
