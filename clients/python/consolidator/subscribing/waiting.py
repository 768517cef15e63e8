"""What a reader waits for that does not get on."""

import time
from collections.abc import Callable, Mapping

from confluent_kafka import KafkaError

from consolidator.connecting.publication_times import published_at
from consolidator.connecting.read_errors import word_of
from consolidator.errors import ConsolidatorError, StalledError
from consolidator.subscribing.cluster import COMMITTED, EVERYTHING, Cluster

__all__ = ["Deadline", "open_transactions", "stalled"]


class Deadline:
    """Passes when nothing moves for too long.

    Args:
        limit_s: seconds.
        clock: a monotonic clock, in seconds.
    """

    def __init__(self, limit_s: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit_s = limit_s
        self._clock = clock
        self._last: object = None
        self._since = clock()

    def passed(self, standing: object) -> bool:
        """Whether the standing has been the same for too long."""
        now = self._clock()
        if standing != self._last:
            self._last, self._since = standing, now
        return now - self._since >= self._limit_s


def stalled(
    config: Mapping[str, str | int],
    cluster: Cluster,
    topic: str,
    positions: Mapping[int, int],
    ends: Mapping[int, int],
    limit_s: float,
    trouble: KafkaError | None,
) -> StalledError:
    """The error for partitions that are not read up to an end.

    Args:
        config: for librdkafka.
        cluster: answers questions.
        topic: the topic.
        positions: of the partitions that are not at their ends.
        ends: by partition, the ends that are waited for.
        limit_s: for how many seconds nothing moved.
        trouble: the last error of the consumer.
    """
    try:
        reasons = open_transactions(config, cluster, topic, positions)
    except ConsolidatorError as error:
        reasons = [f"{topic} partition {min(positions)}: {error}"]
    wanted = "; ".join(
        f"{topic} partition {partition} is read up to {position}, and has to be up to {ends[partition]}"
        for partition, position in sorted(positions.items())
    )
    reason = "; ".join(reasons) or "no transaction is open there, but no records come"
    error_words = "" if trouble is None else f"; the last error of the connection: {word_of(trouble)}"
    return StalledError(f"nothing has moved for {limit_s:g} s: {wanted}. {reason}{error_words}")


def open_transactions(
    config: Mapping[str, str | int], cluster: Cluster, topic: str, positions: Mapping[int, int]
) -> list[str]:
    """The transactions that hold records back, in words: one for each partition that is read up to one.

    Args:
        config: for librdkafka.
        cluster: answers questions.
        topic: the topic.
        positions: how far partitions are read.

    Raises:
        InfrastructureError: Kafka does not answer.
    """
    stable = cluster.ends(topic, positions, COMMITTED)
    ends = cluster.ends(topic, positions, EVERYTHING)
    held = [one for one in sorted(positions) if positions[one] >= stable[one] and stable[one] < ends[one]]
    times = published_at(config, topic, {partition: stable[partition] for partition in held})
    since = {partition: f"since {published:%Y-%m-%dT%H:%M:%SZ}" for partition, published in times.items()}
    return [
        f"a transaction is open on {topic} partition {partition} "
        f"{since.get(partition, 'since a time that cannot be read')}: the last stable offset is {stable[partition]}, "
        f"the end is {ends[partition]}"
        for partition in held
    ]
