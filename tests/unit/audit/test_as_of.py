"""As-of answers against the independent oracle, cut at the same offset or time."""

import random
from bisect import bisect_right
from dataclasses import replace
from datetime import datetime

import pytest

from consolidator.keys import parse_event_key, partition_of
from models.events import micros_of
from streams.audit.history.answers import differences
from streams.audit.history.as_of import known_as_of, true_as_of
from streams.audit.history.timeline import Fate, timeline
from streams.audit.made_changes import executions_of
from streams.core.rules import Rules
from streams.rulesets.rule_book import RuleBook
from tests.inputs.cases import event, failed, ok
from tests.inputs.kept_logs import TOPIC, application_log, for_the_oracle, kept_log
from tests.inputs.workloads import Rates, believable, load_catalogue, to_json
from tests.oracle.expected import PairKey, Tombstone, expected
from tests.oracle.folds import MAX_EVENT_BYTES, catalogue_of, topics_of
from tests.oracle.rules import canonical_json
from topics.records.erasure_authority import EveryErasure

PARTITIONS = 4
QUESTIONS = 1_000
CONTENT = load_catalogue()
BOOK = RuleBook(Rules(catalogue_of(CONTENT)), erasures=EveryErasure())
TOPICS = topics_of(PARTITIONS)


@pytest.fixture(scope="module")
def log():
    """Failures, retries, supersessions, late and double events, and tombstones, of 150 applications."""
    return kept_log(believable(701, 150, rates=Rates(failure=0.25, erased=0.03)), partitions=PARTITIONS)


def applications(log):
    return sorted({parse_event_key(record.key)[0] for record in log.records})


def known(cut):
    return known_as_of(cut, TOPICS, BOOK, max_event_bytes=MAX_EVENT_BYTES)


def told(answer):
    """An answer in the words of the oracle."""
    found = {}
    for name, one in answer.processors.items():
        tally, executions = one.pair.tally, executions_of(one.pair.tally)
        failures = [
            {"execution_id": each.execution_id, "attempt": each.attempt}
            | ({} if each.code is None else {"code": each.code})
            for each in executions.failures
        ]
        counts = {part: getattr(executions, part) for part in ("active", "completed", "failed", "contributing")}
        lists = {
            "contributors": list(executions.contributors),
            "failures": failures,
            "truncated": executions.truncated,
        }
        found[name] = (str(tally.outcome), dict(tally.factors), counts | lists)
    return found


def of_the_oracle(oracle, application):
    return {
        key.processor: (
            state.outcome,
            {name: canonical_json(value) for name, value in state.factors.items()},
            state.executions,
        )
        for key, state in oracle.pairs.items()
        if key.application_id == application
    }


@pytest.mark.slow
def test_as_of_an_offset_is_the_independent_fold_cut_there(log):
    """For 1,000 random applications and offsets: what came out, who stands behind it, and what changed last."""
    rng = random.Random(702)
    names = applications(log)
    last = max(record.offset for record in log.records)
    for _ in range(QUESTIONS):
        application, offset = rng.choice(names), rng.randint(0, last)
        cut = application_log(log, application, offset + 1)
        answer = known(cut)
        oracle = expected(CONTENT, for_the_oracle(cut.records), topic=TOPIC)
        assert told(answer) == of_the_oracle(oracle, application)
        changes = {PairKey(one["application_id"], one["processor"]): one for one in oracle.changes}
        for name, one in answer.processors.items():
            change = changes[application, name]
            assert one.last_change.version.offset == change["version"]["offset"]
            assert one.last_change.cause.event_id == change["cause"]["event_id"]
            assert [each.factor for each in one.last_change.changed] == [each["factor"] for each in change["changed"]]


@pytest.mark.slow
def test_as_of_a_time_is_the_independent_fold_cut_there(log):
    """For 1,000 random times: everything that the broker had stamped by then, that very millisecond included."""
    rng = random.Random(703)
    names = applications(log)
    times = [record.timestamp_ms for record in log.records]
    for _ in range(QUESTIONS):
        application = rng.choice(names)
        partition = partition_of(application, PARTITIONS)
        moment = rng.choice(times) + rng.choice([-1, 0, 0, 1])
        until = bisect_right(times, moment)
        later = [record.offset for record in log.records[until:] if record.partition == partition]
        answer = known(application_log(log, application, later[0] if later else 10**9))
        records = [r for r in log.records if r.timestamp_ms <= moment and parse_event_key(r.key)[0] == application]
        assert told(answer) == of_the_oracle(expected(CONTENT, for_the_oracle(records)), application)


