"""The consumer group's metadata as librdkafka takes it with a transaction's offsets."""

import struct

from streams.worker.round import Membership

__all__ = ["group_metadata"]

_METADATA_HEADER = b"CGMDv2:"


def group_metadata(membership: Membership) -> bytes:
    """The consumer group's metadata as librdkafka serialises it (``rd_kafka_consumer_group_metadata_write``).

    The group's member is aiokafka's consumer, so librdkafka has no consumer that could make it. It contains the
    generation and the member that read the round, so the broker refuses the offsets of a worker that has lost its
    partitions since.
    """
    instance = membership.instance
    return b"".join(
        (
            _METADATA_HEADER,
            struct.pack("=i", membership.generation),
            membership.group.encode() + b"\0",
            membership.member.encode() + b"\0",
            b"\x01" if instance is None else b"\x00" + instance.encode() + b"\0",
        )
    )
