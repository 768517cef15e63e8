"""What earlier owners of a partition may have left open in its changelog, with the producer of another partition."""

from collections.abc import Collection
from time import monotonic

import structlog
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from models.errors import InfrastructureError
from topics.connection import Connection
from topics.open_transactions import wait_until_settled

__all__ = ["outwait"]

_SLOW_S = 10.0
"""A new owner's fence takes milliseconds; what takes longer is for a person to know."""

_log = structlog.get_logger()


def outwait(connection: Connection, changelog: str, partitions: Collection[int], *, patience_s: float) -> None:
    """Wait until nothing that is in the changelog of these partitions is open. Blocks.

    Args:
        connection: how to reach Kafka.
        changelog: the changelog topic.
        partitions: the partitions.
        patience_s: the workers' transaction timeout, after which the broker aborts a dead one's.

    Raises:
        InfrastructureError: Kafka does not answer, or a transaction stays open for twice that long.
    """
    since = monotonic()
    warned = False

    def waiting(still_open: list[int]) -> None:
        nonlocal warned
        if not warned and monotonic() - since > _SLOW_S:
            warned = True
            _log.warning("an earlier owner's transaction is waited for", topic=changelog, partitions=still_open)

    limit_s = 2 * patience_s
    try:
        admin = AdminClient({**connection.librdkafka()})
        still_open = wait_until_settled(admin, changelog, sorted(partitions), limit_s=limit_s, waiting=waiting)
    except KafkaException as error:
        cause = error.args[0]
        raise InfrastructureError(
            f"{changelog}: its end cannot be told: {cause.name()}: {cause.str()}; nothing was recovered"
        ) from error
    if still_open:
        raise InfrastructureError(
            f"{changelog} partition {', '.join(map(str, still_open))}: a transaction stays open, for {limit_s:.0f} s "
            "now; the state cannot be recovered before it is committed or aborted. `kafka-transactions.sh "
            "find-hanging` names it, and `abort` ends it"
        )
