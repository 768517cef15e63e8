"""The subscription itself, as callers have it in their hands."""

from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Self

from consolidator.subscribing.items import Item, Revoked
from consolidator.subscribing.start import SNAPSHOT, Start

__all__ = ["Subscription", "subscribe"]


class Subscription:
    """Yields items; made by :func:`subscribe`.

    For plain ``for`` and for ``async for``: the same items in the same order. It connects when the first item is asked
    for, and is a context manager, plain and asynchronous. It is iterated by one thread or task at a time; another
    ``for`` goes on where the last one has ended.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __iter__(self) -> Iterator[Item]:
        """Yield items.

        Raises:
            UsageError, TokenError, SettingsError, ContractError: before the first item: see :func:`subscribe`.
            UnreadableRecordError: a record cannot be read. The next iteration meets it again: it is never skipped.
            StalledError: the snapshot, or an end that is waited for, does not come nearer.
            InfrastructureError: Kafka does not answer, or cannot be read.
        """
        raise NotImplementedError

    def __aiter__(self) -> AsyncIterator[Item]:
        """Yield items; a thread of the subscription's own waits for Kafka. Raises as :meth:`__iter__`."""
        raise NotImplementedError

    @property
    def token(self) -> str | None:
        """The token after the last item that was yielded; None: there was none yet. In a group: of the last item."""
        raise NotImplementedError

    def commit(self, item: Item | None = None) -> None:
        """In a group: let Kafka keep the position after an item, for whoever gets its partition next.

        Without it nothing is committed. Whoever keeps tokens in a database, in the transaction of their effect, does
        not need it (see ``stored`` of :func:`subscribe`).

        Args:
            item: None: the last one that was yielded, of every partition.

        Raises:
            UsageError: the subscription has no group.
            InfrastructureError: Kafka does not answer, or another member has the partition by now.
        """
        raise NotImplementedError

    def close(self) -> None:
        """End the subscription; an iteration that waits ends within a second. May be called twice, by any thread."""
        raise NotImplementedError

    async def aclose(self) -> None:
        """As :meth:`close`, without holding up the event loop."""
        raise NotImplementedError


def subscribe(
    bootstrap_servers: str | None = None,
    *,
    start: Start = SNAPSHOT,
    applications: Collection[str] = (),
    processors: Collection[str] = (),
    factors: Collection[str] = (),
    outcomes: Collection[str] = (),
    kinds: Collection[str] = (),
    until: str | None = None,
    group: str | None = None,
    stored: Callable[[Sequence[int]], Mapping[int, str]] | None = None,
    on_revoke: Callable[[Revoked], None] | None = None,
    topic_prefix: str | None = None,
    stall_s: float = 60.0,
    progress_s: float = 5.0,
    **security: str | None,
) -> Subscription:
    """Subscribe to the factors that a worker publishes.

    What is not given comes from the environment, from the variables of the worker: ``KAFKA_BOOTSTRAP_SERVERS``,
    ``KAFKA_SECURITY_PROTOCOL``, ``KAFKA_SASL_…``, ``KAFKA_SSL_…`` (a secret from a file: with ``_FILE``) and
    ``CONSOLIDATOR_TOPIC_PREFIX``.

    Args:
        bootstrap_servers: ``host:port``, comma-separated.
        start: where to begin. ``SNAPSHOT``: the current factors of every pair, then every change after them.
            ``BEGINNING``: every change from the first one on. A datetime: changes that were published at that time or
            later. Offsets of ``factor-changes`` by partition: only these partitions are read. Any other text: a token.
        applications: only these; their partitions alone are read.
        processors: only these.
        factors: only changes in which one of these differs; the snapshot is not narrowed by it.
        outcomes: only changes to one of these; likewise.
        kinds: only changes with ``set``, ``updated`` or ``cleared`` factors, or ``unchanged`` ones; likewise.
        until: ``"caught-up"`` ends the iteration after :class:`~consolidator.CaughtUp`; None: it goes on for ever.
        group: share the partitions with everybody who subscribes with this group's id. Each member begins with what
            is stored for a partition, or else as ``start`` says, which is then ``SNAPSHOT`` or ``BEGINNING``.
        stored: in a group, for callers that keep tokens themselves: gives the token of each of some partitions, as far
            as there is one. Called when partitions are assigned; committed positions are not read then.
        on_revoke: in a group: called before partitions are given away, while their positions can still be stored or
            committed; by the iterating thread, or with ``async for`` by the subscription's own.
        topic_prefix: stands before the topics' names.
        stall_s: seconds without getting on, in a snapshot or before an end that is waited for, after which
            :class:`~consolidator.StalledError` is raised.
        progress_s: seconds between two :class:`~consolidator.Progress`; so often it is looked whether the topics are
            still the same ones.
        security: ``security_protocol``, ``sasl_mechanism``, ``sasl_username``, ``sasl_password``, ``ssl_ca_location``,
            ``ssl_certificate_location``, ``ssl_key_location``, ``ssl_key_password``: as the variables of these names.

    Raises:
        UsageError: an argument cannot be what is meant.
        SettingsError: a setting of the connection is missing or wrong.
        TokenError: while iterating: the token is damaged, or of another cluster, topic prefix or filter.
        ContractError: while iterating: a topic, a partition or an offset is not there.
        AuthorizationError: while iterating: the cluster does not permit to read a topic or to use the group.
    """
    raise NotImplementedError
