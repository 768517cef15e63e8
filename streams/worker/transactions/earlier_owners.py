"""Waits for transactions that earlier owners may have left open in a partition, with another partition's producer."""

import logging
from collections.abc import Collection
from time import monotonic
from typing import Final

import structlog
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from consolidator.connecting.connection import Connection
from models.errors import InfrastructureError
from topics.cluster.authorization import require_credentials
from topics.cluster.open_transactions import wait_until_offsets_settled, wait_until_settled

__all__ = ["outwait"]

_SLOW_S = 10.0
"""Fencing takes milliseconds; a longer wait is logged."""

_LOG_LEVEL: Final = 4
"""Warnings, in syslog's numbers; they are written to this program's log."""

_log = structlog.get_logger()


def outwait(
    connection: Connection, group: str, source: str, changelog: str, partitions: Collection[int], *, patience_s: float
) -> None:
    """Wait until no transaction of an earlier owner is open in these partitions, or can become open. Blocks.

    1. The group's offsets. A transaction whose offsets were accepted in an earlier generation of the group may still be
       writing records. If its offsets were not accepted yet, they will be refused.
    2. The changelog. Committed records may not be readable yet, because a transaction's markers are written one after
       the other.

    Args:
        connection: how to reach Kafka.
        group: the consumer group.
        source: the source topic.
        changelog: the changelog topic.
        partitions: the partitions.
        patience_s: the workers' transaction timeout, after which the broker aborts a dead worker's transaction.

    Raises:
        SettingsError: the cluster refuses the credentials or certificates.
        InfrastructureError: for twice that long, Kafka does not answer, or a transaction stays open.
    """
    since = monotonic()
    limit_s = 2 * patience_s
    warned = False

    def waiting(still_open: list[int]) -> None:
        nonlocal warned
        if not warned and monotonic() - since > _SLOW_S:
            warned = True
            _log.warning("waiting for an earlier owner's transaction to end", topic=changelog, partitions=still_open)

    config = connection.librdkafka()

    def silent(error: KafkaException) -> None:
        nonlocal warned
        require_credentials(config)
        if not warned and monotonic() - since > _SLOW_S:
            warned = True
            _log.warning("a broker does not list open transactions; it is asked again", reason=error.args[0].str())

    # Checked before the first request, which would wait half a minute for its answer.
    require_credentials(config)
    wanted = sorted(partitions)
    try:
        admin = AdminClient({**config, "log_level": _LOG_LEVEL}, logger=logging.getLogger("librdkafka"))
        # 1.
        still_open = wait_until_offsets_settled(
            admin, group, source, wanted, limit_s=limit_s, waiting=waiting, silent=silent
        )
        # 2.
        if not still_open:
            left_s = limit_s - (monotonic() - since)
            still_open = wait_until_settled(admin, changelog, wanted, limit_s=left_s, waiting=waiting, silent=silent)
    except KafkaException as error:
        cause = error.args[0]
        raise InfrastructureError(
            f"{changelog}: cannot find out whether a transaction is open: {cause.name()}: {cause.str()}; nothing was "
            "recovered"
        ) from error
    if still_open:
        raise InfrastructureError(
            f"{changelog} partition {', '.join(map(str, still_open))}: a transaction stays open, for {limit_s:.0f} s "
            "now; the state cannot be recovered before it is committed or aborted. `kafka-transactions.sh "
            "find-hanging` names it, and `abort` ends it"
        )
