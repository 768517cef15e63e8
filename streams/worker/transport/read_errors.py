"""Errors of aiokafka's background tasks, which aiokafka keeps until the next poll."""

from typing import Any

from aiokafka.errors import KafkaError, OffsetOutOfRangeError, TopicAuthorizationFailedError
from faust.types import TP

from models.errors import ContractError, InfrastructureError

__all__ = ["kept_error", "not_unpacked", "unreadable"]


def kept_error(consumer: Any) -> BaseException | None:
    """Take the error with which aiokafka's group coordination, or its fetching, ended; it is returned once.

    aiokafka's own poll would raise it, but the transport does not use that. Until the error is taken, aiokafka silently
    sends no heartbeats and joins no group. Faust notices the error only while it waits for data, and not in a rebalance
    or a recovery. (``test_an_error_that_nobody_waits_for_ends_the_worker``)
    """
    if consumer._closed:  # noqa: SLF001 - throughout: what aiokafka keeps is its own
        return None
    try:
        consumer._coordinator.check_errors()  # noqa: SLF001
    except Exception as error:  # noqa: BLE001 - told to the caller, who ends the worker
        return error
    fetching = consumer._fetcher._fetch_task  # noqa: SLF001
    if fetching.done() and not fetching.cancelled():
        ended: BaseException | None = fetching.exception()
        return ended
    return None


def unreadable(tp: TP, position: int, error: KafkaError, *, is_changelog: bool) -> Exception:
    """The error to raise for a failed fetch of a partition.

    Args:
        tp: the partition.
        position: the next offset to read.
        error: the error that aiokafka has kept.
        is_changelog: whether it is the changelog's partition rather than the source's.
    """
    if isinstance(error, TopicAuthorizationFailedError):
        # The runner asks the cluster which permission is missing.
        refused: Exception = error
        return refused
    where = f"{tp.topic} partition {tp.partition}"
    if not isinstance(error, OffsetOutOfRangeError):
        return InfrastructureError(
            f"{where} cannot be read at offset {position}: {error!r}; nothing from there on was processed. A restart "
            "tries it again; if it ends like this again, look at the brokers' logs and disks"
        )
    if is_changelog:
        return ContractError(
            f"{where}: there is no offset {position} any more: the changelog was truncated or re-created under the "
            "running worker. Start it again: it compares its state with what is left"
        )
    return ContractError(
        f"{where}: there is no offset {position} any more, and it is the next to fold: the events from there on were "
        "removed before they were folded (by retention, or by a deletion of records?), or the topic was truncated or "
        "re-created. Restore them, or start over with another CONSOLIDATOR_APP_ID (consolidator topics bind)"
    )


def not_unpacked(tp: TP, position: int, error: OSError) -> InfrastructureError:
    """The error to raise if there was no space for unpacking a batch.

    Args:
        tp: the partition.
        position: the next offset to read.
        error: the operating system's error.
    """
    return InfrastructureError(
        f"{tp.topic} partition {tp.partition}: the batch at offset {position} cannot be unpacked in the state "
        f"directory: {error.strerror or error}; nothing from there on was processed. Make room, or set "
        "CONSOLIDATOR_STATE_DIR to a larger disk, and start the worker again"
    )
