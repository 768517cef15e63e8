"""What a subscription yields: records as values, and control items about the subscription itself.

All are frozen, and usable with ``match``::

    match item:
        case Current(factors) | Changed(factors):
            view[factors.application_id, factors.processor] = factors
        case Erased(application_id):
            forget(application_id)
        case MustRefetch(reason):
            begin_a_new_view()
        case SnapshotEnd() | CaughtUp() | Progress():
            store(item.token)

Every item has a :attr:`Item.token`: where to go on after it. It is made when it is asked for, and costs nothing else.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

import msgspec

from consolidator.errors import UsageError
from consolidator.records import CurrentFactors, FactorChange

__all__ = [
    "CaughtUp",
    "Changed",
    "Current",
    "Erased",
    "Item",
    "MustRefetch",
    "Place",
    "Progress",
    "Revoked",
    "SnapshotEnd",
]


class Place(Protocol):
    """The places of the items that were read together."""

    def token_after(self, index: int) -> str:
        """The token after the item with that number."""


class Item(msgspec.Struct, frozen=True, gc=False):
    """The root of everything that a subscription yields."""

    @property
    def token(self) -> str:
        """Where to go on after this item, so that nothing is lost and nothing comes twice: an opaque text.

        ``subscribe(start=token)`` goes on there. It covers all partitions of the subscription; in a group, only that of
        the item.

        Raises:
            UsageError: of :class:`Revoked`, which has none.
        """
        raise UsageError(f"{type(self).__name__} has no token")


class _Placed:
    """What has a token, as every item but :class:`Revoked` has. The two fields are the items' own: they come last."""

    __slots__ = ()

    if TYPE_CHECKING:
        _place: Place
        _index: int

    @property
    def token(self) -> str:
        """See :attr:`Item.token`."""
        return self._place.token_after(self._index)


class _Recorded(_Placed, Item, frozen=True, gc=False):
    """An item that stands for one record."""


class Current(_Recorded, frozen=True, gc=False):
    """A record of the snapshot: the current factors of one processor of an application.

    A pair may come several times, where compaction has not been there yet; the last one counts. The token goes on with
    the snapshot.

    Attributes:
        factors: the value.
        partition: the record's partition, from 0.
        offset: where it stands in ``factors``.
    """

    factors: CurrentFactors
    partition: int
    offset: int
    _place: Place
    _index: int


class Changed(_Recorded, frozen=True, gc=False):
    """A change, with everything as it is after it.

    Attributes:
        change: the value.
        partition: the record's partition, from 0.
        offset: where it stands in ``factor-changes``.
    """

    change: FactorChange
    partition: int
    offset: int
    _place: Place
    _index: int


class Erased(_Recorded, frozen=True, gc=False):
    """A tombstone: the application was erased. Forget everything about it.

    An erasure has one tombstone for each pair and for each change, so that this comes several times. Changes of the
    application that come after the last one are news: the erasure was lifted.

    Attributes:
        application_id: the application.
        processor: of which the current factors are erased; None: the tombstone is a change's.
        change_id: the change that is erased; None: the tombstone is that of a pair's current factors.
        partition: the record's partition, from 0.
        offset: where it stands, in ``factors`` or in ``factor-changes``.
    """

    application_id: str
    processor: str | None
    change_id: str | None
    partition: int
    offset: int
    _place: Place
    _index: int


class SnapshotEnd(_Placed, Item, frozen=True, gc=False):
    """The snapshot is complete: what it did not show does not exist. Changes follow.

    Attributes:
        partitions: those that were read; in a group, one of them.
        token: see :attr:`Item.token`.
    """

    partitions: tuple[int, ...]
    _place: Place
    _index: int


class CaughtUp(_Placed, Item, frozen=True, gc=False):
    """Everything that was published when the subscription began (or began anew) was yielded. It comes once for each.

    Attributes:
        partitions: those that have caught up; in a group, one of them.
    """

    partitions: tuple[int, ...]
    _place: Place
    _index: int


class Progress(_Placed, Item, frozen=True, gc=False):
    """The subscription is alive; comes every ``progress_s`` seconds, whether or not there are records.

    Storing its token keeps a subscriber whose filter lets little through from reading the same records again.

    Attributes:
        positions: by partition, the offset of ``factor-changes`` before which everything was read.
        waits_for: None: for nothing. Otherwise why there are no new records in a partition that has some: which
            partition, its last stable offset and its end, and since when a transaction is open.
    """

    positions: Mapping[int, int]
    waits_for: str | None
    _place: Place
    _index: int


class MustRefetch(_Placed, Item, frozen=True, gc=False):
    """What was yielded before may be wrong: an erasure or a change may be missing. A snapshot follows.

    Build a new view of what follows, and let it take the old one's place at :class:`SnapshotEnd`. Until then the old
    one is shown, or none; never an empty one.

    Attributes:
        reason: what happened, for people: topic, partition and offset are named.
        partitions: those whose pairs and changes are meant; in a group, one of them.
    """

    reason: str
    partitions: tuple[int, ...]
    _place: Place
    _index: int


class Revoked(Item, frozen=True, gc=False):
    """In a group: this member has these partitions no more. Drop the state of their applications.

    The partition of an application is :func:`consolidator.partition_of`. It has no token: where its partitions go on is
    another member's.

    Attributes:
        partitions: the partitions.
        lost: the group gave them away already: another member may have yielded their records before this item.
    """

    partitions: tuple[int, ...]
    lost: bool
    _place: Place
    _index: int
