"""What a sink needs of Kafka: its partitions, how far the rows may come, and the records."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from topics.reading.following import Place
from topics.reading.progress import Published
from topics.records.record import Record

__all__ = ["Assignment", "Progress", "Reading"]


class Assignment(Protocol):
    """Which partitions this process is to serve; see :class:`~streams.sink.membership.Membership`.

    Attributes:
        assigned: the partitions.
    """

    assigned: set[int]

    def poll(self) -> None:
        """Take in what was decided; :attr:`assigned` is current then."""

    def commit(self, offsets: Mapping[int, int]) -> None:
        """Take note of how far partitions are."""


class Progress(Protocol):
    """How far the rows may come; see :class:`~topics.reading.progress.GroupProgress`."""

    def published(self) -> Mapping[int, Published]:
        """For each partition.

        Raises:
            InfrastructureError: Kafka does not answer.
        """


class Reading(Protocol):
    """Reads partitions on and on; see :class:`~topics.reading.following.Follower`.

    Attributes:
        positions: of each partition the offset before which everything was read.
    """

    positions: dict[Place, int]

    def follow(self, starts: Mapping[Place, int]) -> None:
        """Read further partitions, each from an offset on."""

    def leave(self, places: Iterable[Place]) -> None:
        """Read these no more."""

    def hold(self, place: Place, *, held: bool) -> None:
        """Hold a partition back for now, or go on with it."""

    def poll(self, timeout_s: float) -> Sequence[Record]:
        """What has arrived by now, in the order of each partition.

        Raises:
            ContractError: a topic, an offset or the right to read is not there.
            InfrastructureError: what is in the log cannot be read.
        """
