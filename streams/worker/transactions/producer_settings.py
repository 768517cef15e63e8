"""The configuration of a partition's transactional producer: librdkafka's defaults are for other loads."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from confluent_kafka import KafkaError

__all__ = ["producer_settings"]

_MAX_IDLE_MS: Final = 5_000
"""librdkafka looks for a group coordinator that has moved only when one of its connections is opened or closed. After
the coordinator's broker has died, that does not happen, and ``send_offsets_to_transaction`` waits, beyond its time
limit, until the same broker is back. Closing idle connections triggers it (``test_coordinators_are_killed``)."""

_LINGER_MS: Final = 0
"""A batch's records are produced in one go; those of a small batch are sent while its offsets are sent. With 5 ms they
waited for the flush, and a transaction at 1,000 events/s took 8 ms instead of 5.5."""

_RETRY_BACKOFF_MS: Final = 5
"""The broker refuses a partition's next transaction while the last one's markers are being written: some milliseconds.
librdkafka's default, 100, is what nearly every event then waited. It doubles up to a second with each retry."""

_LOG_LEVEL: Final = 4
"""Warnings, in syslog's numbers; they are written to this program's log."""

_QUEUE_KIB: Final = 64 * 1024
"""The size of the producer's queue: more than the output of a round, unless a single record has more output. If the
queue is full, the commit waits for room."""


def producer_settings(
    config: Mapping[str, str | int],
    transactional_id: str,
    *,
    patience_s: float,
    on_error: Callable[[KafkaError], None] | None,
) -> dict[str, Any]:
    """The configuration of the producer.

    Args:
        config: how to reach Kafka, as :meth:`.Connection.librdkafka` makes it.
        transactional_id: the producer's id.
        patience_s: the transaction's timeout, in seconds.
        on_error: called with errors after which librdkafka tries again.
    """
    return {
        **config,
        **({} if on_error is None else {"error_cb": on_error}),
        "log_level": _LOG_LEVEL,
        "transactional.id": transactional_id,
        "transaction.timeout.ms": round(patience_s * 1000),
        "connections.max.idle.ms": _MAX_IDLE_MS,
        "compression.type": "lz4",
        "linger.ms": _LINGER_MS,
        "batch.num.messages": 10_000,
        "queue.buffering.max.messages": 0,
        "queue.buffering.max.kbytes": _QUEUE_KIB,
        "retry.backoff.ms": _RETRY_BACKOFF_MS,
        # The topics limit compressed batches, but librdkafka limits uncompressed messages: a dead letter of an event
        # that came compressed must fit.
        "message.max.bytes": 256 * 1024 * 1024,
    }
