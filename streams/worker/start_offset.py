"""The offset at which a source partition continues after the recovery of its state."""

import structlog
from faust.types import TP

from models.errors import ContractError

__all__ = ["start_offset"]

_log = structlog.get_logger()


def start_offset(tp: TP, *, applied: int, committed: int | None, earliest: int, latest: int, changelog: str) -> int:
    """The offset at which a source partition continues. State and group move in one transaction, so they must agree.

    Args:
        tp: the source partition.
        applied: the last offset that the state contains; -1: no state.
        committed: the group's committed offset; None: none.
        earliest: the first offset that the topic still has.
        latest: one past the last readable offset.
        changelog: the end of the partition's changelog, and the state's offset in it, for an error's text.

    Raises:
        ContractError: continuing would skip or repeat events, or the state is of another topic.
    """
    where = f"{tp.topic} partition {tp.partition}"
    start = applied + 1
    if committed is not None and committed > start:
        raise ContractError(
            f"{where}: the group's committed offset is {committed}, but the state ends at {applied} ({changelog}). "
            f"The changelog topic was lost, or the group was moved. To fold the events in between, set the group "
            f"back to {max(start, earliest)}: kafka-consumer-groups --reset-offsets --to-offset"
        )
    if committed is None and applied >= 0:
        _log.warning("committed offset missing, going on from the state", topic=tp.topic, partition=tp.partition)
    elif committed is not None and committed < start:
        _log.warning("group was set back; events that the state contains are skipped", partition=tp.partition)
    if start > latest:
        raise ContractError(
            f"{where}: ends at offset {latest}, but the state contains {applied}: the topic was re-created "
            "or truncated. Restore the topic, or start over with another CONSOLIDATOR_APP_ID (consolidator topics bind)"
        )
    if applied >= 0 and start < earliest:
        raise ContractError(
            f"{where}: starts at offset {earliest}, but the next event to fold is {start}: the events in between were "
            "removed before they were folded (by retention?). Restore them, or start over with another "
            "CONSOLIDATOR_APP_ID (consolidator topics bind)"
        )
    return max(start, earliest)
