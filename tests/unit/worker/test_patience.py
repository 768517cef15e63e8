"""Which questions to Kafka a worker asks again, and for how long."""

from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from models.errors import ContractError, InfrastructureError
from streams.worker import patience
from streams.worker.patience import patiently
from streams.worker.ruleset_adoption import Rulesets
from tests.inputs.cases import one_factor
from tests.oracle.folds import catalogue_of, topics_of
from topics.records.adoptions import KnownRulesets

SILENT = InfrastructureError("Kafka gave no offset")


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(patience, "_PAUSE_S", 0.0)


def answering(*answers):
    """A question that gets these answers, one after the other; and what is left of them."""
    left = list(answers)

    def question(*_, **__):
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    return question, left


def test_a_question_is_asked_until_it_is_answered():
    """The log has one line of it."""
    question, left = answering(SILENT, SILENT, 7)
    with capture_logs() as lines:
        assert patiently(question, patience_s=60.0) == 7
    assert left == [7]
    assert [line["error"] for line in lines] == ["Kafka gave no offset"]


def test_the_last_error_is_raised_when_the_time_is_over():
    """As the transactions do."""
    with pytest.raises(InfrastructureError, match="no offset"):
        patiently(answering(SILENT)[0], patience_s=0.01)


def test_a_contract_that_is_broken_is_not_asked_again():
    """Nothing comes of it."""
    question, left = answering(ContractError("no such topic"), 7)
    with pytest.raises(ContractError):
        patiently(question, patience_s=60.0)
    assert left == [7]


def test_a_running_worker_asks_for_rulesets_and_erasures_again(monkeypatch):
    """Both are asked for in the middle of a batch, beside transactions that wait for minutes."""
    rulesets_left = answering(SILENT, KnownRulesets())
    entries_left = answering(SILENT, {3: {}})
    monkeypatch.setattr("streams.rulesets.rule_book.read_rulesets", rulesets_left[0])
    monkeypatch.setattr("topics.reading.erasures.read_entries", entries_left[0])
    catalogue = catalogue_of(one_factor("sum"))
    worker = Rulesets(SimpleNamespace(librdkafka=dict), topics_of(), catalogue, adopt=None, patience_s=60.0)
    assert worker.adoptions(3) == ()
    assert worker.erasures.forgotten(3, "app-1") is None
