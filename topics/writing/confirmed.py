"""Writes a record and an entry that names its place in one transaction: both are written, or neither."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from time import monotonic
from typing import Final
from uuid import uuid4

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from consolidator.connecting.offsets import delivered_offset
from models.errors import ConsolidatorError, InfrastructureError
from topics.cluster.authorization import not_permitted
from topics.contract.permissions import Permission
from topics.writing.delivery import Written

__all__ = ["ConfirmedWriter"]

_LIMIT_S: Final = 60.0
_STEP_S: Final = 10.0

_TRANSACTION_MS: Final = 10_000
"""When the broker aborts the transaction of a process that died. Until then readers of both partitions wait; a worker
waits for at most 30 s. Brokers look for such transactions every 10 s."""


class ConfirmedWriter:
    """Writes such pairs. Each writer has its own transactional id, so that several do not fence each other.

    Args:
        config: for librdkafka.
        permission: the permission for transactional ids with a prefix.

    Raises:
        AuthorizationError: the cluster does not permit it.
        InfrastructureError: Kafka does not answer.
    """

    def __init__(self, config: Mapping[str, str | int], permission: Permission) -> None:
        self._permission = permission
        self._producer = Producer(
            {
                **config,
                "transactional.id": f"{permission.name}{uuid4().hex}",
                "transaction.timeout.ms": _TRANSACTION_MS,
                "linger.ms": 0,
                "log_level": 2,
            }
        )
        self._patiently(lambda: self._producer.init_transactions(_STEP_S))

    def write(self, record: Written, entry_at: Callable[[int], Written]) -> int:
        """Write a record, and the entry that names its offset.

        Args:
            record: the record.
            entry_at: makes the entry from the offset, which is known when the record is delivered, before the commit.

        Returns:
            The record's offset.

        Raises:
            AuthorizationError: the cluster does not permit it; nothing was written.
            InfrastructureError: Kafka refused it or does not answer.
        """
        self._patiently(self._producer.begin_transaction)
        try:
            offset = self._delivered(record)
            self._delivered(entry_at(offset))
        except BaseException:
            self._producer.purge()
            # If the abort fails, the broker aborts the transaction after its short timeout.
            with suppress(ConsolidatorError):
                self._patiently(lambda: self._producer.abort_transaction(_STEP_S))
            raise
        self._patiently(lambda: self._producer.commit_transaction(_STEP_S))
        return offset

    def _delivered(self, record: Written) -> int:
        told: list[tuple[KafkaError | None, int | None]] = []

        def delivered(error: KafkaError | None, message: Message) -> None:
            told.append((error, None if error is not None else delivered_offset(message)))

        topic, partition, key, value = record
        self._patiently(lambda: self._producer.produce(topic, value, key, partition, on_delivery=delivered))
        self._producer.flush(_LIMIT_S)
        if not told:
            raise InfrastructureError(f"{topic}: no acknowledgement for {_LIMIT_S:.0f} s; nothing was written")
        [(error, offset)] = told
        if error is not None or offset is None:
            reason = "Kafka did not return its offset" if error is None else error.str()
            raise InfrastructureError(f"{topic}: a record was not written: {reason}; nothing took effect")
        return offset

    def _patiently(self, step: Callable[[], object]) -> None:
        deadline = monotonic() + _LIMIT_S
        while True:
            try:
                step()
            except KafkaException as error:
                cause: KafkaError = error.args[0]
                if cause.retriable() and monotonic() < deadline:
                    continue
                raise self._failure(cause) from error
            return

    def _failure(self, cause: KafkaError) -> ConsolidatorError:
        if cause.code() == KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
            return not_permitted(self._permission)
        return InfrastructureError(
            f"a transaction failed: {cause.str()}; give the command again: it sees whether it took effect"
        )
