"""Where the partitions end, asked by a client of its own; and open transactions that hold readers up.

A consumer that has stopped to fetch a partition does not know what it misses. So the ends are not taken from it alone.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Final

from confluent_kafka import IsolationLevel, KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from consolidator.connecting.ends import ends_of
from consolidator.connecting.offsets import ASK_S
from streams.health.report import Labelled
from topics.contract.declared import Topics

__all__ = ["OffsetWatch", "Pins"]

_COMMITTED: Final = IsolationLevel.READ_COMMITTED
_EVERYTHING: Final = IsolationLevel.READ_UNCOMMITTED


class Pins:
    """Since when the last stable offset of each partition has been held below its high watermark.

    It stands still while the oldest transaction that is open stays open, and moves when that one ends. So the same
    offset below the high watermark is the same transaction.
    """

    def __init__(self) -> None:
        self._since: dict[tuple[str, int], tuple[int, float]] = {}
        self._looked: dict[str, float] = {}

    def seen(self, topic: str, stable: Mapping[int, int], written: Mapping[int, int], now: float) -> None:
        """Take the answers about one topic.

        Args:
            topic: the topic.
            stable: the last stable offset of each partition.
            written: the high watermarks, read after them.
            now: the present time.
        """
        pinned = {partition: offset for partition, offset in stable.items() if written.get(partition, 0) > offset}
        for place in [place for place in self._since if place[0] == topic and place[1] not in pinned]:
            del self._since[place]
        for partition, offset in pinned.items():
            if self._since.get((topic, partition), (-1, now))[0] != offset:
                self._since[topic, partition] = (offset, now)
        self._looked[topic] = now

    def clear(self) -> None:
        """Forget everything: others have the partitions now."""
        self._since.clear()

    def oldest_s(self, topic: str) -> float:
        """For how long the oldest transaction of a topic has been seen open, in seconds; 0: there is none.

        That is until the last answer: while there is none, nobody knows whether it is still open.
        """
        since = [since for (name, _), (_, since) in list(self._since.items()) if name == topic]
        # An answer that is being taken in has not moved the time yet.
        return max(0.0, self._looked.get(topic, 0.0) - min(since)) if since else 0.0


class OffsetWatch:
    """Asks for the ends of the partitions that this worker has.

    Args:
        config: for librdkafka.
        topics: the declared topics.
        partitions: the partitions that this worker has now.
        clock: the time in seconds.

    Attributes:
        ends: the last stable offset of each source partition, as of the last answer.
        leaderless: what is waited for where leaders of source partitions gave no answer to the last question; None:
            all did.
    """

    def __init__(
        self,
        config: Mapping[str, str | int],
        topics: Topics,
        partitions: Callable[[], Collection[int]],
        clock: Callable[[], float],
    ) -> None:
        # log_level 2: librdkafka would print each failed attempt.
        self._admin = AdminClient({**config, "log_level": 2})
        self._source = topics.executions.name
        others = (topics.factor_changes, topics.factors, topics.dlq, topics.rulesets, topics.changelog, topics.erasures)
        self._topics = (self._source, *(topic.name for topic in others))
        self._partitions = partitions
        self._clock = clock
        self._pins = Pins()
        self.ends: dict[int, int] = {}
        self.leaderless: str | None = None

    def ask(self) -> None:
        """Ask once. While Kafka does not answer, the last answers stay."""
        partitions = self._partitions()
        if not partitions:
            self.ends = {}
            self.leaderless = None
            self._pins.clear()
            return
        for topic in self._topics:
            try:
                stable = ends_of(self._admin, topic, partitions, _COMMITTED, limit_s=ASK_S)
                if topic == self._source:
                    self.ends = stable
                    self.leaderless = None
                written = ends_of(self._admin, topic, partitions, _EVERYTHING, limit_s=ASK_S)
            except KafkaException as error:
                # Whether Kafka answers is for others to say: this client is not needed for the work. But where all that
                # is missing is one leader, all brokers that there are answer.
                if topic == self._source:
                    self.leaderless = _leaderless(error.args[0])
                return
            self._pins.seen(topic, stable, written, self._clock())

    def values(self) -> dict[str, list[Labelled]]:
        """The metrics about open transactions."""
        return {
            "consolidator_open_transaction_seconds": [((topic,), self._pins.oldest_s(topic)) for topic in self._topics]
        }


def _leaderless(error: KafkaError) -> str | None:
    return f"a leader that answers: {error.str()}" if error.code() == KafkaError.LEADER_NOT_AVAILABLE else None
