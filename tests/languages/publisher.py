"""Somebody who writes both topics as a worker does, and holds each transaction open for as long as a test wants."""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from uuid import uuid4

from confluent_kafka import Producer

from consolidator.keys import change_key, factors_key, partition_of
from consolidator.records import SourcePlace
from consolidator.testing import encode, sample_change, sample_factors
from tests.real_kafka.installation import LIMIT_S, Installation

__all__ = ["BIG", "Publisher"]

BIG = Decimal("12345678901234567890.123456789")
"""No double has its digits."""


class Publisher:
    """Transactions of one producer on both topics.

    Args:
        installation: its topics are there.
        settings: of the producer, beside its transactional id.
    """

    def __init__(self, installation: Installation, **settings: str | int) -> None:
        self._installation = installation
        self._changes, self._factors = installation.topics.factor_changes.name, installation.topics.factors.name
        self._producer = Producer(installation.config | settings | {"transactional.id": uuid4().hex})
        self._producer.init_transactions(LIMIT_S)

    def begin(self) -> None:
        """Begin a transaction."""
        self._producer.begin_transaction()

    def commit(self) -> None:
        """Commit it."""
        self._producer.commit_transaction(LIMIT_S)

    def abort(self) -> None:
        """Abort it; what was written stays in the log until then, and behind it."""
        self.flush()
        self._producer.abort_transaction(LIMIT_S)

    def flush(self) -> None:
        """Wait until all that was written is in the log."""
        assert not self._producer.flush(LIMIT_S)

    @contextmanager
    def committed(self) -> Iterator[None]:
        """A transaction that is committed at the end."""
        self.begin()
        yield
        self.commit()

    def change(self, application: str, offset: int, score: int | Decimal = 1, *, outcome: str = "consolidated") -> None:
        """Write a change, as of the event at an offset."""
        place = SourcePlace(self._partition(application), offset)
        factors = None if outcome == "cleared" else {"f_score": score}
        found = sample_change(application, "credit_check", outcome=outcome, factors=factors, version=place)
        self.raw(self._changes, application, change_key(application, found.id), encode(found))

    def factors(self, application: str, offset: int, score: int | Decimal = 1) -> None:
        """Write current factors, as of the event at an offset."""
        place = SourcePlace(self._partition(application), offset)
        found = sample_factors(application, "credit_check", factors={"f_score": score}, version=place)
        self.raw(self._factors, application, factors_key(application, "credit_check"), encode(found))

    def both(self, application: str, offset: int, score: int | Decimal = 1) -> None:
        """Write both, as one event makes a worker do."""
        self.change(application, offset, score)
        self.factors(application, offset, score)

    def raw(self, topic: str, application: str, key: bytes, value: bytes | None) -> None:
        """Write any record into the application's partition."""
        self._producer.produce(topic, value, key, self._partition(application))
        self._producer.poll(0)

    def _partition(self, application: str) -> int:
        return partition_of(application, self._installation.partitions)
