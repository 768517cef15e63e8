"""Checks that the source topic is still the one that the worker started with. Kafka's clients do not report that."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor

from consolidator.connecting.connection import Connection
from models.errors import ContractError, InfrastructureError
from topics.cluster.admin_client import Cluster
from topics.contract.declared import Topics

__all__ = ["SourceWatch"]

_INTERVAL_S = 3.0
"""Seconds between two checks of the source topic; each is one small request."""

_ABSENCE_S = 3.0
"""How long the topic has to be absent: just after its creation, not every broker knows of it."""


class SourceWatch:
    """Checks the source topic when partitions are assigned, and every few seconds while the worker runs.

    If the topic is deleted, clients raise no error: the group gets an empty assignment, and the worker would wait for
    ever. If it is created again, it has other events at the same offsets, and the group's offsets are gone. If it has
    more partitions, applications move to other partitions.

    Args:
        connection: how to reach Kafka.
        topics: the declared topics.
    """

    def __init__(self, connection: Connection, topics: Topics) -> None:
        self._cluster = Cluster(connection.librdkafka())
        self._name = topics.executions.name
        self._partitions = topics.partitions
        self._id = ""

    def look(self) -> str:
        """The topic's id; "" where the cluster gives topics none (before Kafka 2.8). Blocks.

        Raises:
            ContractError: the topic is gone, is another one than before, or has another number of partitions.
            SettingsError: when the cluster refuses this client. Other clients would treat that like brokers that are
                down.
            InfrastructureError: when the cluster does not answer in time.
        """
        identity = self._cluster.identify(self._name, absence_s=_ABSENCE_S)
        if identity is None:
            raise ContractError(
                f"the source topic {self._name} is gone: somebody deleted it. The state and what was published stay. "
                "A new topic of that name has other events at the same offsets: create it (consolidator topics apply), "
                "and start over with another CONSOLIDATOR_APP_ID (consolidator topics bind)"
            )
        if identity.partitions != self._partitions:
            raise ContractError(
                f"the source topic {self._name} has {identity.partitions} partitions, expected {self._partitions}: "
                "the partition count is fixed for a topic's life, as applications would move to other partitions. Use "
                "new topics (CONSOLIDATOR_TOPIC_PREFIX and CONSOLIDATOR_APP_ID) and publish the events again"
            )
        if self._id not in {"", identity.topic_id}:
            raise ContractError(
                f"the source topic {self._name} was deleted and re-created while the worker ran: its id was "
                f"{self._id}, now it is {identity.topic_id}. To fold the new one from its beginning, start over with "
                "another CONSOLIDATOR_APP_ID"
            )
        self._id = identity.topic_id
        return identity.topic_id

    async def run(self, executor: Executor, on_fatal: Callable[[BaseException], None]) -> None:
        """Check every few seconds, until a check finds an error with which the worker must not continue.

        Args:
            executor: runs the checks.
            on_fatal: called with the error.
        """
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_INTERVAL_S)
            try:
                await loop.run_in_executor(executor, self.look)
            except InfrastructureError:
                # The cluster does not answer. This does not end the worker here: the transactions wait for the cluster,
                # too, and end the worker if it does not come back.
                continue
            except Exception as error:
                on_fatal(error)
                raise
