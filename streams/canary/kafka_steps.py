"""The steps of the canary in Kafka."""

from collections.abc import Mapping

from consolidator.records import SourcePlace
from consolidator.waiting.result import WaitResult
from consolidator.waiting.waiter import Waiter
from streams.canary.erasing import Eraser
from streams.canary.publication import Publisher
from streams.canary.residue import Remains
from topics.contract.declared import Topics

__all__ = ["KafkaSteps"]


class KafkaSteps:
    """Publishes as a producer does, waits as a subscriber does, and erases as ``consolidator erase`` does.

    Args:
        config: for librdkafka.
        topics: the declared topics.
        app_id: the workers' application id.
        waiter: waits for results.
        limit_s: after so many seconds a step has failed.
    """

    def __init__(
        self, config: Mapping[str, str | int], topics: Topics, app_id: str, waiter: Waiter, limit_s: float
    ) -> None:
        self._publisher = Publisher(config, topics.executions.name, limit_s)
        self._eraser = Eraser(config, topics, app_id, waiter, limit_s)
        self._waiter = waiter
        self._limit_s = limit_s

    def publish(self, key: bytes, value: bytes, partition: int) -> int:
        """Publish an event: see :meth:`.Publisher.publish`."""
        return self._publisher.publish(key, value, partition)

    def wait(self, place: SourcePlace) -> WaitResult:
        """Wait until every reader can read what came of a record: see :meth:`consolidator.Waiter.wait_for`."""
        return self._waiter.wait_for(place, timeout_s=self._limit_s, follow_copy=False)

    def erase(self, remains: Remains) -> None:
        """Erase an application: see :meth:`.Eraser.erase`."""
        self._eraser.erase(remains)
