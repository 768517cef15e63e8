"""Where the partitions of topics are: leaders, replicas and those in sync."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from confluent_kafka.admin import TopicMetadata  # type: ignore[attr-defined]  # public, but not marked as re-exported

__all__ = ["Layout", "Place", "layout_of"]


@dataclass(frozen=True, slots=True)
class Place:
    """One partition of one topic.

    Attributes:
        topic: the topic's full name.
        partition: the partition.
        leader: the broker that leads it; None: none does.
        replicas: how many brokers are to have it.
        in_sync: how many have all of it.
    """

    topic: str
    partition: int
    leader: int | None
    replicas: int
    in_sync: int


@dataclass(frozen=True, slots=True)
class Layout:
    """The places of all partitions of the declared topics.

    Attributes:
        places: each partition's.
    """

    places: tuple[Place, ...]

    @property
    def leaderless(self) -> list[Place]:
        """Partitions that no broker leads."""
        return [place for place in self.places if place.leader is None]

    def short(self, minimum: Mapping[str, int]) -> list[Place]:
        """Partitions with fewer brokers in sync than a write needs.

        Args:
            minimum: ``min.insync.replicas`` by topic.
        """
        return [place for place in self.places if 0 < place.in_sync < minimum.get(place.topic, 1)]

    @property
    def behind(self) -> list[Place]:
        """Partitions of which a replica is not in sync."""
        return [place for place in self.places if place.in_sync < place.replicas]


def layout_of(metadata: Mapping[str, TopicMetadata], names: Collection[str]) -> Layout:
    """The places of the partitions of some topics.

    Args:
        metadata: the cluster's.
        names: the topics.
    """
    return Layout(tuple(place for name in names if name in metadata for place in _places(name, metadata[name])))


def _places(name: str, topic: TopicMetadata) -> Iterator[Place]:
    for number, partition in sorted(topic.partitions.items()):
        leader = partition.leader if partition.leader >= 0 else None
        yield Place(name, number, leader, len(partition.replicas), len(partition.isrs))
