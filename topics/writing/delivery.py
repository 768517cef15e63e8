"""Writes a few records that are no events, and waits for every acknowledgement."""

from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Final, NamedTuple

from confluent_kafka import KafkaError, Message, Producer

from consolidator.connecting.offsets import delivered_offset
from models.errors import InfrastructureError

__all__ = ["Written", "write_records"]

_LIMIT_S: Final = 60.0
_POLL_S: Final = 0.1
_MESSAGE_BYTES: Final = 256 * 1024 * 1024


class Written(NamedTuple):
    """A record to be written.

    Attributes:
        topic: the topic's full name.
        partition: the partition.
        key: the key.
        value: the value; None: a tombstone.
    """

    topic: str
    partition: int
    key: bytes
    value: bytes | None


def write_records(
    config: Mapping[str, str | int], records: Sequence[Written], *, headers: Sequence[tuple[str, bytes]] = ()
) -> list[tuple[int, int]]:
    """Write records, and wait until each is acknowledged.

    Args:
        config: for librdkafka.
        records: the records.
        headers: the headers of each record.

    Returns:
        Partition and offset of each, in the order of the acknowledgements.

    Raises:
        InfrastructureError: Kafka refused some or does not answer, or does not return their offsets; the message says
            how many.
    """
    places: list[tuple[int, int]] = []
    refusals: list[KafkaError] = []
    nowhere: list[Message] = []

    def delivered(error: KafkaError | None, message: Message) -> None:
        if error is not None:
            refusals.append(error)
        elif (offset := delivered_offset(message)) is None:
            nowhere.append(message)
        else:
            places.append((message.partition() or 0, offset))

    producer = Producer(
        {
            **config,
            "enable.idempotence": True,
            "compression.type": "lz4",
            "linger.ms": 5,
            # The topics limit compressed batches, but the client limits uncompressed messages: catalogues are large,
            # and compress well.
            "message.max.bytes": _MESSAGE_BYTES,
            "log_level": 2,
        }
    )
    for topic, partition, key, value in records:
        deadline = monotonic() + _LIMIT_S
        while True:
            try:
                producer.produce(topic, value, key, partition, on_delivery=delivered, headers=[*headers])
                break
            except BufferError:
                # The client's queue is full; acknowledgements make room in it.
                if monotonic() > deadline:
                    break
                producer.poll(_POLL_S)
        producer.poll(0)
    left = producer.flush(_LIMIT_S) or len(records) - len(places) - len(refusals)
    if refusals or left:
        reason = refusals[0].str() if refusals else f"no acknowledgement for {_LIMIT_S:.0f} s"
        missing = len(records) - len(places) - len(nowhere)
        raise InfrastructureError(
            f"{missing} of {len(records)} records were not written: {reason}. What was written holds; try again for "
            "the rest"
        )
    if nowhere:
        raise InfrastructureError(
            f"{len(nowhere)} of {len(records)} records were written, but Kafka did not return their offsets: try again"
        )
    return places
