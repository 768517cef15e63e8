"""A thread that keeps the time, and another one that does what may wait for somebody."""

import threading
from collections.abc import Callable

import structlog

from streams.health.awake import TICK_S, AwakeClock

__all__ = ["call_regularly", "guarded", "keep_time"]

_log = structlog.get_logger()


def keep_time(clock: AwakeClock, *calls: Callable[[], object]) -> None:
    """Tick every second, and then call functions that wait for nothing.

    Args:
        clock: the clock.
        calls: the functions.
    """

    def run() -> None:
        never = threading.Event()
        while not never.wait(TICK_S):
            clock.tick()
            for call in calls:
                guarded(call)

    threading.Thread(target=run, name="health-clock", daemon=True).start()


def call_regularly(call: Callable[[], object], interval_s: float, name: str) -> None:
    """Call a function now and then, in a thread of its own; it may take any time.

    Args:
        call: the function.
        interval_s: the pause between two calls, in seconds.
        name: of the thread.
    """

    def run() -> None:
        never = threading.Event()
        while True:
            guarded(call)
            never.wait(interval_s)

    threading.Thread(target=run, name=name, daemon=True).start()


def guarded(call: Callable[[], object]) -> None:
    """Call a function; a mistake in it must neither stop the time nor end the process that is looked at."""
    try:
        call()
    except Exception as error:  # noqa: BLE001 - whatever it is
        _log.warning("health cannot be looked at", error=repr(error), exc_info=error)
