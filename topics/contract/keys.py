"""The keys that only this program reads; the keys of everything that is published are in :mod:`consolidator.keys`."""

__all__ = ["dlq_key"]


def dlq_key(topic: str, partition: int, offset: int) -> bytes:
    """The key of a dead letter: where its source record stands. Kafka allows no ``/`` in a topic's name."""
    return f"{topic}/{partition}/{offset}".encode()
