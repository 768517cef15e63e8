"""Builds a set of tables from the log, exactly to given places: resumable, and with the sink's own machinery."""

import time
from collections.abc import Callable, Mapping
from typing import Final

from sqlalchemy import Engine

from models.errors import ContractError, InfrastructureError
from streams.sink.lane import Cursor
from streams.sink.schema import Tables
from streams.sink.service import SinkService
from streams.sink.upkeep.forgotten import ForgottenLetters, RememberingWriter
from streams.sink.upkeep.log import Log
from topics.reading.progress import Published

__all__ = ["Builder", "Phases", "Targets", "target_of"]

_STALL_S: Final = 60.0
"""Longer without a record or a row is an error: an open transaction ends within a minute."""

Targets = Mapping[int, Published]
"""The bound up to which each partition is built."""


Phases = Callable[[str, int | None], Callable[[int], None]]
"""Begins to show a phase, given its name and its total (None: not known); returns what advances it."""


def target_of(cursor: Cursor) -> Published:
    """The bound that makes rows come to exactly the same place."""
    return Published(cursor.next, cursor.changes, cursor.letters)


class _Chosen:
    """The partitions that are built, and their targets, where a sink has its group and its workers' progress."""

    def __init__(self) -> None:
        self.assigned: set[int] = set()
        self.targets: Targets = {}

    def poll(self) -> None:
        """See :class:`~streams.sink.ports.Assignment`."""

    def commit(self, offsets: Mapping[int, int]) -> None:
        """See :class:`~streams.sink.ports.Assignment`: nobody watches a group's lag here."""

    def published(self) -> Targets:
        """See :class:`~streams.sink.ports.Progress`."""
        return self.targets


class Builder(SinkService):
    """Builds one set.

    Args:
        engine: the database that the set is in.
        tables: the set.
        log: what it is built of.
        letters: dead letters that only the current set has left.
    """

    def __init__(self, engine: Engine, tables: Tables, log: Log, letters: ForgottenLetters) -> None:
        self._chosen = _Chosen()
        writer = RememberingWriter(
            engine,
            log.topics,
            max_event_bytes=log.max_event_bytes,
            authority=log.authority,
            keeping=log.keeping,
            rulesets=log.rulesets,
            letters=letters,
        )
        super().__init__(
            engine,
            writer,
            log.topics,
            self._chosen,
            log.follower,
            self._chosen,
            beginnings=log.first.__getitem__,
            absence_ms=log.absence_ms,
            fenced_s=0.0,
            tables=tables,
            exact=True,
            now_ms=log.now_ms,
        )

    def build(self, targets: Targets, on_progress: Callable[[int], None]) -> None:
        """Come to each target.

        Args:
            targets: how far, for each partition that is to be built; a target never goes back.
            on_progress: is given a number of offsets, now and then.

        Raises:
            ContractError: another process builds the set, the rows are beyond a target, or something agreed upon does
                not hold.
            DatabaseAwayError: the database does not answer: started again, it goes on where it was.
            InfrastructureError: Kafka gives nothing any more.
        """
        self._chosen.assigned = {*targets}
        self._chosen.targets = targets
        self.follow_assignment()
        for partition, cursor in self.cursors.items():
            if cursor.next > targets[partition].consolidated or cursor.changes > targets[partition].changes:
                raise ContractError(
                    f"the new tables of partition {partition} are at {cursor.next}, those that are read at "
                    f"{targets[partition].consolidated}: run `consolidator sink rebuild --restart`"
                )
        self.ask_again()
        moved_at, place = time.monotonic(), self.place
        while True:
            before = sum(cursor.next for cursor in self.cursors.values())
            self.step()
            on_progress(sum(cursor.next for cursor in self.cursors.values()) - before)
            if self.is_through():
                return
            if self.place != place:
                moved_at, place = time.monotonic(), self.place
            elif time.monotonic() - moved_at > _STALL_S:
                raise InfrastructureError(
                    f"Kafka has given nothing for {_STALL_S:.0f} s, and the rows are at {self.cursors}, not at "
                    f"{dict(targets)}"
                )

    def begin_again(self) -> None:
        """Forget what is known of the rows: another writer has changed them. The next build takes them over again."""
        self._chosen.assigned = set()
        self.follow_assignment()

    def fenced(self, partition: int) -> None:
        """See :class:`~streams.sink.service.SinkService`.

        Raises:
            ContractError: always.
        """
        raise ContractError(f"another `consolidator sink rebuild` has taken partition {partition} over: one is enough")
