"""Whether a stored database is too old to use: it might keep rows for ever that were removed in the meantime.

A removed row is a tombstone in the changelog. Compaction takes the row's earlier records away when it first sees the
tombstone, and the tombstone itself ``delete.retention.ms`` after that. A database that was unused for longer, and then
reads the changelog from its offset on, never sees the tombstone. It keeps the row; after an erasure is lifted, erased
values would be published again. (``tests/faults/state/test_old_state.py``)

So a stored offset comes with a time up to which the database is complete: the time of its last record, or the time when
an empty database was created, whichever is later. The time is the brokers' for records that were read, and the worker's
for rows that it committed itself. Clocks may be wrong, so only half of the retention time is used, less an hour.
"""

from datetime import UTC, datetime
from typing import Final

__all__ = ["max_age_ms", "too_old_because"]

_USED_SHARE: Final = 2
"""Half of the retention is left for the recovery itself, and for clocks that differ by days."""

_CLOCK_ERROR_MS: Final = 3_600_000
"""An hour: clocks may be wrong by this much without any effect, even if the retention is short."""

_NOTHING_AFTER: Final = 2
"""After the last row of a transaction comes its marker. A later record would be at the third offset."""


def max_age_ms(retention_ms: int) -> int:
    """How old a database may be, in milliseconds.

    Args:
        retention_ms: the changelog's ``delete.retention.ms``.
    """
    return max(0, retention_ms // _USED_SHARE - _CLOCK_ERROR_MS)


def too_old_because(stored: int, as_of_ms: int | None, *, end: int, now_ms: int, retention_ms: int) -> str | None:
    """Why a database has to be rebuilt; None: the changelog still has everything after the database's offset.

    Args:
        stored: the last changelog offset that is in it.
        as_of_ms: the time up to which it is complete, milliseconds since the epoch; None: not known.
        end: one past the changelog's last offset.
        now_ms: the worker's clock.
        retention_ms: the changelog's ``delete.retention.ms``.
    """
    if as_of_ms is None:
        return "its position has no time: it was written by a version that kept none"
    if stored >= end - _NOTHING_AFTER:
        return None
    age_ms, greatest_ms = now_ms - as_of_ms, max_age_ms(retention_ms)
    if -_CLOCK_ERROR_MS <= age_ms <= greatest_ms:
        return None
    when = datetime.fromtimestamp(as_of_ms / 1000, UTC).isoformat(timespec="seconds")
    if age_ms < 0:
        return f"it is complete up to {when}, which is yet to come: a clock was wrong"
    return (
        f"it is complete up to {when}, longer ago than {greatest_ms // 1000} s: the changelog's delete.retention.ms is "
        f"{retention_ms}, so it may not tell any more which rows were removed since"
    )
