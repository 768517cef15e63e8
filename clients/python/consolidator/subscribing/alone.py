"""A subscription without a group: all wanted partitions go through snapshot and journal together."""

from datetime import UTC, datetime, timedelta

from consolidator.errors import ContractError, TokenError, UsageError
from consolidator.keys import partition_of
from consolidator.subscribing.cluster import COMMITTED, UnknownTopicError
from consolidator.subscribing.consuming import Fetcher, LostPlaceError
from consolidator.subscribing.engine import Batches, Engine, RefetchError
from consolidator.subscribing.items import MustRefetch
from consolidator.subscribing.options import Options
from consolidator.subscribing.positions import SNAPSHOT_DONE, Position
from consolidator.subscribing.start import BEGINNING, SNAPSHOT
from consolidator.subscribing.state import now_ms, what_happened
from consolidator.subscribing.token import Token, read_token

__all__ = ["Alone", "positions_in"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class Alone(Engine):
    """Reads by itself; every token covers all of its partitions.

    Args:
        options: what the caller has asked for; there is no group.
    """

    def __init__(self, options: Options) -> None:
        # Before anything is asked: what cannot be a token is an error even without Kafka.
        start = options.start
        is_token = isinstance(start, str) and start not in {SNAPSHOT, BEGINNING}
        self._token: Token | None = read_token(str(start)) if is_token else None
        super().__init__(options)

    def batches(self) -> Batches:
        """Everything, in its order; ends where the caller has said so."""
        is_placed, refetch = False, None
        while True:
            try:
                if not is_placed:
                    refetch = self._place()
                    is_placed = True
                if refetch is not None:
                    self._place_anew()
                    reason, refetch = refetch, None
                    everything = sorted(self.state.positions)
                    yield [MustRefetch(reason, tuple(everything), self.state.frame(partitions=everything), 0)]
                yield from self._read()
            except RefetchError as reason:
                refetch = str(reason)
            except (LostPlaceError, UnknownTopicError) as error:
                # It may just be created again.
                happened = self.lost(error)
                refetch = happened if is_placed else None
            else:
                return

    def _read(self) -> Batches:
        unfinished = [one for one, at in self.state.positions.items() if at.factors != SNAPSHOT_DONE]
        if unfinished:
            yield from self.snapshot(unfinished)
        self.end_snapshot()
        self.tail(self.state.positions)
        while True:
            yield from self.step()
            if self.options.ends:
                if self.has_caught_up:
                    return
                self.require_progress()
            yield from self.report()

    # -- where to begin

    def _wanted(self) -> list[int]:
        """The partitions that the filter leaves."""
        count = self.described.partitions
        applications = self.options.wanted.applications
        return sorted({partition_of(one, count) for one in applications} if applications else range(count))

    def _place(self) -> str | None:
        """Take the positions up; why they are no longer good, or None."""
        start = self.options.start
        if self._token is not None:
            positions, reason = positions_in(self._token, self)
            if reason is None:
                self.state.put(positions, self._token.fresh_ms)
            return reason
        if start == SNAPSHOT:
            positions, now = {}, now_ms()
            positions = self.fresh_positions(self._wanted())
        elif start == BEGINNING:
            edges = self.cluster.edges(self.cluster.changes, self._wanted())
            positions, now = {one: Position(first) for one, (first, _) in edges.items()}, now_ms()
        elif isinstance(start, datetime):
            positions, now = self._at_time(start), now_ms()
        else:
            positions, now = self._at_offsets(dict(start)), now_ms()  # type: ignore[arg-type]
        self.state.put(positions, now)
        return None

    def _place_anew(self) -> None:
        self.close()
        self.journal = Fetcher(self.options.config, self.cluster.changes)
        self._targets.clear()
        self.state.drop([*self.state.positions])
        now = now_ms()
        self.state.put(self.fresh_positions(self._wanted()), now)

    def _at_time(self, start: datetime) -> dict[int, Position]:
        wanted = self._wanted()
        # Asked before the times, so that nothing that is published in between lies before the place.
        stable = self.cluster.ends(self.cluster.changes, wanted, COMMITTED)
        milliseconds = max(0, -(-(start - _EPOCH) // _MILLISECOND))
        found = self.cluster.times(self.cluster.changes, wanted, milliseconds)
        return {
            one: Position(min(stable[one], offset if offset is not None else stable[one]))
            for one, offset in found.items()
        }

    def _at_offsets(self, start: dict[int, int]) -> dict[int, Position]:
        topic, wanted = self.cluster.changes, self._wanted()
        for partition in start:
            if partition >= self.described.partitions:
                raise ContractError(
                    f"{topic} has no partition {partition}: its partitions are 0 to {self.described.partitions - 1}"
                )
        if self.options.wanted.applications:
            missing = [one for one in wanted if one not in start]
            if missing:
                raise UsageError(
                    f"start: applications are in partition {', '.join(map(str, missing))}, and no offset is given there"
                )
            start = {one: start[one] for one in wanted}
        for partition, (first, end) in self.cluster.edges(topic, start).items():
            if not first <= start[partition] <= end:
                raise ContractError(
                    f"{topic} has no offset {start[partition]} in partition {partition}: the first is {first}, the "
                    f"next to come is {end}"
                )
        return {one: Position(offset) for one, offset in start.items()}


def positions_in(token: Token, engine: Engine) -> tuple[dict[int, Position], str | None]:
    """The positions of a token, and why they are no longer good to go on from, or None.

    Raises:
        TokenError: the token is of another cluster, of other topics or of another filter, or names no partition.
        InfrastructureError: Kafka does not answer.
    """
    stamp = engine.state.stamp
    stamp.refuse_other(token.stamp)
    positions = {partition: Position(*position) for partition, position in token.positions.items()}
    if not positions:
        raise TokenError("the token names no partition: it is of a member of a group that had none")
    reason = stamp.differs_in(token.stamp)
    if reason is None:
        reason = what_happened(engine.cluster, engine.described, positions, fresh_ms=token.fresh_ms, now_ms=now_ms())
    return positions, reason
