"""The subscription itself, as callers have it in their hands."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from types import TracebackType
from typing import Self

from consolidator.connecting.arguments import connection_from, prefix_from
from consolidator.errors import InfrastructureError, UnreadableRecordError, UsageError
from consolidator.subscribing.alone import Alone
from consolidator.subscribing.items import Item, Revoked
from consolidator.subscribing.member import Member
from consolidator.subscribing.options import Options
from consolidator.subscribing.start import BEGINNING, CAUGHT_UP, SNAPSHOT, Filter, Start, require_start

__all__ = ["Subscription", "subscribe"]


class Subscription:
    """Yields items; made by :func:`subscribe`.

    For plain ``for`` and for ``async for``: the same items in the same order. It connects when the first item is asked
    for, and is a context manager, plain and asynchronous. It is iterated by one thread or task at a time; another
    ``for`` goes on where the last one has ended.

    Args:
        options: what the caller has asked for.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._engine: Alone | Member | None = None
        self._batches: Iterator[Iterable[Item]] = iter(())
        self._batch: Iterator[Item] = iter(())
        self._last: Item | None = None
        self._closing = False
        # Held while Kafka is looked at: a consumer must not be closed meanwhile.
        self._lock = threading.RLock()
        # The thread that looks at Kafka. A signal's handler runs in it, in the middle of the look.
        self._looking: int | None = None
        self._ending = False
        self._executor: ThreadPoolExecutor | None = None
        self._waited: Future[bool] | None = None

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
        while True:
            try:
                for item in self._batch:
                    self._last = item
                    yield item
                    if self._closing:
                        return
            except UnreadableRecordError:
                self._end_here()
                raise
            if not self._fetch():
                return

    def __aiter__(self) -> AsyncIterator[Item]:
        """Yield items; a thread of the subscription's own waits for Kafka. Raises as :meth:`__iter__`."""
        return self._items()

    async def _items(self) -> AsyncIterator[Item]:
        while True:
            try:
                for item in self._batch:
                    self._last = item
                    yield item
                    if self._closing:
                        return
            except UnreadableRecordError:
                await asyncio.to_thread(self._end_here)
                raise
            if self._closing:
                return
            if self._waited is None:
                self._waited = self._thread().submit(self._fetch)
            # A task that is cancelled here loses nothing: the next one waits for the same look at Kafka.
            waited = self._waited
            try:
                more = await asyncio.shield(asyncio.wrap_future(waited))
            finally:
                if waited.done():
                    self._waited = None
            if not more:
                return

    def _thread(self) -> ThreadPoolExecutor:
        if self._executor is None:
            self._executor = ThreadPoolExecutor(1, "consolidator-subscription")
        return self._executor

    def _fetch(self) -> bool:
        """Take the next items over; False: there are no more."""
        with self._lock:
            if self._closing:
                return False
            self._looking = threading.get_ident()
            try:
                if self._engine is None:
                    self._engine = self._begun()
                    self._batches = self._engine.batches()
                batch = next(self._batches, None)
            except BaseException:
                # The next iteration begins anew, after the last item that was yielded.
                self._end()
                raise
            finally:
                self._looking = None
            if batch is None or self._closing:
                self._end()
                return False
            self._batch = iter(batch)
            return True

    def _begun(self) -> Alone | Member:
        if self._options.group is not None:
            return Member(self._options)
        token = self.token
        return Alone(self._options if token is None else replace(self._options, start=token))

    def _end_here(self) -> None:
        with self._lock:
            self._end()

    def _end(self) -> None:
        self._batches, self._batch = iter(()), iter(())
        if self._ending:
            # A signal's handler has closed the subscription in the middle of its end.
            return
        self._ending = True
        try:
            # A member that leaves its group may commit first, in the caller's ``on_revoke``.
            if self._engine is not None:
                self._engine.close()
        finally:
            self._engine, self._ending = None, False

    @property
    def token(self) -> str | None:
        """The token after the last item that was yielded; None: there was none yet. In a group: of the last item."""
        return None if self._last is None or isinstance(self._last, Revoked) else self._last.token

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
        engine, chosen = self._engine, self._last if item is None else item
        if self._options.group is None:
            raise UsageError("commit: the subscription has no group; keep the token instead")
        if not isinstance(engine, Member) or chosen is None:
            if item is None:
                return
            raise InfrastructureError("commit: the subscription has left its group")
        engine.commit(chosen, everything=item is None)

    def close(self) -> None:
        """End the subscription; an iteration that waits ends within a second.

        May be called twice, by any thread, and by a signal's handler.
        """
        self._closing = True
        if self._looking == threading.get_ident():
            # A handler has interrupted this thread's own look, which closes the consumer when it is over.
            return
        with self._lock:
            self._end()

    async def aclose(self) -> None:
        """As :meth:`close`, without holding up the event loop."""
        self._closing = True
        if self._executor is None:
            await asyncio.to_thread(self.close)
            return
        await asyncio.wrap_future(self._executor.submit(self.close))
        self._executor.shutdown(wait=False)


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
    wanted = Filter.of(
        applications=applications, processors=processors, factors=factors, outcomes=outcomes, kinds=kinds
    )
    if until not in {None, CAUGHT_UP}:
        raise UsageError(f"until: {until!r} is neither None nor {CAUGHT_UP!r}")
    for name, seconds in (("stall_s", stall_s), ("progress_s", progress_s)):
        if not seconds > 0:
            raise UsageError(f"{name}: a number of seconds above 0 is wanted")
    begins = require_start(start)
    if group is None and (stored is not None or on_revoke is not None):
        raise UsageError("stored and on_revoke are for a group: give group as well")
    if group is not None:
        if begins not in (SNAPSHOT, BEGINNING):
            raise UsageError("start: in a group it is SNAPSHOT or BEGINNING, for partitions of which nothing is stored")
        if until is not None:
            raise UsageError("until: a group has no end")
    return Subscription(
        Options(
            connection_from(bootstrap_servers, security).librdkafka(),
            prefix_from(topic_prefix),
            wanted,
            begins,
            until is not None,
            group,
            stored,
            on_revoke,
            stall_s,
            progress_s,
        )
    )
