"""A subscription in a group: each partition that this member gets goes through snapshot and journal by itself."""

from collections import deque
from typing import Final

from confluent_kafka import Consumer, KafkaException, TopicPartition

from consolidator.connecting.offsets import ASK_S, ask_for_offsets, committed_offset
from consolidator.connecting.read_errors import word_of
from consolidator.errors import InfrastructureError, TokenError
from consolidator.subscribing.alone import positions_in
from consolidator.subscribing.cluster import REACH_S, UnknownTopicError
from consolidator.subscribing.consuming import Fetcher, LostPlaceError
from consolidator.subscribing.engine import Batches, Engine, RefetchError
from consolidator.subscribing.items import Item, MustRefetch, Revoked
from consolidator.subscribing.options import Options
from consolidator.subscribing.positions import SNAPSHOT_DONE, Frame, Position
from consolidator.subscribing.start import BEGINNING
from consolidator.subscribing.state import now_ms
from consolidator.subscribing.token import Token, read_token

__all__ = ["Member"]

_Places = list[TopicPartition]

_BETWEEN_S: Final = 0.0
"""While a snapshot is read, what the other partitions have is taken along, and not waited for."""


class Member(Engine):
    """Reads what its group gives it; a token covers one partition.

    Args:
        options: what the caller has asked for; there is a group.
    """

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._assigned: deque[int] = deque()
        self._revoked: list[Revoked] = []
        self._join()

    def _join(self) -> None:
        self.journal.consumer.subscribe(
            [self.cluster.changes], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )

    def batches(self) -> Batches:
        """Everything, in its order; without an end."""
        while True:
            try:
                yield from self._look()
                while self._assigned:
                    yield from self._begin(self._assigned.popleft())
                self.end_snapshot()
                yield from self.report()
            except RefetchError:
                self._rejoin()
            except (LostPlaceError, UnknownTopicError) as error:
                # It may just be created again.
                self.lost(error)
                self._rejoin()

    def open_anew(self) -> None:
        """Join the group anew: the consumer is its member.

        Raises:
            RefetchError: always; what is stored is good.
        """
        raise RefetchError(f"{self.cluster.changes} is no longer fetched")

    def _rejoin(self) -> None:
        """Leave the group and join it again: what is stored for each partition shows whether it is still good."""
        self.close()
        # The consumer knew the topic by its id.
        self.journal = Fetcher(self.options.config, self.cluster.changes, group=self.options.group)
        self._join()

    def between(self) -> Batches:
        """The other partitions go on while a snapshot is read."""
        yield from self._look(_BETWEEN_S)
        yield from self.report()

    def _look(self, *timeout_s: float) -> Batches:
        yield from self.step(*timeout_s)
        while self._revoked:
            yield [self._revoked.pop(0)]

    def commit(self, item: Item, *, everything: bool) -> None:
        """Let Kafka keep the position after an item.

        Args:
            item: the item.
            everything: of every partition that is still this member's; otherwise of the item's own.

        Raises:
            InfrastructureError: Kafka does not answer, or another member has the partition.
        """
        frame: Frame = item._place  # type: ignore[attr-defined]  # noqa: SLF001 - the subscription's own
        index: int = item._index  # type: ignore[attr-defined]  # noqa: SLF001
        positions = frame.positions_after(index)
        chosen = [one for one in positions if one in self.state.positions]
        if not everything:
            chosen = [*getattr(item, "partitions", ())] or [item.partition]  # type: ignore[attr-defined]
            gone = [one for one in chosen if one not in self.state.positions]
            if gone:
                raise InfrastructureError(f"the position of partition {gone[0]} cannot be committed: it was given away")
        places = [
            TopicPartition(self.cluster.changes, one, positions[one].journal, frame.token_of({one: positions[one]}))
            for one in chosen
        ]
        if not places:
            return
        try:
            answers = self.journal.consumer.commit(offsets=places, asynchronous=False) or []
        except KafkaException as error:
            raise InfrastructureError(f"positions cannot be committed: {word_of(error.args[0])}") from error
        for place in answers:
            if place.error is not None:
                raise InfrastructureError(
                    f"the position of partition {place.partition} cannot be committed: {word_of(place.error)}"
                )

    # -- one partition

    def _begin(self, partition: int) -> Batches:
        """Take up a partition that was assigned: its stored position, or a snapshot; then its journal."""
        refetch = self._place(partition)
        if refetch is not None:
            yield [MustRefetch(refetch, (partition,), self.state.frame(partitions=[partition]), 0)]
        if self.state.positions[partition].factors != SNAPSHOT_DONE:
            yield from self.snapshot([partition])
        if partition in self.state.positions:
            self.tail([partition])

    def _place(self, partition: int) -> str | None:
        now = now_ms()
        found = self._stored(partition)
        if isinstance(found, int):
            # Somebody has set the group's offset without a token.
            self.state.put({partition: Position(found)}, now)
            return None
        if found is None and self.options.start == BEGINNING:
            first, _ = self.cluster.edges(self.cluster.changes, [partition])[partition]
            self.state.put({partition: Position(first)}, now)
            return None
        reason = None
        if found is not None:
            positions, reason = positions_in(found, self)
            if reason is None and partition not in positions:
                raise TokenError(
                    f"the token for partition {partition} is of partition {', '.join(map(str, sorted(positions)))}"
                )
            if reason is None:
                self.state.put({partition: positions[partition]}, found.fresh_ms)
                return None
        self.state.put(self.fresh_positions([partition]), now)
        return reason

    def _stored(self, partition: int) -> Token | int | None:
        """What is stored for a partition: a token, or an offset alone; None: nothing."""
        if self.options.stored is not None:
            text = self.options.stored([partition]).get(partition)
            return None if text is None else read_token(text)
        question = [TopicPartition(self.cluster.changes, partition)]

        def ask() -> tuple[int | None, str]:
            [place] = self.journal.consumer.committed(question, timeout=ASK_S)
            return committed_offset(place), place.metadata or ""

        try:
            offset, token = ask_for_offsets(ask, limit_s=REACH_S)
        except KafkaException as error:
            raise InfrastructureError(
                f"the position of group {self.options.group} cannot be read: {word_of(error.args[0])}"
            ) from error
        return read_token(token) if offset is not None and token else offset

    # -- called within a look at Kafka

    def _on_assign(self, consumer: Consumer, places: _Places) -> None:
        # Nothing is fetched before the position is known.
        consumer.incremental_assign([])
        self._assigned += [place.partition for place in places]

    def _on_revoke(self, consumer: Consumer, places: _Places) -> None:
        self._give_away(consumer, places, lost=False)

    def _on_lost(self, consumer: Consumer, places: _Places) -> None:
        self._give_away(consumer, places, lost=True)

    def _give_away(self, consumer: Consumer, places: _Places, *, lost: bool) -> None:
        partitions = [place.partition for place in places]
        waiting = [partition for partition in self._assigned if partition not in partitions]
        begun = tuple(partition for partition in partitions if partition not in self._assigned)
        self._assigned = deque(waiting)
        revoked = Revoked(begun, lost, self.state.frame(), 0)
        if begun and self.options.on_revoke is not None:
            self.options.on_revoke(revoked)
        if not any(partition in self.journal.positions for partition in partitions):
            consumer.incremental_unassign([])
        self.forget(partitions)
        if begun:
            self._revoked.append(revoked)
