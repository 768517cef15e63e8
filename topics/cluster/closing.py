"""A consumer that does not close within the limit is left behind, and a line says so."""

import structlog
from confluent_kafka import Consumer

from consolidator.connecting import closing

__all__ = ["close_consumer"]

_log = structlog.get_logger()


def close_consumer(consumer: Consumer, what: str, *, limit_s: float = closing.CLOSE_S) -> bool:
    """Close a consumer, see :func:`consolidator.connecting.closing.close_consumer`.

    Args:
        consumer: the consumer.
        what: its group or its task, for the log.
        limit_s: how long to wait, in seconds.

    Returns:
        Whether it was closed within the limit.
    """
    is_closed = closing.close_consumer(consumer, what, limit_s=limit_s)
    if not is_closed:
        _log.warning("a consumer did not close in time: its session ends by itself", consumer=what, waited_s=limit_s)
    return is_closed
