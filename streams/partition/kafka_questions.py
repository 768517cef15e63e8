"""Looks up in Kafka what a batch needs, before the batch is folded, so that the fold never waits."""

from contextlib import suppress

from models.errors import BadEventError
from streams.partition.batch import Batch
from streams.partition.partition_fold import PartitionFold
from streams.partition.record_kinds import is_adoption, is_control
from topics.records.erasure_authority import confirmed_erasure

__all__ = ["asks_kafka", "look_up"]


def asks_kafka(batch: Batch) -> bool:
    """Whether the batch has a record that counts only if an entry in another topic confirms it."""
    return any(is_control(record.key) for record in batch.records)


def look_up(fold: PartitionFold, batch: Batch) -> None:
    """Read from Kafka all entries that the fold of a batch will need; the fold then finds them in memory.

    This blocks. The fold must not run meanwhile.

    Raises:
        ContractError: the adopted ruleset, or the entries, cannot be read.
        InfrastructureError: Kafka does not answer.
    """
    applied, partition = fold.mark.applied, batch.partition
    fold.switches.fetched(batch.end)
    fold.authority.fetched(partition, batch.end)
    for record in batch.records:
        if record.offset <= applied:
            continue
        if is_adoption(record.key):
            fold.switches.rules_at(record.offset)
        elif is_control(record.key):
            with suppress(BadEventError):
                confirmed_erasure(record, partition, fold.authority)
