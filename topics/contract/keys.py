"""The keys that only this program reads. The keys of published records are in :mod:`consolidator.keys`."""

__all__ = ["dlq_key"]


def dlq_key(topic: str, partition: int, offset: int) -> bytes:
    """The key of a dead letter: its source record's position. Kafka allows no ``/`` in a topic's name."""
    return f"{topic}/{partition}/{offset}".encode()
