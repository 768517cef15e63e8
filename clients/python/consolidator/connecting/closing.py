"""A consumer is closed within a limit: librdkafka waits for a rebalance under way, for minutes if a member is slow.

So it does where it does not fetch a partition any more.
"""

import threading
from typing import Final

from confluent_kafka import Consumer

__all__ = ["CLOSE_S", "close_consumer"]

CLOSE_S: Final = 10.0
"""A group that is well lets a member go in milliseconds."""


def close_consumer(consumer: Consumer, what: str = "a consumer", *, limit_s: float = CLOSE_S) -> bool:
    """Close a consumer; a member leaves its group. After the limit the program goes on: a group notices that itself.

    Args:
        consumer: the consumer; another thread closes it, which keeps no process from ending.
        what: for that thread's name.
        limit_s: how long to wait, in seconds.

    Returns:
        Whether it was closed within the limit.
    """
    closing = threading.Thread(target=consumer.close, name=f"close {what}", daemon=True)
    closing.start()
    closing.join(limit_s)
    return not closing.is_alive()
