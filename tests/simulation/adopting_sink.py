"""The topics of one partition in which another ruleset was adopted, as a replay of its source gives them."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

from streams.core.rules import Rules
from streams.replay.application_log import KeptLog
from streams.replay.replay import Replay
from streams.replay.tables import MemoryTable
from streams.rulesets.catalogue_file import catalogue_json
from streams.rulesets.rule_book import RuleBook
from tests.oracle.folds import MAX_EVENT_BYTES, catalogue_of
from tests.simulation.sink import SimulatedTopics
from topics.reading.ranges import Range
from topics.records.adoptions import Adoption, KnownRulesets
from topics.records.erasure_authority import EveryErasure
from topics.records.record import Record

__all__ = ["AdoptedTopics", "adoption_record"]


def adoption_record(adoption: Adoption, timestamp_ms: int) -> Record:
    """The record in ``executions`` that adopts a ruleset."""
    key = b"/ruleset/" + adoption.after.encode()
    return Record("executions", adoption.partition, adoption.offset, timestamp_ms, key, adoption.value, ())


class AdoptedTopics(SimulatedTopics):
    """Everything that a worker made of a log, with its adoptions.

    Args:
        content: the catalogue that the partition began with.
        after: the other one.
        records: the source.
        adoptions: those that count.
        partition: which one.
        partitions: how many there are.

    Attributes:
        book: the rules of every offset.
    """

    def __init__(
        self,
        content: Mapping[str, Any],
        after: Mapping[str, Any],
        records: Sequence[Record],
        adoptions: Sequence[Adoption],
        *,
        partition: int,
        partitions: int,
    ) -> None:
        super().__init__(content, partition=partition, partitions=partitions)
        catalogues = [catalogue_of(content), catalogue_of(after)]
        self.rulesets = KnownRulesets(
            {one.digest: catalogue_json(one).encode() for one in catalogues},
            {partition: tuple(adoptions)} if adoptions else {},
        )
        self.book = RuleBook(Rules(catalogues[0]), lambda: self.rulesets, EveryErasure())
        self.source = list(records)
        self.consolidated = records[-1].offset + 1
        log = KeptLog("executions", partitions, self.source)
        replay = Replay(self.topics, self.book, MemoryTable(), MAX_EVENT_BYTES, open_log=lambda: nullcontext(log))
        for replayed in replay.run(log, {partition: Range(0, 0, self.consolidated)}):
            for sent in replayed.folded.outgoing:
                if sent.topic == self.topics.factor_changes.name:
                    self.changes.append(self._record(sent, len(self.changes)))
                elif sent.topic == self.topics.dlq.name:
                    self.letters.append(self._record(sent, len(self.letters)))
