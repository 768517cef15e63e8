"""Logs what a long start waits for: the group, earlier owners, or the changelog."""

import asyncio
from time import monotonic
from typing import Final

import structlog

from streams.worker.app import ConsolidatorApp

__all__ = ["stage_of", "tell_of_long_starts"]

_LOOK_S: Final = 1.0
_LONG_S: Final = 30.0
"""A worker is ready after some seconds; the group may wait a minute for a member that does not answer."""

_log = structlog.get_logger()


async def tell_of_long_starts(app: ConsolidatorApp) -> None:
    """Log every half minute how far the worker has come, while it is not ready: at its start, or in a rebalance."""
    since = told = monotonic()
    while True:
        await asyncio.sleep(_LOOK_S)
        now = monotonic()
        stage = stage_of(app)
        if stage is None:
            since = told = now
        elif now - told >= _LONG_S:
            told = now
            _log.warning("worker is not ready yet", waiting_for=stage, waited_s=round(now - since))


def stage_of(app: ConsolidatorApp) -> str | None:
    """The step that the worker waits for; None: it is ready."""
    if app.in_recovery:
        unread = sum(app.tables.recovery.remaining().values())
        return f"the state: {unread:,} changelog records are to be read"
    if app.rebalancing:
        return "the end of a rebalance: other members, or transactions of earlier owners"
    if not app.tables.recovery.completed.is_set():
        return "the consumer group: its coordinator, or its other members"
    return None
