"""The canary's rounds, with Kafka's part played by a list: what is published, lost, noted and erased."""

from datetime import UTC, datetime

import pytest

from consolidator.keys import parse_event_key, partition_of
from consolidator.waiting.result import WaitResult
from models.errors import ContractError, InfrastructureError
from streams.canary.ids import APPLICATION_PREFIX
from streams.canary.residue import Residue
from streams.canary.rounds import Canary

PARTITIONS = 4


class Played:
    """The steps, each as the test wants it.

    Attributes:
        published: key and partition of each event.
        waited: the places that were waited for.
        erased: application and number of events.
        lost: what a wait raises, if anything.
        refused: what a publication raises.
        standing: what an erasure raises.
        kind: of the result.
    """

    def __init__(self):
        self.published, self.waited, self.erased = [], [], []
        self.lost = self.refused = self.standing = None
        self.kind = "applied"

    def publish(self, key, value, partition):
        assert value
        self.published.append((key, partition))
        if self.refused is not None:
            raise self.refused
        return len(self.published) - 1

    def wait(self, place):
        self.waited.append(place)
        if self.lost is not None:
            raise self.lost
        return WaitResult(self.kind, place, code="too_long" if self.kind == "dead_letter" else None)

    def erase(self, remains):
        if self.standing is not None:
            raise self.standing
        self.erased.append((remains.application_id, len(remains.events)))


@pytest.fixture
def played():
    return Played()


@pytest.fixture
def residue(tmp_path):
    with Residue(tmp_path / "canary" / "app.jsonl") as found:
        yield found


@pytest.fixture
def canary(played, residue):
    ticks = iter(range(1_000))
    return Canary(
        played, residue, PARTITIONS, rounds=3, clock=lambda: next(ticks) / 2, now=lambda: datetime.now(tz=UTC)
    )


def test_a_round_is_an_event_of_its_own_in_its_partition(canary, played):
    """It takes the seconds from the publication to the answer, and each partition has one application."""
    assert [canary.round(partition).seconds for partition in (0, 1, 2, 0)] == [0.5] * 4
    ids = [parse_event_key(key) for key, _ in played.published]
    assert [event_id for _, event_id in ids] == ["round-1", "round-1", "round-1", "round-2"]
    assert ids[0][0] == ids[3][0]
    for (application_id, _), (_, partition) in zip(ids, played.published, strict=True):
        assert application_id.startswith(APPLICATION_PREFIX)
        assert partition_of(application_id, PARTITIONS) == partition


def test_two_canaries_share_no_id(played, residue):
    """The ids are random."""
    for _ in range(2):
        Canary(played, residue, PARTITIONS).round(0)
    assert len({parse_event_key(key)[0] for key, _ in played.published}) == 2


def test_a_lost_round_publishes_nothing_more_until_it_is_found(canary, played):
    """At most one event of a partition is open, and the other partitions go on."""
    played.lost = InfrastructureError("after 30 s no worker has come to it")
    assert canary.round(0).problem == "after 30 s no worker has come to it"
    assert canary.round(0).seconds is None
    assert len(played.published) == 1
    assert len(set(played.waited)) == 1
    played.lost = None
    assert canary.round(0).seconds is not None
    assert len(played.published) == 2


def test_an_event_that_is_not_acknowledged_is_noted_all_the_same(canary, played, residue):
    """It may have been written: it is erased with the others, and the next round has another event."""
    played.refused = InfrastructureError("no acknowledgement")
    assert canary.round(0).problem == "no acknowledgement"
    played.refused = None
    canary.round(0)
    [remains] = residue.remains.values()
    assert list(remains.events) == [key for key, _ in played.published]
    assert len(remains.events) == 2


@pytest.mark.parametrize(("kind", "problem"), [("no_change", "no_change"), ("dead_letter", "dead_letter: too_long")])
def test_an_event_that_makes_no_change_is_lost(canary, played, kind, problem):
    """The round says what came of it."""
    played.kind = kind
    assert canary.round(0).problem == f"the event came to {problem}"


def test_an_application_is_erased_after_its_rounds(canary, played, residue):
    """And the next round begins another one."""
    for _ in range(4):
        canary.round(0)
    first, second = dict.fromkeys(parse_event_key(key)[0] for key, _ in played.published)
    assert played.erased == [(first, 3)]
    assert list(residue.remains) == [second]


def test_what_cannot_be_erased_stays_noted(canary, played, residue):
    """The rounds go on with a new application, and the end tries it again."""
    played.standing = InfrastructureError("no worker")
    rounds = [canary.round(0) for _ in range(5)]
    assert [one.seconds is None for one in rounds] == [False, False, False, True, False]
    [first, second] = residue.remains
    assert [problem.split()[0] for problem in canary.erase_all()] == [first, second]
    played.standing = None
    assert canary.erase_all() == []
    assert [application_id for application_id, _ in played.erased] == [first, second]
    assert residue.remains == {}


def test_an_application_that_could_not_be_erased_is_erased_with_the_next(canary, played, residue):
    """It does not wait for the end, which may be months away."""
    played.standing = InfrastructureError("no worker")
    for _ in range(4):
        canary.round(0)
    played.standing = None
    for _ in range(4):
        canary.round(0)
    assert [number for _, number in played.erased] == [3, 3]
    assert len(residue.remains) == 1


def test_a_broken_contract_ends_the_canary(canary, played):
    """A missing permission does not mend itself."""
    played.lost = ContractError("there is no topic executions")
    with pytest.raises(ContractError):
        canary.round(0)
