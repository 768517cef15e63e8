"""This machine's clock in the unit of Kafka's timestamps."""

import time

__all__ = ["system_ms"]


def system_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000
