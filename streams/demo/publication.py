"""Publishing a day: most events as a well-behaved producer does, the partner's events with foreign keys."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from confluent_kafka import KafkaError, Message, Producer

from models.errors import BadEventError, InfrastructureError
from models.events import LifecycleEvent, Position
from streams.core.pair_summary import PairSummary
from streams.demo.day import Arrival
from streams.replay.in_memory import ReplayFold
from topics.contract.declared import Topics
from topics.records.decoding import decode_event
from topics.writing.publishing import publish_events

__all__ = ["Readable", "publish", "read_arrivals", "replayed"]

_FLUSH_LIMIT_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Readable:
    """An arrival, and its event; None: it has none."""

    arrival: Arrival
    event: LifecycleEvent | None


def read_arrivals(arrivals: Iterable[Arrival], *, max_event_bytes: int) -> list[Readable]:
    """Decode everything that can be decoded."""
    return [Readable(arrival, _event(arrival.value, max_event_bytes)) for arrival in arrivals]


def publish(
    arrivals: Iterable[Readable],
    topics: Topics,
    config: Mapping[str, str | int],
    *,
    on_acknowledged: Callable[[int], None],
) -> int:
    """Publish everything, wait for every acknowledgement, and return how many records that were.

    Args:
        arrivals: in their order.
        topics: the declared topics.
        config: for librdkafka.
        on_acknowledged: called with how many of our own producer's events are acknowledged so far.

    Raises:
        InfrastructureError: Kafka refused one or does not answer.
    """
    partner = Producer({**config, "log_level": 2})
    strange = 0
    refusals: list[KafkaError] = []

    def delivered(error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            refusals.append(error)

    def ours() -> Iterator[tuple[LifecycleEvent, bytes]]:
        nonlocal strange
        for readable in arrivals:
            value, key = readable.arrival
            if key is None and readable.event is not None:
                yield readable.event, value
                continue
            # The partner publishes with its own key, librdkafka's own partitioner and no headers, as a foreign producer
            # does.
            partner.produce(topics.executions.name, value, key, on_delivery=delivered)
            partner.poll(0)
            strange += 1

    acknowledged = publish_events(
        ours(), topics.executions.name, topics.partitions, config, on_acknowledged=on_acknowledged
    )
    left = partner.flush(_FLUSH_LIMIT_S)
    if left:
        raise InfrastructureError(f"{left} events were not acknowledged within {_FLUSH_LIMIT_S:.0f} s")
    if refusals:
        raise InfrastructureError(f"Kafka refused an event: {refusals[0].str()}")
    return acknowledged + strange


def replayed(arrivals: Iterable[Readable], fold: ReplayFold) -> dict[tuple[str, str], PairSummary]:
    """The result of the same arrivals without a broker, by application and processor."""
    for number, readable in enumerate(arrivals, 1):
        if readable.event is not None:
            fold.apply(readable.event, Position("", 0, number))
    return {(summary.application_id, summary.processor): summary for summary in fold.summaries()}


def _event(value: bytes, max_event_bytes: int) -> LifecycleEvent | None:
    try:
        return decode_event(value, max_bytes=max_event_bytes)
    except BadEventError:
        return None
