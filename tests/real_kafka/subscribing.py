"""Runs a subscription in a test: in a thread, by ``for`` or by ``async for``, with everything that it yields."""

import asyncio
import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Self

import consolidator
from consolidator import Changed, Current, Erased, FactorChange, Item, MustRefetch, Subscription
from tests.real_kafka.worker_process import wait_until

__all__ = ["View", "Watched", "drained", "yielded"]

LIMIT_S = 60.0
"""For something that comes at once on an idle machine."""


class View:
    """What a subscriber with a table of the current factors comes to.

    Attributes:
        pairs: the version of each pair that is in the table.
    """

    def __init__(self) -> None:
        self.pairs: dict[tuple[str, str], tuple[int, dict[str, Any]]] = {}

    def take(self, items: Iterable[Item]) -> Self:
        """Handle items as the documentation says."""
        for item in items:
            match item:
                case Current(factors) | Changed(factors):
                    pair = factors.application_id, factors.processor
                    self.pairs[pair] = factors.version.offset, factors.values()
                case Erased(application_id):
                    for pair in [pair for pair in self.pairs if pair[0] == application_id]:
                        del self.pairs[pair]
                case MustRefetch():
                    self.pairs.clear()
                case _:
                    pass
        return self

    def agrees(self, expected: dict[tuple[str, str], FactorChange]) -> bool:
        """Whether it is what was published."""
        return self.pairs == {pair: (one.version.offset, one.values()) for pair, one in expected.items()}


class Watched:
    """A subscription that a thread iterates, until it is closed.

    Args:
        subscription: the subscription.
        take: called for each item; what it raises ends the iteration.
        is_async: iterate by ``async for``.
    """

    def __init__(
        self, subscription: Subscription, *, take: Callable[[Item], None] | None = None, is_async: bool = False
    ) -> None:
        self.subscription = subscription
        self.items: list[Item] = []
        self.error: BaseException | None = None
        self._take = take
        run = (lambda: asyncio.run(self._iterate_async())) if is_async else self._iterate
        self._thread = threading.Thread(target=self._guarded, args=(run,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.subscription.close()
        self._thread.join(LIMIT_S)
        assert not self._thread.is_alive()
        if kind is None and self.error is not None:
            raise self.error

    def _guarded(self, run: Callable[[], None]) -> None:
        try:
            run()
        except BaseException as error:  # noqa: BLE001 - raised where the test waits
            self.error = error

    def _iterate(self) -> None:
        for item in self.subscription:
            self._note(item)

    async def _iterate_async(self) -> None:
        async for item in self.subscription:
            self._note(item)

    def _note(self, item: Item) -> None:
        self.items.append(item)
        if self._take is not None:
            self._take(item)

    def of(self, kind: type[Item]) -> list[Any]:
        """The items of a kind, so far."""
        return [item for item in self.items if isinstance(item, kind)]

    def wait_for(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for a condition, or for the error that has ended the iteration."""
        wait_until(lambda: self.error is not None or condition(), what, limit_s=LIMIT_S, details=lambda: repr(self))
        if self.error is not None:
            raise self.error

    def wait_kind(self, kind: type[Item], count: int = 1) -> list[Any]:
        """Wait for items of a kind."""
        self.wait_for(lambda: len(self.of(kind)) >= count, f"{count} {kind.__name__}")
        return self.of(kind)

    def ended(self) -> BaseException | None:
        """Wait for the end of the iteration, and return its error."""
        self._thread.join(LIMIT_S)
        assert not self._thread.is_alive(), repr(self)
        error, self.error = self.error, None
        return error

    def __repr__(self) -> str:
        kinds = [type(item).__name__ for item in self.items]
        return f"{len(kinds)} items, the last: {kinds[-20:]}; error {self.error!r}"


def drained(servers: str, *, is_async: bool = False, **arguments: Any) -> list[Item]:
    """Everything that a subscription yields until it has caught up."""
    subscription = consolidator.subscribe(servers, until="caught-up", **arguments)
    with Watched(subscription, is_async=is_async) as watched:
        error = watched.ended()
    if error is not None:
        raise error
    return watched.items


def yielded(items: Iterable[Item]) -> list[str]:
    """The kinds of items, without those that come at any time."""
    return [type(item).__name__ for item in items if not isinstance(item, consolidator.Progress)]
