"""Put dead letters back into the source, each once: the record and the letter's mark are in one Kafka transaction.

See docs/decisions/0007-redrive.md for the alternatives.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Final, Self
from warnings import catch_warnings

from confluent_kafka import KafkaError, Message, Producer
from confluent_kafka.admin import AdminClient

from models.errors import ContractError, Defect, InfrastructureError
from topics.cluster.open_transactions import wait_until_settled
from topics.cluster.producer_errors import CLIENT_ERRORS, FENCED, cause_of
from topics.contract.declared import Topics
from topics.reading.dead_letter_list import Listed, Place, State
from topics.records.dead_letter_format import (
    MARK_VALUE,
    Original,
    mark_key,
    parse_dead_letter,
    redriven_headers,
    with_original,
)
from topics.records.record import Record

__all__ = ["Choice", "Decision", "Redrive", "decide"]

_STEP_TIMEOUT_S: Final = 30.0
"""How long a blocking step may take, in seconds; a broker that takes longer counts as failed."""

_TRANSACTION_TIMEOUT_MS: Final = 60_000
"""The time after which the broker aborts the transaction of a redrive that died. Until then the worker reads none of
its records."""

_STABLE_TIMEOUT_S: Final = 90.0
"""A worker's transaction lasts 60 s at most, and the broker looks for those that died every 10 s."""

_POLL_S: Final = 0.1

_NOT_REFUSED: Final = FENCED | {KafkaError._PURGE_QUEUE}  # noqa: SLF001 - librdkafka's name
"""Errors that are not about the letter itself: another redrive began, or another letter was refused."""

_UNCOMPRESSED_BYTES: Final = 256 * 1024 * 1024
"""The topics limit compressed batches, but librdkafka limits uncompressed messages: a letter of an event that came
compressed must fit."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision of a redrive about one dead letter.

    Attributes:
        letter: the dead letter.
        reason: why it is skipped; None: it is put back.
    """

    letter: Listed
    reason: str | None


@dataclass(frozen=True, slots=True)
class Choice:
    """Which dead letters to put back.

    Attributes:
        places: only these; None: wherever they stand.
        error_classes: only those with one of these defects; None: any.
        again: also put back letters that came back from an earlier redrive.
        limit: the greatest number of letters to put back; the others get no decision.
    """

    places: Collection[Place] | None = None
    error_classes: Collection[str] | None = None
    again: bool = False
    limit: int | None = None

    def names(self, letter: Listed) -> bool:
        """Whether a letter is selected."""
        if self.places is not None and letter.place not in self.places:
            return False
        return self.error_classes is None or letter.error_class in self.error_classes


def _nowhere(_: Original) -> None:
    return None


def decide(
    letters: Iterable[Listed],
    choice: Choice,
    *,
    source: str,
    is_there: Callable[[Original], bool] = lambda _: False,
) -> list[Decision]:
    """Decide about each selected dead letter: put it back, or skip it.

    Args:
        letters: all dead letters.
        choice: which of them to put back.
        source: the topic into which they are put back.
        is_there: whether the source still has the record of a letter that was too large to hold it.
    """
    decisions: list[Decision] = []
    chosen = 0
    for letter in filter(choice.names, letters):
        reason = _reason_against(letter, source, again=choice.again)
        if reason is None and chosen == choice.limit:
            continue
        if reason is None and letter.original is not None and not is_there(letter.original):
            reason = "it was too large to be kept here, and its record is gone from the source"
        if reason is None:
            chosen += 1
        decisions.append(Decision(letter, reason))
    return decisions


def _reason_against(letter: Listed, source: str, *, again: bool) -> str | None:
    if letter.source_topic != source or letter.source_partition != letter.place[0]:
        return f"it is of {letter.source_topic} partition {letter.source_partition}"
    if letter.error_class == Defect.APPLICATION_ERASED:
        return "its application was erased: nothing of the event was kept"
    if letter.error_class in {Defect.INVALID_ERASURE, Defect.UNCONFIRMED_ERASURE}:
        return (
            "an erasure counts at the offset at which it was written, and nowhere else: `consolidator erase` writes one"
        )
    if letter.state is State.REDRIVEN:
        return "it was redriven before"
    if letter.state is State.CAME_BACK and not again:
        return f"it came back from the redrive of {letter.redrive_of}; --again tries it once more"
    return None


