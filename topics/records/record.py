"""One record as Kafka has it."""

from dataclasses import dataclass

__all__ = ["Record"]


@dataclass(frozen=True, slots=True)
class Record:
    """One record as Kafka has it."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]

    @property
    def timestamp(self) -> int:
        """The timestamp under aiokafka's name: milliseconds since the epoch, by the broker's clock."""
        return self.timestamp_ms