@pytest.mark.slow
def test_what_was_true_is_the_fold_of_what_had_happened(log):
    """For 1,000 random times: late events count from when they happened, erased ones never."""
    rng = random.Random(704)
    names = applications(log)
    for _ in range(QUESTIONS):
        application = rng.choice(names)
        whole = application_log(log, application, 10**9)
        events = [record for record in for_the_oracle(whole.records) if not isinstance(record.payload, Tombstone)]
        erased = {
            record.payload.event_id for record in for_the_oracle(whole.records) if isinstance(record.payload, Tombstone)
        }
        at = occurred(rng.choice(events)) + rng.choice([-1, 0, 0, 1, 60_000_000])
        answer = true_as_of(whole, TOPICS, BOOK, at, max_event_bytes=MAX_EVENT_BYTES)
        happened = [one for one in events if occurred(one) <= at and one.payload["event_id"] not in erased]
        assert told(answer) == of_the_oracle(expected(CONTENT, happened, changes=False), application)
        for one in answer.processors.values():
            assert micros_of(datetime.fromisoformat(one.last_change.occurred_at)) <= at


def occurred(record):
    return micros_of(datetime.fromisoformat(record.payload["occurred_at"].upper()))


LATE = [
    ok("a", 30, {"f_revenue_monthly": 12000}, processor="bank_statement"),
    failed("b", 20, processor="bank_statement"),
    ok("c", 10, {"f_revenue_monthly": 10000}, processor="bank_statement"),
]


def asked(items, end=10**9):
    return application_log(kept_log(items, partitions=PARTITIONS, holes=0.0), "app", end)


def outcome(answer):
    [one] = answer.processors.values()
    return str(one.pair.tally.outcome), one.pair.tally.factors.get("f_revenue_monthly_avg")


def test_late_events_are_known_late_and_true_early():
    """What came last happened first: known are 12000 and a failure, true was 10000 alone."""
    cut = asked(LATE, 3)
    assert outcome(known(cut)) == ("partial", "12000")
    at = micros_of(datetime.fromisoformat("2025-03-03T09:00:15Z"))
    answer = true_as_of(asked(LATE), TOPICS, BOOK, at, max_event_bytes=MAX_EVENT_BYTES)
    assert outcome(answer) == ("consolidated", "10000")
    assert answer.processors["bank_statement"].last_change.cause.execution_id == "c"
    past = true_as_of(cut, TOPICS, BOOK, at, max_event_bytes=MAX_EVENT_BYTES)
    assert dict(past.processors) == {}


def test_two_answers_are_compared_factor_by_factor():
    """Outcome and factors before and after; what is equal is left out; a processor may be new."""
    items = [*LATE, failed("d", 40, processor="credit_check")]
    before, after = known(asked(items, 2)), known(asked(items))
    bank, credit = differences(before, after, BOOK)
    assert (bank.before.outcome, bank.after.outcome) == ("consolidated", "partial")
    assert [(one.factor, one.op) for one in bank.changed] == [
        ("f_months_analyzed", "updated"),
        ("f_revenue_monthly_avg", "updated"),
    ]
    assert (credit.before, credit.after.outcome, credit.changed) == (None, "cleared", ())
    assert list(differences(after, after, BOOK)) == []


def test_the_timeline_tells_what_became_of_each_record():
    """Folded, a copy, erased before or after, refused: in the order of the log, with what each changed."""
    first, second = ok("a", 1), ok("b", 2)
    bad = event("x", "completed", 3, output={"factors": {"x": [1]}})
    erased = Tombstone("app", first["event_id"])
    early = ok("c", 4)
    items = [first, first, second, erased, first, Tombstone("app", early["event_id"]), early]
    log = kept_log(items, partitions=PARTITIONS, holes=0.0)
    refused = kept_log([second], partitions=PARTITIONS).records[0]
    log.records.append(replace(refused, offset=8, value=to_json(bad)))
    foreign = replace(refused, offset=9, key=b"app/another")
    log.records.append(foreign)
    entries = timeline(application_log(log, "app", 10**9), TOPICS, BOOK, max_event_bytes=MAX_EVENT_BYTES)
    assert [entry.fate for entry in entries] == [
        Fate.FOLDED,
        Fate.COPY,
        Fate.FOLDED,
        Fate.TOMBSTONE,
        Fate.ERASED,
        Fate.TOMBSTONE,
        Fate.ERASED,
        Fate.REFUSED,
        Fate.REPUBLISHED,
    ]
    assert [len(entry.changes) for entry in entries] == [1, 0, 1, 1, 0, 0, 0, 0, 0]
    assert entries[3].changes[0].cause.status == "erased"
    assert entries[7].reason.startswith("invalid_output: ")
    assert "[1]" not in entries[7].reason
