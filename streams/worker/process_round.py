"""One round: fold, produce, commit, write, acknowledge. The commit runs in a thread."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, NamedTuple

import structlog

from streams.partition.batch import Batch
from streams.partition.kafka_questions import asks_kafka
from streams.runtime.failpoints import reach
from streams.worker.in_flight import InFlight
from streams.worker.lane import Lane, Share
from streams.worker.measuring.rounds import Stopwatch
from streams.worker.round import Membership
from streams.worker.transactions.interface import Transactions

__all__ = ["commit_alone", "process"]

_SLOW_COMMIT_S = 10.0
"""A commit takes milliseconds. After a broker's death an election takes seconds, which needs no warning."""

_FEW_BYTES: Final = 1_000_000
"""Greatest size of a small round, in bytes. Its producer makes one batch for each partition. Even uncompressed, a
batch must stay below 1 MiB, which every topic takes."""

_log = structlog.get_logger()


async def process(
    batches: Sequence[tuple[Lane, Batch]],
    membership: Membership,
    acknowledge: Callable[[], object],
    failed: Callable[[BaseException], None],
    in_flight: InFlight | None = None,
) -> None:
    """Process a round. Its last commit continues in the background.

    A round is one transaction. A round with more output than one transaction may have is split into several, which
    follow each other; each commits the offsets of its own part.

    Args:
        batches: the round, each batch with its partition's lane.
        membership: the group member as which the worker read the round; all its transactions are committed as that
            member.
        acknowledge: called on the event loop when everything is done.
        failed: called with the error when a commit failed.
        in_flight: counts the memory of all commits under way; None: this is the only one.

    Raises:
        ContractError: there is a gap before one of the batches, or the state is of another catalogue.
        InfrastructureError: producing failed.
    """
    in_flight = in_flight or InFlight()
    watch = Stopwatch()
    left = list(batches)
    while left:
        shares, begun, left = await _produced(left, in_flight)
        size = sum(share.folded.size for share in shares)
        in_flight.began(size)
        done = _acknowledged_by_a_later_transaction if left else partial(_acknowledged, shares[0], watch, acknowledge)
        finish = _finish(shares, begun, membership, done)
        committing = asyncio.create_task(finish)
        committing.add_done_callback(partial(in_flight.ended, size))
        committing.add_done_callback(lambda task: _report(task, failed))
        for share in shares:
            share.lane.committing = committing


class _Begun(NamedTuple):
    """A transaction that was begun.

    Attributes:
        transactions: its producer's transactions.
        watch: measures it.
    """

    transactions: Transactions
    watch: Stopwatch


async def _produced(
    batches: Sequence[tuple[Lane, Batch]], in_flight: InFlight
) -> tuple[list[Share], _Begun, list[tuple[Lane, Batch]]]:
    """Produce as much of a round as fits into one transaction.

    1. Fold the first batch. Fold all batches before the transaction begins if the round is small, or if entries have to
       be read from Kafka for one of them: that may take longer than a transaction should.
    2. Wait for the commits of the partitions' last batches, because a partition is in one transaction at a time. Then
       wait for other commits until there is room in memory.
    3. Begin a transaction, led by the first batch's partition, and produce what is folded. Fold and produce the other
       batches while the transaction's partitions are registered. The commit follows in a thread: see :func:`_commit`.

    Returns:
        The transaction's shares, the transaction, and the rest of the round.
    """
    # 1.
    small = _small_transactions(batches)
    before = len(batches) if small is not None or any(asks_kafka(batch) for _, batch in batches[1:]) else 1
    room = in_flight.round_bytes
    shares: list[Share] = []
    for lane, batch in batches[:before]:
        if room > 0:
            shares.append(await lane.fold(batch, room))
            room -= shares[-1].folded.size
    # 2.
    for lane, _ in batches:
        await lane.drained()
    await in_flight.wait_for_room(in_flight.round_bytes - room)
    # 3.
    transactions: Transactions = shares[0].lane.transactions
    if small is not None and sum(share.framed_size for share in shares) <= _FEW_BYTES:
        transactions = small
    begun = _Begun(transactions, Stopwatch())
    transactions.begin()
    for share in shares:
        share.lane.produce(share, transactions)
    for lane, batch in batches[before:]:
        if room > 0:
            share = await lane.fold(batch, room)
            room -= share.folded.size
            lane.produce(share, transactions)
            shares.append(share)
    left = [(share.lane, share.rest) for share in shares if share.rest is not None]
    return shares, begun, [*left, *batches[len(shares) :]]


def commit_alone(share: Share, membership: Membership, failed: Callable[[BaseException], None]) -> None:
    """Produce and commit the share of one partition in a transaction of its own, in the background.

    Args:
        share: the share; the partition has nothing in flight.
        membership: the group member as which the worker read its batch.
        failed: called with the error when it failed.
    """
    committing = asyncio.create_task(_commit_alone(share, membership))
    committing.add_done_callback(lambda task: _report(task, failed))
    share.lane.committing = committing


async def _commit_alone(share: Share, membership: Membership) -> None:
    transactions = share.lane.transactions

    def commit() -> None:
        begun = _Begun(transactions, Stopwatch())
        transactions.begin()
        share.lane.produce(share, transactions)
        _commit([share], begun, membership)

    slow = asyncio.get_running_loop().call_later(_SLOW_COMMIT_S, _warn_of_slow_commit, share.batch)
    try:
        await share.lane.in_thread(commit)
    finally:
        slow.cancel()


def _small_transactions(batches: Sequence[tuple[Lane, Batch]]) -> Transactions | None:
    """The transactions for small rounds, if the round has few records; None: it has too many.

    Its size in bytes is checked later: it is known only when everything is folded.
    """
    leader, _ = batches[0]
    few = sum(len(batch.records) for _, batch in batches) <= leader.few_records
    return leader.small if few else None


def _acknowledged(share: Share, watch: Stopwatch, acknowledge: Callable[[], object]) -> None:
    """Acknowledge a round, and note how long it took."""
    acknowledge()
    share.lane.figures.round.add(watch.seconds)


def _acknowledged_by_a_later_transaction() -> None:
    """Do nothing: the round is acknowledged when its last transaction is committed."""


async def _finish(
    shares: Sequence[Share], begun: _Begun, membership: Membership, acknowledge: Callable[[], object]
) -> None:
    slow = asyncio.get_running_loop().call_later(_SLOW_COMMIT_S, _warn_of_slow_commit, shares[0].batch)
    try:
        took_s = await shares[0].lane.in_thread(lambda: _commit(shares, begun, membership))
    finally:
        slow.cancel()
    shares[0].lane.figures.transaction.add(took_s)
    for share in shares:
        share.lane.written(share)
    acknowledge()


def _commit(shares: Sequence[Share], begun: _Begun, membership: Membership) -> float:
    """Commit the transaction, then write RocksDB: it is never ahead of the changelog.

    If the worker is killed in between, RocksDB lacks the last rows; recovery from the changelog adds them.

    Returns:
        How long the transaction took, in seconds.
    """
    changelog_offsets = begun.transactions.commit([share.batch for share in shares], membership)
    took_s = begun.watch.seconds
    reach("committed")
    for share in shares:
        share.lane.write(share, changelog_offsets)
    return took_s


def _warn_of_slow_commit(batch: Batch) -> None:
    _log.warning(
        "a transaction waits for Kafka: are the brokers up, and enough replicas in sync?",
        waited_s=_SLOW_COMMIT_S,
        topic=batch.topic,
        partition=batch.partition,
        offset=batch.start,
    )


def _report(task: asyncio.Task[None], failed: Callable[[BaseException], None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        failed(error)