class Redrive:
    """One redrive: it shuts out every other one, and takes effect as a whole or not at all.

    1. On entry, fence: an earlier redrive that still runs can no longer commit, and the transaction of one that died is
       aborted.
    2. Wait until no open transaction hides a mark: records after an open transaction cannot be read yet, even if
       committed.
    3. After that the caller may read the letters and decide.
    4. :meth:`put_back` produces every record and its mark, and commits.

    Args:
        config: for librdkafka, as :meth:`.Connection.librdkafka` makes it.
        topics: the declared topics.
        app_id: the installation's application id; all its redrives share one transactional id.

    Raises:
        InfrastructureError: from every method, when Kafka fails or does not answer.
    """

    def __init__(self, config: Mapping[str, str | int], topics: Topics, app_id: str) -> None:
        self._topics = topics
        self._admin = AdminClient({**config, "log_level": 2})
        self._producer = Producer(
            {
                **config,
                "transactional.id": f"{app_id}-redrive",
                "transaction.timeout.ms": _TRANSACTION_TIMEOUT_MS,
                # The strongest compression, because a record at the source's size limit may fit only when it is
                # compressed.
                "compression.type": "zstd",
                "linger.ms": 20,
                "message.max.bytes": _UNCOMPRESSED_BYTES,
            },
            logger=_silent(),
        )
        self._refusals: list[tuple[int, Place, KafkaError]] = []

    def __enter__(self) -> Self:
        with self._explained("begin"):
            # 1.
            self._producer.init_transactions(_STEP_TIMEOUT_S)
            # 2.
            self._wait_until_stable()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A fenced producer raises when it is closed, too. Its error was raised already.
        with suppress(*CLIENT_ERRORS), catch_warnings(action="ignore", category=RuntimeWarning):
            self._producer.close()

    def put_back(
        self,
        records: Iterable[Record],
        chosen: Collection[Place],
        *,
        on_progress: Callable[[int], None],
        find: Callable[[Original], Record | None] = _nowhere,
    ) -> None:
        """Put the chosen dead letters back into the source, and mark them.

        Args:
            records: of the dead letters' topic, with the chosen ones among them.
            chosen: where the letters stand; all have to be found.
            on_progress: called with how many are produced so far.
            find: reads the source record of a letter that was too large to hold it; None: it is gone.

        Raises:
            ContractError: a letter was removed meanwhile, the broker refuses a record, or another redrive began;
                nothing took effect.
            InfrastructureError: Kafka failed; says whether anything took effect.
        """
        with self._explained("begin_transaction"):
            self._producer.begin_transaction()
        try:
            with self._explained("produce"):
                self._produce(records, set(chosen), on_progress, find)
        except BaseException:
            self._abort()
            raise
        with self._explained("commit_transaction"):
            self._producer.commit_transaction(_STEP_TIMEOUT_S)

    def _produce(
        self,
        records: Iterable[Record],
        missing: set[Place],
        on_progress: Callable[[int], None],
        find: Callable[[Original], Record | None],
    ) -> None:
        try:
            produced = 0
            for record in records:
                place = (record.partition, record.offset)
                if place not in missing:
                    continue
                self._produce_letter(record, place, find)
                missing.remove(place)
                produced += 1
                on_progress(produced)
            left = self._producer.flush(_STEP_TIMEOUT_S)
        except CLIENT_ERRORS:
            # A refused record fails the transaction. Errors of later calls say only that, so this reason is kept.
            with suppress(*CLIENT_ERRORS):
                self._producer.flush(_STEP_TIMEOUT_S)
            self._raise_refusal()
            raise
        self._raise_refusal()
        if left:
            raise InfrastructureError(
                f"{left} records were not acknowledged within {_STEP_TIMEOUT_S:.0f} s; nothing was redriven"
            )
        if missing:
            places = ", ".join(f"{partition}:{offset}" for partition, offset in sorted(missing))
            raise ContractError(
                f"dead letters were removed while they were read: {places}; nothing was redriven, try again"
            )

    def _produce_letter(self, record: Record, place: Place, find: Callable[[Original], Record | None]) -> None:
        letter, key = parse_dead_letter(record), record.key
        if letter is None or key is None:  # pragma: no cover - only what was listed as a letter is chosen
            raise ContractError(f"{record.topic} has no dead letter at {record.partition}:{record.offset}")
        partition, value = record.partition, record.value
        if letter.original is not None:
            original = find(letter.original)
            if original is None:
                raise ContractError(
                    f"the record of dead letter {place[0]}:{place[1]} is gone from {letter.topic}, and it was too "
                    "large for the dead letter; nothing was redriven, name the others to redrive without it"
                )
            letter, value = with_original(letter, original), original.value
        original_key = letter.key
        headers: list[tuple[str, str | bytes | None]] = [*redriven_headers(letter, key)]
        delivered = partial(self._delivered, place, len(value or b""))
        produce = self._producer.produce
        self._with_room(
            lambda: produce(
                self._topics.executions.name, value, original_key, partition, on_delivery=delivered, headers=headers
            )
        )
        marks = self._topics.dlq.name
        self._with_room(lambda: produce(marks, MARK_VALUE, mark_key(key), partition, on_delivery=delivered))

    def _with_room(self, produce: Callable[[], None]) -> None:
        while True:
            try:
                produce()
            except BufferError:
                self._producer.poll(_POLL_S)
            else:
                self._producer.poll(0)
                return

    def _delivered(self, place: Place, size: int, error: KafkaError | None, _message: Message) -> None:
        if error is not None and error.code() not in _NOT_REFUSED:
            self._refusals.append((size, place, error))

    def _raise_refusal(self) -> None:
        if self._refusals:
            # The broker refuses a batch as a whole, mostly for the size of one letter.
            size, (partition, offset), error = max(self._refusals, key=lambda refusal: refusal[0])
            raise ContractError(
                f"the broker refuses to take dead letter {partition}:{offset} ({size} bytes) back: {error.str()}; "
                "nothing was redriven. Mend the cause, or name the letters to redrive without it"
            )

    def _abort(self) -> None:
        # The first error matters, so an error of the abort is ignored: the broker or the next redrive aborts the
        # transaction.
        with suppress(*CLIENT_ERRORS):
            self._producer.abort_transaction(_STEP_TIMEOUT_S)

    def _wait_until_stable(self) -> None:
        """Wait until every transaction that is open now in the dead letters' topic is committed or aborted."""
        name = self._topics.dlq.name
        open_partitions = wait_until_settled(
            self._admin, name, range(self._topics.partitions), limit_s=_STABLE_TIMEOUT_S
        )
        if open_partitions:
            raise InfrastructureError(
                f"{name} partition {', '.join(map(str, open_partitions))}: a transaction is still open after "
                f"{_STABLE_TIMEOUT_S:.0f} s, which may hide what was redriven; nothing was redriven"
            )

    @contextmanager
    def _explained(self, step: str) -> Iterator[None]:
        """Raise a client's error of a failed step with its consequence for the dead letters."""
        try:
            yield
        except CLIENT_ERRORS as error:
            cause = cause_of(error, self._producer)
            if not isinstance(cause, KafkaError):
                raise
            raise failure(step, cause) from error


def failure(step: str, cause: KafkaError) -> ContractError | InfrastructureError:
    """The error with which a redrive ends.

    Args:
        step: what failed.
        cause: why.
    """
    effect = (
        # The client retries a commit whose answer was lost. A refusal of the retry does not show the result of the
        # first attempt.
        "it is unknown whether this one took effect: run it again, what was redriven is skipped"
        if step == "commit_transaction"
        else "nothing was redriven"
    )
    if cause.code() in FENCED:
        return ContractError(f"another redrive of this installation began meanwhile: {effect}")
    return InfrastructureError(f"redrive, {step}: {cause.name()}: {cause.str()}; {effect}")


def _silent() -> logging.Logger:
    """A logger that drops librdkafka's own lines, because its errors are raised as well."""
    logger = logging.getLogger("librdkafka")
    logger.addHandler(logging.NullHandler())
    return logger
