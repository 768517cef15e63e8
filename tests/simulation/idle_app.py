"""A worker's application that is never started, so that a test can call the transport's objects at a chosen moment.

A fake thread with predefined polls replaces Kafka, because the timing of a real broker cannot be controlled.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from faust.types import TP

from streams.configuration.connection import connection_of, topics_of
from streams.configuration.settings import Settings
from streams.rulesets.catalogue_file import load_catalogue
from streams.runtime.contact import KafkaContact
from streams.runtime.logs import EventLog
from streams.runtime.supervision import Supervision
from streams.worker.app import ConsolidatorApp, create_app
from streams.worker.logging_observer import LoggingObserver
from streams.worker.ruleset_adoption import Rulesets
from streams.worker.transport.consumer import BatchConsumer

__all__ = ["ScriptedThread", "idle_app", "idle_consumer"]

Poll = Callable[[], dict[TP, Any]]
"""What happens while one poll is under way, and what it returns."""


class ScriptedThread:
    """Replaces the consumer's thread.

    Args:
        polls: the polls, in order.
    """

    def __init__(self, *polls: Poll) -> None:
        self._polls = list(polls)
        self.sought: dict[TP, int] = {}
        self.asked: list[set[TP]] = []
        self.committed: list[dict[TP, int]] = []

    async def getmany(self, active_partitions: set[TP], timeout: float) -> dict[TP, Any]:  # noqa: ARG002, ASYNC109
        """Faust's signature."""
        self.asked.append(active_partitions)
        return self._polls.pop(0)()

    async def seek_wait(self, positions: dict[TP, int]) -> None:
        """Set the position of the next poll."""
        self.sought |= positions

    def look(self) -> None:
        """A round has ended."""

    async def commit(self, offsets: dict[TP, int]) -> bool:
        """The commits that Faust would send to the broker."""
        self.committed.append(offsets)
        return True


@asynccontextmanager
async def idle_app(directory: Path) -> AsyncIterator[ConsolidatorApp]:
    """The application as the worker wires it, on a disk of its own."""
    settings = Settings.model_validate({"KAFKA_BOOTSTRAP_SERVERS": "localhost:9"})

    def unexpected(error: BaseException) -> None:
        raise error

    connection, topics = connection_of(settings), topics_of(settings)
    app = create_app(
        settings,
        connection,
        topics,
        Rulesets(connection, topics, load_catalogue(None), adopt=None, patience_s=settings.broker_patience_s),
        data_dir=directory,
        observer=LoggingObserver(EventLog("error", "json")),
        supervision=Supervision(unexpected, passes=lambda _error: False),
        contact=KafkaContact(),
    )
    table = next(iter(app.tables.values()))
    try:
        yield app
    finally:
        await table.data.stop()
        await app.partition_owner.close()


def idle_consumer(app: ConsolidatorApp, thread: ScriptedThread) -> BatchConsumer:
    """The transport's consumer, between the application and that thread."""

    async def nothing(*_: Any) -> None:
        await asyncio.sleep(0)

    consumer: BatchConsumer = app.transport.create_consumer(
        callback=nothing, on_partitions_revoked=nothing, on_partitions_assigned=nothing
    )
    consumer.thread.thread_loop.close()
    consumer._thread = thread
    return consumer
