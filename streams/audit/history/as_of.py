"""What the factors of an application were, as of an offset or a time, in either of two senses (docs/decisions/0008).

*Known*: the answer from the events that the log had then, a prefix of the log. *True*: the answer from all events of
the log that had happened by then.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from consolidator.keys import application_prefix, parse_event_key
from consolidator.records import FactorChange
from models.errors import BadEventError
from models.events import LifecycleEvent, Position
from models.rows import DIGEST_BYTES, Entry
from streams.audit.made_changes import factor_change, published_form
from streams.core.fold import Pair, apply_event
from streams.partition.observer import FoldedEvent, Observer
from streams.replay.application_log import ApplicationLog
from streams.rulesets.rule_book import RuleBook
from topics.contract.declared import Topics

__all__ = ["AsOf", "ProcessorAsOf", "Sources", "erased_events", "known_as_of", "true_as_of"]


class Sources(Observer):
    """Remembers the result of each record of an application: folded, or refused.

    Attributes:
        events: those that were folded, copies among them, in the order of the log.
        refused: the dead letters, in the order of the log.
    """

    def __init__(self) -> None:
        self.events: list[tuple[LifecycleEvent, Position]] = []
        self.refused: list[tuple[Position, BadEventError]] = []
        self._places: dict[tuple[str, bytes], tuple[LifecycleEvent, Position]] = {}

    def folded(self, events: Sequence[FoldedEvent]) -> None:
        """See :class:`Observer`."""
        for event, position, _, _ in events:
            self.events.append((event, position))
            self._places.setdefault((event.event_id, event.digest[:DIGEST_BYTES]), (event, position))

    def rejected(self, position: Position, error: BadEventError) -> None:
        """See :class:`Observer`."""
        self.refused.append((position, error))

    def of(self, entry: Entry) -> tuple[LifecycleEvent, Position] | None:
        """The event of a row's entry, and the position of its first copy; None: it was not folded here."""
        return self._places.get((entry.event_id, entry.digest))


@dataclass(frozen=True, slots=True)
class ProcessorAsOf:
    """The state of one processor at a past moment.

    Attributes:
        pair: its state.
        last_change: the last change before that moment, with the event that caused it.
    """

    pair: Pair
    last_change: FactorChange


@dataclass(frozen=True, slots=True)
class AsOf:
    """The state of an application at a past moment.

    Attributes:
        log: the application's log, which the answer is based on.
        true_at: the time of a *true* answer, in microseconds since the epoch; None: it is a *known* answer.
        processors: by name, sorted.
        sources: the events that were folded.
    """

    log: ApplicationLog
    true_at: int | None
    processors: Mapping[str, ProcessorAsOf]
    sources: Sources


def known_as_of(log: ApplicationLog, topics: Topics, book: RuleBook, *, max_event_bytes: int) -> AsOf:
    """The *known* answer at the end of a log: the worker's fold of all of it.

    Args:
        log: the application's log, cut at the moment in question.
        topics: the declared topics.
        book: the rules of every offset.
        max_event_bytes: larger events are dead letters.
    """
    sources = Sources()
    replay = log.replay(topics, book, max_event_bytes=max_event_bytes, observer=sources)
    last: dict[str, FactorChange] = {}
    for replayed in replay.run(log.log, log.ranges):
        for made in {made.change.processor: made for made in replayed.folded.changes}.values():
            last[made.change.processor] = published_form(made)
    pairs = {pair.row.processor: pair for pair in replay.pairs()}
    return AsOf(log, None, {name: ProcessorAsOf(pairs[name], last[name]) for name in sorted(pairs)}, sources)


def true_as_of(log: ApplicationLog, topics: Topics, book: RuleBook, at: int, *, max_event_bytes: int) -> AsOf:
    """The *true* answer for a time, from all events of a log.

    1. Fold the log as the worker did, to find out which events are dead letters.
    2. Leave out erased events, and events that happened later.
    3. Apply the rest in the order in which it happened, with the ruleset that holds at the end of the log.

    Args:
        log: the application's log; it may be cut at an offset, for the answer that was known there.
        topics: the declared topics.
        book: the rules of every offset.
        at: the time, in microseconds since the epoch; an event of exactly that time counts.
        max_event_bytes: larger events are dead letters.
    """
    # 1.
    sources = Sources()
    replay = log.replay(topics, book, max_event_bytes=max_event_bytes, observer=sources)
    for _ in replay.run(log.log, log.ranges):
        pass
    # 2.
    erased = erased_events(log)
    happened = [
        (event, position)
        for event, position in sources.events
        if event.occurred_at <= at and event.event_id not in erased
    ]
    # 3.
    happened.sort(key=lambda found: (found[0].occurred_at, found[1].offset))
    found: dict[str, ProcessorAsOf] = {}
    rules = book.last(log.partition, log.end)
    for event, position in happened:
        before = found.get(event.processor)
        step = apply_event(None if before is None else before.pair, event, position, rules)
        if step.change is not None:
            found[event.processor] = ProcessorAsOf(step.pair, factor_change(step.change, step.change.id, rules))
        elif before is not None:
            found[event.processor] = ProcessorAsOf(step.pair, before.last_change)
    return AsOf(log, at, dict(sorted(found.items())), sources)


def erased_events(log: ApplicationLog) -> frozenset[str]:
    """The events of the application that a tombstone in the log erases, whether it came before or after them.

    Earlier events and tombstones are ignored: see :attr:`~streams.replay.application_log.ApplicationLog.accepts_from`.
    """
    prefix = application_prefix(log.application_id)
    identities = [
        parse_event_key(record.key)
        for record in log.records
        if record.value is None
        and record.key is not None
        and record.key.startswith(prefix)
        and record.offset >= log.accepts_from
    ]
    return frozenset(identity[1] for identity in identities if identity is not None)
