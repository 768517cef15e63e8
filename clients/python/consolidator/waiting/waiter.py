"""Waits for the results of published events."""

import asyncio
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import TracebackType
from typing import Final, Self

from confluent_kafka import KafkaError

from consolidator.connecting.arguments import connection_from, prefix_from
from consolidator.connecting.quoting import shown
from consolidator.errors import SettingsError, UsageError
from consolidator.records import SourcePlace
from consolidator.waiting.questions import Names, Questions
from consolidator.waiting.result import WaitResult
from consolidator.waiting.scanning import Reading
from consolidator.waiting.steps import Steps

__all__ = ["Waiter", "wait_for", "wait_for_async"]

_KEPT_READINGS: Final = 4
"""Idle consumers that are kept for the next waits: each is some connections and threads."""

_THREADS: Final = 64
"""Waits of one event loop at a time; further ones wait for a thread."""

_APP_ID: Final = "CONSOLIDATOR_APP_ID"
_APP_ID_PATTERN: Final = r"[a-zA-Z0-9._-]{1,200}"
_DEFAULT_APP_ID: Final = "consolidator"
"""As in the worker's settings."""


class Waiter:
    """Waits for the results of many published events over the same connections. Threads may share it.

    What is not given comes from the environment, from the variables of the worker, as for
    :func:`consolidator.subscribe`; ``CONSOLIDATOR_APP_ID`` as well.

    Args:
        bootstrap_servers: ``host:port``, comma-separated.
        app_id: the worker's application id, which is its group.
        topic_prefix: stands before the topics' names.
        security: the other settings of the connection, as for :func:`consolidator.subscribe`.

    Raises:
        UsageError: an argument cannot be what is meant.
        SettingsError: a setting of the connection is missing or wrong.
    """

    def __init__(
        self,
        bootstrap_servers: str | None = None,
        *,
        app_id: str | None = None,
        topic_prefix: str | None = None,
        **security: str | None,
    ) -> None:
        self._config = connection_from(bootstrap_servers, security).librdkafka()
        self._names = Names.of(_app_id_from(app_id), prefix_from(topic_prefix))
        self._questions = Questions(self._config, self._names)
        self._idle: list[Reading] = []
        self._lock = threading.Lock()
        self._is_closed = False
        # Its threads are made when they are needed.
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="consolidator-wait")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def wait_for(
        self, place: SourcePlace | tuple[int, int], *, timeout_s: float = 30.0, follow_copy: bool = True
    ) -> WaitResult:
        """Wait until the worker is done with a record of ``executions``, and every reader can read what came of it.

        Blocks. From then on a subscriber that reads up to the present end has the result, and so has a snapshot that
        begins now.

        Args:
            place: the record's partition and offset, as a producer's delivery report has them.
            timeout_s: the time limit, in seconds.
            follow_copy: if the worker has published the record again, under its own key: wait for the copy as well,
                within the same limit. Otherwise the copy's place is the result.

        Raises:
            WaitTimeoutError: the time is over; the message says what was waited for.
            UsageError: no record can be there, or it is gone, or what is known about it is.
            AuthorizationError: a permission is missing; the message names it.
            ContractError: a topic is not there.
            InfrastructureError: Kafka does not answer.
        """
        return self._wait(place, timeout_s, follow_copy, threading.Event())

    async def wait_for_async(
        self, place: SourcePlace | tuple[int, int], *, timeout_s: float = 30.0, follow_copy: bool = True
    ) -> WaitResult:
        """As :meth:`wait_for`, in a thread of the waiter's own. If the task is cancelled, the thread ends at once."""
        cancelled = threading.Event()
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(
                self._threads, lambda: self._wait(place, timeout_s, follow_copy, cancelled)
            )
        finally:
            cancelled.set()

    def close(self) -> None:
        """Leave the connections. Waits that are under way must have ended."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            idle, self._idle = self._idle, []
        self._threads.shutdown()
        for reading in idle:
            reading.close()
        self._questions.close()

    def _wait(
        self,
        place: SourcePlace | tuple[int, int],
        timeout_s: float,
        follow_copy: bool,  # noqa: FBT001 - as the caller gave it
        cancelled: threading.Event,
    ) -> WaitResult:
        wanted = _require_place(place)
        deadline = time.monotonic() + timeout_s
        with self._reading() as reading:
            steps = Steps(self._questions, reading, self._names, self._config, timeout_s, deadline, cancelled)
            result = steps.result(wanted)
            copy = result.republished_at
            if copy is None or not follow_copy:
                return result
            return steps.result(copy, copy_of=wanted)

    @contextmanager
    def _reading(self) -> Iterator[Reading]:
        """A consumer for one wait: an idle one, or a new one. After an error it is not used again."""
        with self._lock:
            reading = self._idle.pop() if self._idle else None
        if reading is None:
            names = self._names
            reading = Reading(self._config, (names.executions, names.changes, names.letters), self._unreadable)
        is_fine = False
        try:
            yield reading
            reading.rest()
            is_fine = True
        finally:
            with self._lock:
                is_kept = is_fine and not self._is_closed and len(self._idle) < _KEPT_READINGS
                if is_kept:
                    self._idle.append(reading)
            if not is_kept:
                reading.close()

    @property
    def _unreadable(self) -> Callable[[KafkaError, str], Exception]:
        return lambda error, topic: self._questions.failure(error, topic, self._names.permission(topic))


def wait_for(
    place: SourcePlace | tuple[int, int],
    bootstrap_servers: str | None = None,
    *,
    timeout_s: float = 30.0,
    follow_copy: bool = True,
    app_id: str | None = None,
    topic_prefix: str | None = None,
    **security: str | None,
) -> WaitResult:
    """Wait for the result of one published event: see :meth:`Waiter.wait_for`.

    It connects anew each time, which takes longer than most waits. For more than one event use a :class:`Waiter`.
    """
    with Waiter(bootstrap_servers, app_id=app_id, topic_prefix=topic_prefix, **security) as waiter:
        return waiter.wait_for(place, timeout_s=timeout_s, follow_copy=follow_copy)


async def wait_for_async(
    place: SourcePlace | tuple[int, int],
    bootstrap_servers: str | None = None,
    *,
    timeout_s: float = 30.0,
    follow_copy: bool = True,
    app_id: str | None = None,
    topic_prefix: str | None = None,
    **security: str | None,
) -> WaitResult:
    """As :func:`wait_for`, without holding up the event loop."""
    waiter = Waiter(bootstrap_servers, app_id=app_id, topic_prefix=topic_prefix, **security)
    try:
        return await waiter.wait_for_async(place, timeout_s=timeout_s, follow_copy=follow_copy)
    finally:
        await asyncio.to_thread(waiter.close)


def _app_id_from(app_id: str | None) -> str:
    """The worker's application id.

    Raises:
        SettingsError: it can be none.
    """
    source, value = "app_id=", app_id
    if value is None:
        source, value = _APP_ID, os.environ.get(_APP_ID, _DEFAULT_APP_ID)
    if not re.fullmatch(_APP_ID_PATTERN, value):
        raise SettingsError(
            f"{source} is {shown(value)}: 1 to 200 letters, digits, dots, hyphens and underscores are wanted"
        )
    return value


def _require_place(place: SourcePlace | tuple[int, int]) -> SourcePlace:
    """The place as a value.

    Raises:
        UsageError: it is none.
    """
    found = place if isinstance(place, SourcePlace) else SourcePlace(*place)
    for value in (found.partition, found.offset):
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise UsageError(f"{found} is no partition and offset, from 0: was the record delivered?")
    return found
