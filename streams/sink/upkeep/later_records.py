"""Finds events whose records Kafka has replaced by later records under the same key.

Compaction leaves the last record of a key. Where that one is a dead letter, or has other content, only the database
still has the event.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Final

from consolidator.keys import event_key
from models.errors import InfrastructureError
from streams.sink.bulk import Row
from streams.sink.lane import Cursor
from streams.sink.schema import CURRENT
from streams.sink.upkeep.log import Log

__all__ = ["replaced"]

_POLL_S: Final = 0.2
_STALL_S: Final = 60.0


def replaced(log: Log, cuts: Mapping[int, Cursor], rows: Sequence[Row]) -> set[int]:
    """The rows of ``lifecycle_events`` for which the log has a later record under the same key. Reads the log once.

    Args:
        log: what Kafka has; nothing of it is read at the moment.
        cuts: up to where it is read.
        rows: the rows.

    Returns:
        Their numbers.

    Raises:
        InfrastructureError: Kafka gives nothing any more.
    """
    names = CURRENT.lifecycle_events.columns.keys()
    wanted: dict[tuple[int, bytes], list[tuple[int, int]]] = {}
    for number, row in enumerate(rows):
        values = dict(zip(names, row, strict=True))
        key = event_key(values["application_id"], values["event_id"])
        wanted.setdefault((values["source_partition"], key), []).append((number, values["source_offset"]))
    topic, follower = log.topics.executions.name, log.follower
    left = {partition for partition, _ in wanted if partition in cuts}
    follower.follow({(topic, partition): log.first[partition].next for partition in left})
    found: set[int] = set()
    moved_at = time.monotonic()
    try:
        while left:
            records = follower.poll(_POLL_S)
            moved_at = time.monotonic() if records else moved_at
            for record in records:
                if record.key is not None and record.value is not None and record.offset < cuts[record.partition].next:
                    places = wanted.get((record.partition, record.key), ())
                    found.update(number for number, offset in places if record.offset > offset)
            left = {one for one in left if follower.positions[topic, one] < cuts[one].next}
            if time.monotonic() - moved_at > _STALL_S:
                raise InfrastructureError(f"{topic}: nothing has come for {_STALL_S:.0f} s")
    finally:
        follower.leave([(topic, partition) for partition, _ in wanted])
    return found
