"""Questions to Kafka about a batch, asked before the batch is folded, so that the fold never waits."""

from contextlib import suppress

from models.errors import BadEventError
from streams.partition.batch import Batch
from streams.partition.partition_fold import PartitionFold
from topics.records.adoptions import ADOPTION_PREFIX
from topics.records.erasure_authority import confirmed_erasure
from topics.records.erasures import ERASURE_PREFIX

__all__ = ["asks_kafka", "look_up"]

_PREFIXES = (ADOPTION_PREFIX, ERASURE_PREFIX)


def asks_kafka(batch: Batch) -> bool:
    """Whether any of the batch's records counts only if an entry in another topic confirms it."""
    return any(record.key is not None and record.key.startswith(_PREFIXES) for record in batch.records)


def look_up(fold: PartitionFold, batch: Batch) -> None:
    """Ask for everything that the fold of a batch will need; the fold then finds the answers in memory.

    Blocks. The fold must not go on meanwhile.

    Raises:
        ContractError: the adopted ruleset, or the entries, cannot be read.
        InfrastructureError: Kafka does not answer.
    """
    applied, partition = fold.mark.applied, batch.partition
    fold.switches.fetched(batch.end)
    fold.authority.fetched(partition, batch.end)
    for record in batch.records:
        if record.key is None or record.offset <= applied:
            continue
        if record.key.startswith(ADOPTION_PREFIX):
            fold.switches.rules_at(record.offset)
        elif record.key.startswith(ERASURE_PREFIX):
            with suppress(BadEventError):
                confirmed_erasure(record, partition, fold.authority)
