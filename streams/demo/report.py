"""The report of a demonstration, read from Kafka by an ordinary consumer."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from streams.audit.history.current import Journalled
from streams.audit.published import change_of, current_of, published_summary
from streams.core.pair_summary import PairSummary
from streams.demo.scenarios import SCENARIOS, Scenario
from topics.contract.declared import Topic, Topics
from topics.reading.positions import Beginning
from topics.reading.reader import TopicReader
from topics.records import dead_letter_format
from topics.records.record import Record

__all__ = [
    "DeadLetter",
    "DemoReport",
    "Example",
    "ProcessorFigures",
    "ScenarioResult",
    "Timing",
    "read_report",
]


@dataclass(frozen=True, slots=True)
class ScenarioResult:
    """A scenario, and its result in the topics; None: it has none."""

    scenario: Scenario
    actual: PairSummary | None

    @property
    def is_right(self) -> bool:
        """Whether the result has exactly the expected outcome and factors."""
        actual = self.actual
        return (
            actual is not None
            and actual.outcome == self.scenario.outcome
            and dict(actual.factors) == dict(self.scenario.factors)
        )


@dataclass(slots=True)
class ProcessorFigures:
    """One processor over all applications."""

    processor: str
    processor_type: str | None
    active: int = 0
    failed: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)

    @property
    def failure_rate(self) -> float:
        """The share of failed executions among the active ones, from 0 to 1."""
        return self.failed / self.active if self.active else 0.0


@dataclass(frozen=True, slots=True)
class Example:
    """A change that is shown as an example, and what it is an example of."""

    title: str
    journalled: Journalled


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that could not be read: where it stands, and why."""

    topic: str
    partition: int
    offset: int
    error_class: str
    message: str


@dataclass(frozen=True, slots=True)
class Timing:
    """The times of a demonstration.

    Attributes:
        records: how many records were published.
        publish_s: from the first to the last acknowledgement.
        consolidate_s: from the worker's first change to its last, by the broker's clock.
        total_s: from the command's start to here.
    """

    records: int
    publish_s: float
    consolidate_s: float
    total_s: float


@dataclass(frozen=True, slots=True)
class DemoReport:
    """The report of a demonstration.

    Attributes:
        scenarios: the mission's.
        processors: by name.
        examples: of changes, with their cause.
        dead_letters: all of them.
        changes: how many there are.
        pairs: how many (application, processor) there are.
        unequal_pairs: of those, how many a replay of the same events does not agree with: none, if all is well.
        timing: how long it took.
        told: what happened on the invented day.
    """

    scenarios: tuple[ScenarioResult, ...]
    processors: tuple[ProcessorFigures, ...]
    examples: tuple[Example, ...]
    dead_letters: tuple[DeadLetter, ...]
    changes: int
    pairs: int
    unequal_pairs: int
    timing: Timing
    told: Mapping[str, int]

    @property
    def is_right(self) -> bool:
        """Whether every scenario has its expected result, and a replay agrees with every pair."""
        return all(result.is_right for result in self.scenarios) and not self.unequal_pairs

    def after(self, total_s: float) -> "DemoReport":
        """A copy of this report with the total time."""
        return replace(self, timing=replace(self.timing, total_s=total_s))


def read_report(
    config: Mapping[str, str | int],
    topics: Topics,
    *,
    replayed: Mapping[tuple[str, str], PairSummary],
    timing: Timing,
    told: Mapping[str, int],
) -> DemoReport:
    """Read the topics to their ends.

    Args:
        config: for librdkafka.
        topics: the demonstration's.
        replayed: the result of a replay of the same events.
        timing: the times that are known so far; the time of consolidating is read from the records.
        told: what happened on the invented day.

    Raises:
        ContractError: a record in a topic cannot be read.
        InfrastructureError: Kafka does not answer.
    """
    pairs = {}
    for record in _records(config, topics, topics.factors):
        summary = published_summary(current_of(record))
        pairs[summary.application_id, summary.processor] = summary
    # Sorted: the examples are then the same ones every time.
    changes = sorted(_records(config, topics, topics.factor_changes), key=lambda one: (one.partition, one.offset))
    times = [record.timestamp_ms for record in changes]
    consolidate_s = (max(times) - min(times)) / 1000 if times else 0.0
    unequal = sum(pairs.get(identity) != replayed.get(identity) for identity in pairs.keys() | replayed.keys())
    return DemoReport(
        scenarios=tuple(ScenarioResult(one, pairs.get((one.application_id, one.processor))) for one in SCENARIOS),
        processors=tuple(_figures(pairs.values())),
        examples=tuple(_examples(changes)),
        dead_letters=tuple(map(_dead_letter, _records(config, topics, topics.dlq))),
        changes=len(changes),
        pairs=len(pairs),
        unequal_pairs=unequal,
        timing=Timing(timing.records, timing.publish_s, consolidate_s, timing.total_s),
        told=told,
    )


def _records(config: Mapping[str, str | int], topics: Topics, topic: Topic) -> Iterator[Record]:
    # The last transaction's records may be readable a moment after its offsets.
    with TopicReader(config, topic.name, Beginning(), settled=range(topics.partitions)) as reader:
        yield from reader.until_end()


def _figures(pairs: Iterable[PairSummary]) -> list[ProcessorFigures]:
    figures: dict[str, ProcessorFigures] = {}
    for pair in pairs:
        one = figures.setdefault(pair.processor, ProcessorFigures(pair.processor, pair.processor_type))
        one.active += pair.counts.active
        one.failed += pair.counts.failed
        one.outcomes[pair.outcome] += 1
    return sorted(figures.values(), key=lambda one: one.processor)


def _dead_letter(record: Record) -> DeadLetter:
    headers = {name: (value or b"").decode(errors="replace") for name, value in record.headers}
    return DeadLetter(
        headers[dead_letter_format.TOPIC],
        int(headers[dead_letter_format.PARTITION]),
        int(headers[dead_letter_format.OFFSET]),
        headers[dead_letter_format.CLASS],
        headers[dead_letter_format.MESSAGE],
    )


def _examples(records: Iterable[Record]) -> list[Example]:
    """The first change of each kind, in the order of the kinds."""
    found: dict[str, Example] = {}
    for record in records:
        if len(found) == len(_KINDS):
            break
        journalled = Journalled(change_of(record), record.topic, record.partition, record.offset)
        kind = _kind_of(journalled)
        if kind is not None and kind not in found:
            found[kind] = Example(kind, journalled)
    return [found[kind] for kind in _KINDS if kind in found]


_FAILED_BESIDE: Final = "A failure beside successes: the outcome turns partial, no factor changes"
_CLEARED: Final = "A rerun failed: what it replaces is gone, the factors are cleared"
_RETRIED: Final = "A retry succeeded: the factors come back"
_CLOSED: Final = "A document was taken back: the others are consolidated again"
_KINDS: Final = (_FAILED_BESIDE, _CLEARED, _RETRIED, _CLOSED)


def _kind_of(journalled: Journalled) -> str | None:
    change = journalled.value
    cause = change.cause
    ops = {one.op for one in change.changed}
    if cause.status == "failed":
        if change.outcome == "partial" and change.previous_outcome == "consolidated" and not ops:
            return _FAILED_BESIDE
        return _CLEARED if ops == {"cleared"} else None
    if cause.status == "completed" and (cause.attempt or 1) > 1 and change.previous_outcome in {"cleared", "partial"}:
        return _RETRIED if ops else None
    return _CLOSED if cause.status == "superseded" and "updated" in ops else None
