"""What a worker looks up about adoptions, and how often."""

from types import SimpleNamespace

import pytest

from models.errors import ContractError
from models.rows import HalfwayMark, PartitionMark
from streams.rulesets.catalogue_file import catalogue_json
from streams.rulesets.rule_book import RuleBook
from streams.worker.ruleset_adoption import Rulesets
from tests.inputs.cases import one_factor
from tests.oracle.folds import catalogue_of, topics_of
from topics.records.adoptions import Adoption, KnownRulesets

SUM, MAX = catalogue_of(one_factor("sum")), catalogue_of(one_factor("max"))


class CountedRulesets(Rulesets):
    """Counts how often the topic is read."""

    def __init__(self, *adoptions):
        super().__init__(SimpleNamespace(librdkafka=dict), topics_of(), MAX, adopt=None, patience_s=60.0)
        self.reads = 0
        self._found = adoptions

    def adoptions(self, partition):
        self.reads += 1
        assert partition == 3
        return self._found


def test_records_that_only_look_like_adoptions_are_looked_up_together():
    """Thousands of them in one batch cost one look; what comes later costs another one."""
    rulesets = CountedRulesets(Adoption(3, 70, SUM.digest, MAX.digest))
    switches = rulesets.switches(3)
    switches.fetched(100)
    assert [switches.rules_at(offset) for offset in range(60, 70)] == [None] * 10
    assert switches.rules_at(70) is rulesets.own
    assert switches.rules_at(99) is None
    assert rulesets.reads == 1
    assert switches.rules_at(100) is None
    assert rulesets.reads == 2


def test_a_partition_half_way_to_another_ruleset_is_refused():
    """Its mark names the ruleset of before, which is this worker's: it would fold rows of both with it."""
    rulesets = CountedRulesets()
    texts = {one.digest: catalogue_json(one).encode() for one in (SUM, MAX)}
    known = KnownRulesets(texts, {3: (Adoption(3, 42, MAX.digest, SUM.digest),)})
    rulesets._book = lambda *_: RuleBook(rulesets.own, lambda: known)
    mark = PartitionMark(3, 41, rulesets.own.tag)
    assert rulesets.resume(3, mark).rules is rulesets.own
    with pytest.raises(ContractError, match=f"at offset 42 the ruleset with digest {SUM.digest} was adopted"):
        rulesets.resume(3, HalfwayMark.of(mark, 42, b"app/p"))


def test_an_adoption_of_another_ruleset_is_refused():
    """The worker says with which catalogue to start it."""
    switches = CountedRulesets(Adoption(3, 5, MAX.digest, SUM.digest)).switches(3)
    with pytest.raises(ContractError, match=f"at offset 5 the ruleset with digest {SUM.digest} was adopted"):
        switches.rules_at(5)
