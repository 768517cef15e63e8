"""Reads the snapshot and the journal of some partitions; see ``docs/decisions/0029-subscribing.md`` for the order."""

import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from confluent_kafka import Message

from consolidator.connecting.read_errors import word_of
from consolidator.connecting.standstill import Standstill
from consolidator.errors import InfrastructureError
from consolidator.subscribing.cluster import COMMITTED, EVERYTHING, Cluster, Described, UnknownTopicError
from consolidator.subscribing.consuming import Fetcher, LostPlaceError
from consolidator.subscribing.decoding import Decoder
from consolidator.subscribing.items import CaughtUp, Item, Progress, SnapshotEnd
from consolidator.subscribing.options import Options
from consolidator.subscribing.positions import Position
from consolidator.subscribing.state import State, now_ms
from consolidator.subscribing.token import Stamp, filter_digests
from consolidator.subscribing.waiting import Deadline, open_transactions, stalled

__all__ = ["Engine", "RefetchError"]

_POLL_S: Final = 0.2
"""For how long one look at Kafka waits. A signal or :meth:`Subscription.close` is noticed after that."""

_LOG_APPEND_TIME: Final = 2
"""The kind of a timestamp that the broker's clock has made: confluent-kafka's TIMESTAMP_LOG_APPEND_TIME."""

Batches = Iterator[Iterable[Item]]


class RefetchError(Exception):
    """What was yielded may be wrong: a snapshot has to be taken. The message is the reason."""


