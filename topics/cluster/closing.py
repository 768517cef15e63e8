"""A consumer is closed within a limit: librdkafka waits for a rebalance under way, for minutes if a member is slow."""

import threading
from typing import Final

import structlog
from confluent_kafka import Consumer

__all__ = ["CLOSE_S", "close_consumer"]

CLOSE_S: Final = 10.0
"""A group that is well lets a member go in milliseconds."""

_log = structlog.get_logger()


def close_consumer(consumer: Consumer, what: str, *, limit_s: float = CLOSE_S) -> bool:
    """Close a consumer. After the limit the process goes on without: the group notices its absence by itself.

    Args:
        consumer: the consumer; another thread closes it.
        what: its group or its task, for the log.
        limit_s: how long to wait, in seconds.

    Returns:
        Whether it was closed within the limit.
    """
    closing = threading.Thread(target=consumer.close, name=f"close {what}", daemon=True)
    closing.start()
    closing.join(limit_s)
    if closing.is_alive():
        _log.warning("a consumer did not close in time: its session ends by itself", consumer=what, waited_s=limit_s)
        return False
    return True