class Engine:
    """The parts of reading that a subscription alone and a member of a group have in common.

    Args:
        options: what the caller has asked for.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self.cluster = Cluster(options.config, options.prefix)
        self.described = self.cluster.describe()
        self.state = State(self._stamp(), each=options.group is not None)
        self.decoder = Decoder(options.wanted, self.cluster.changes, self.cluster.factors)
        self.journal = Fetcher(options.config, self.cluster.changes, group=options.group)
        self._factors: Fetcher | None = None
        self._targets: dict[int, int] = {}
        self._reported = time.monotonic()
        self._at_report: dict[int, int] = {}
        self._standstill: Standstill[int] = Standstill()
        self._waits = Deadline(options.stall_s)

    def close(self) -> None:
        """Close the consumers."""
        self.end_snapshot()
        self.journal.close()

    def _stamp(self) -> Stamp:
        found: Described = self.described
        digests = filter_digests(self.options.wanted)
        return Stamp(found.cluster, self.options.prefix, found.changes, found.factors, found.partitions, digests)

    # -- the topics

    def look_again(self) -> None:
        """Raise if the topics are not what they were.

        Raises:
            RefetchError: one was re-created, or has another partition count.
            ContractError: one is not there.
            InfrastructureError: Kafka does not answer.
        """
        self.described = self.cluster.describe()
        stamp = self._stamp()
        reason = stamp.differs_in(self.state.stamp)
        if reason is not None:
            self.state.stamp = stamp
            raise RefetchError(reason)

    def lost(self, error: LostPlaceError | UnknownTopicError) -> str:
        """What has happened where a topic or an offset is not there any more.

        Raises:
            ContractError: there is no such topic any more.
            InfrastructureError: Kafka does not answer.
        """
        try:
            self.look_again()
        except RefetchError as reason:
            return str(reason)
        return f"records were deleted before they were read: {error}"

    # -- the snapshot

    def fresh_positions(self, partitions: Collection[int]) -> dict[int, Position]:
        """Where a snapshot begins: step 1, the journal's last stable offsets."""
        stable = self.cluster.ends(self.cluster.changes, partitions, COMMITTED)
        return {partition: Position(offset, factors=0) for partition, offset in stable.items()}

    def snapshot(self, partitions: Collection[int]) -> Batches:
        """Steps 2 to 4, for partitions that have the positions of step 1, or are within a snapshot.

        Raises:
            UnreadableRecordError, StalledError, InfrastructureError, LostPlaceError: as the subscription.
        """
        topic = self.cluster.factors
        # 2. Asked after all answers of step 1.
        edges = self.cluster.edges(topic, partitions)
        firsts = {partition: self.state.positions[partition].factors for partition in partitions}
        # The record before a token's place is read again: the cut is found from the last record that was read.
        starts = {one: max(edges[one][0], firsts[one] - 1) for one in partitions}
        # 3.
        yield from self._range(starts, {one: edges[one][1] for one in partitions}, firsts)
        # 4. What was open below the high watermarks is decided: a last stable offset lies between transactions.
        cut = self.cluster.ends(topic, self._held(partitions), COMMITTED)
        starts = {one: max(edges[one][1], self.state.positions[one].factors) for one in cut}
        yield from self._range(starts, cut, firsts)
        done = self._held(partitions)
        for partition in done:
            self.state.read_journal({partition: self.state.positions[partition].journal})
        if done:
            yield [SnapshotEnd(tuple(sorted(done)), self.state.frame(partitions=done), 0)]

    def end_snapshot(self) -> None:
        """Close the consumer of the snapshot."""
        if self._factors is not None:
            self._factors.close()
            self._factors = None

    def _held(self, partitions: Collection[int]) -> list[int]:
        """Those of the partitions that are still read: a group may take one away at any time."""
        return [partition for partition in partitions if partition in self.state.positions]

    def _range(self, starts: Mapping[int, int], ends: Mapping[int, int], firsts: Mapping[int, int]) -> Batches:
        remaining = {one: ends[one] for one in self._held(starts) if starts[one] < ends[one]}
        if not remaining:
            return
        if self._factors is None:
            self._factors = Fetcher(self.options.config, self.cluster.factors)
        fetcher = self._factors
        fetcher.add({one: starts[one] for one in remaining})
        deadline = Deadline(self.options.stall_s)
        while remaining:
            records = fetcher.poll(_POLL_S)
            wanted = [one for one in records if _is_before(one, remaining)]
            frame = self.state.frame(of_factors=True)
            last: dict[int, int] = {}
            # Even without records: whoever has closed the subscription is heard between two batches.
            yield self.decoder.snapshot(wanted, frame, self.state.floors, last, firsts)
            # A record behind the end shows that everything before it was read.
            fetcher.advance(last if len(wanted) == len(records) else _last(records))
            reached = {one: fetcher.positions[one] for one in remaining}
            self.state.read_factors({one: min(reached[one], remaining[one]) for one in self._held(remaining)})
            yield from self.between()
            finished = [one for one in remaining if reached[one] >= remaining[one] or one not in self.state.positions]
            fetcher.remove(finished)
            for partition in finished:
                del remaining[partition]
            if remaining and deadline.passed(reached):
                left = {one: reached[one] for one in remaining}
                raise stalled(
                    self.options.config,
                    self.cluster,
                    self.cluster.factors,
                    left,
                    remaining,
                    self.options.stall_s,
                    fetcher.trouble,
                )

    def between(self) -> Batches:
        """What is to be done between two looks at a snapshot."""
        yield from self.report()

    # -- the journal

    def tail(self, partitions: Collection[int]) -> None:
        """Step 5: begin to read the journal of partitions whose snapshot is complete, or that have none."""
        starts = {one: self.state.positions[one].journal for one in self._held(partitions)}
        ends = self.cluster.ends(self.cluster.changes, starts, EVERYTHING)
        self._targets |= {one: ends[one] for one in starts}
        self.journal.add(starts)

    def forget(self, partitions: Collection[int]) -> None:
        """Stop reading partitions."""
        self.journal.remove(partitions)
        for partition in partitions:
            self._targets.pop(partition, None)
        self.state.drop(partitions)

    def step(self, timeout_s: float = _POLL_S) -> Batches:
        """One look at the journal: what came, and whether it has caught up.

        Raises:
            UnreadableRecordError, StalledError, InfrastructureError, LostPlaceError: as the subscription.
        """
        asked_ms = now_ms()
        records = self.journal.poll(timeout_s)
        if self.options.group is not None:
            # Some may be of a partition that was taken away meanwhile.
            records = [one for one in records if one.partition() in self.journal.positions]
        frame = self.state.frame()
        last: dict[int, int] = {}
        # Even without records: whoever has closed the subscription is heard between two batches.
        yield self.decoder.changes(records, frame, self.state.floors, last)
        reached = self.journal.advance(last)
        self.state.read_journal({one: self.journal.positions[one] for one in {*last, *reached}})
        for partition in reached:
            self.state.fresh_ms[partition] = asked_ms
        if records:
            self._note_time(records[-1])
        yield from self._caught_up()

    def _note_time(self, record: Message) -> None:
        """A record was published by the broker's clock: no tombstone from before it is missing in its partition."""
        kind, published_ms = record.timestamp()
        partition = record.partition()
        if kind == _LOG_APPEND_TIME and partition in self.state.fresh_ms:
            self.state.fresh_ms[partition] = max(self.state.fresh_ms[partition], published_ms)

    def _caught_up(self) -> Batches:
        if not self._targets:
            return
        there = [one for one, end in self._targets.items() if self.journal.positions[one] >= end]
        for partition in there:
            del self._targets[partition]
        if self.options.group is not None:
            for partition in there:
                yield [CaughtUp((partition,), self.state.frame(partitions=[partition]), 0)]
        elif there and not self._targets:
            everything = sorted(self.state.positions)
            yield [CaughtUp(tuple(everything), self.state.frame(partitions=everything), 0)]

    @property
    def has_caught_up(self) -> bool:
        """Whether everything was read that was there when the journal's reading began."""
        return not self._targets

    def require_progress(self) -> None:
        """Raise if an end that is waited for does not come nearer.

        Raises:
            StalledError: it does not.
        """
        left = {one: self.journal.positions[one] for one in self._targets}
        if self._waits.passed(left) and left:
            raise stalled(
                self.options.config,
                self.cluster,
                self.cluster.changes,
                left,
                self._targets,
                self.options.stall_s,
                self.journal.trouble,
            )

    # -- reports

    def report(self) -> Batches:
        """From time to time: look whether the topics are the same ones, and yield :class:`Progress`.

        Raises:
            RefetchError: the topics are not the same ones, or reading has lagged for longer than tombstones stay.
            ContractError: a topic is not there.
        """
        now = time.monotonic()
        if now - self._reported < self.options.progress_s:
            return
        self._reported = now
        waits_for: str | None = None
        positions = {number: one.journal for number, one in self.state.positions.items()}
        try:
            self.look_again()
            self._note_ends()
            idle = {one: at for one, at in positions.items() if self._at_report.get(one) == at}
            read = {one: at for one, at in idle.items() if one in self.journal.positions}
            waits_for = "; ".join(open_transactions(self.options.config, self.cluster, self.cluster.changes, read))
        except InfrastructureError as error:
            waits_for = str(error)
        self._at_report = positions
        if not waits_for and self.journal.trouble is not None:
            waits_for = f"the connection: {word_of(self.journal.trouble)}"
        self._refuse_lag()
        for number in sorted(positions) if self.options.group is not None else [None]:
            shown = positions if number is None else {number: positions[number]}
            frame = self.state.frame(partitions=shown)
            yield [Progress(shown, waits_for or None, frame, 0)]
        if self.options.group is not None and not positions:
            yield [Progress({}, None, self.state.frame(), 0)]

    def _note_ends(self) -> None:
        """Where everything is read that there is, no tombstone is missing. An end is reported once, so it is asked for.

        What is behind the last stable offset is not compacted before its transaction has ended.
        """
        asked_ms, read = now_ms(), dict(self.journal.positions)
        behind = {}
        for partition, stable in self.cluster.ends(self.cluster.changes, read, COMMITTED).items():
            if read[partition] >= stable:
                self.state.fresh_ms[partition] = asked_ms
            else:
                behind[partition] = read[partition]
        if self._standstill.look(behind, self.options.stall_s):
            self._standstill.forget()
            self.open_anew()

    def open_anew(self) -> None:
        """Open the journal's consumer anew, at its positions; see :mod:`consolidator.connecting.standstill`."""
        positions = dict(self.journal.positions)
        self.journal.close()
        self.journal = Fetcher(self.options.config, self.cluster.changes)
        self.journal.add(positions)

    def _refuse_lag(self) -> None:
        oldest = min(self.state.fresh_ms.values(), default=None)
        if oldest is not None and now_ms() - oldest >= self.described.retention_ms:
            raise RefetchError(
                f"for longer than tombstones stay (delete.retention.ms is {self.described.retention_ms}) the end was "
                "not reached: erasures may be missing"
            )


def _is_before(record: Message, ends: Mapping[int, int]) -> bool:
    partition, offset = record.partition(), record.offset()
    return partition is not None and offset is not None and offset < ends.get(partition, -1)


def _last(records: Collection[Message]) -> dict[int, int]:
    """The offset of the last record of each partition."""
    places = ((one.partition(), one.offset()) for one in records)
    return {partition: offset for partition, offset in places if partition is not None and offset is not None}
