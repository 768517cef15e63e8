"""Counts of events and changes by processor. No lock: each number has one writer, and any thread reads.

The event loop's thread writes all of them but ``adopted``: a thread of an executor goes over to a ruleset, and counts
that.

The observer is called for thousands of events a second. Each costs one look-up and one addition here; what follows from
other counts is computed when somebody asks.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final

from models.errors import BadEventError, Defect
from models.events import Status
from models.outcomes import Outcome
from models.quality import Issue
from streams.health.report import Labelled

if TYPE_CHECKING:
    from streams.core.change import Change

__all__ = ["EventCounts", "ProcessorCounts"]

_OTHER: Final = "other"
_UNKNOWN: Final = "unknown"
_NO_CODE: Final = "none"

_RESERVED: Final = frozenset({_OTHER, _UNKNOWN})
"""Labels with a meaning. A processor that is called so is counted among the others: under its own name it would be a
second series with the same labels, and Prometheus refuses a scrape that has one."""

_UNDECLARED_NAMES: Final = 100
"""Processors beside those of the catalogue that are counted by name; a producer may send any number of names."""

_CODES: Final = 50
"""Error codes of one processor that are counted by name."""

_STATUSES: Final = max(Status) + 1

_SETTLED: Final = tuple(outcome for outcome in Outcome if outcome not in {Outcome.NOT_ATTEMPTED, Outcome.IN_PROGRESS})
"""The outcomes of a consolidation that has something to show for: failed executions are no failure of it."""

_PUBLISHED: Final = tuple(outcome for outcome in Outcome if outcome is not Outcome.NOT_ATTEMPTED)


class ProcessorCounts:
    """The counts of one processor.

    Args:
        expected: how many factors the catalogue declares; None: the catalogue does not have the processor.

    Attributes:
        expected: how many factors the catalogue declares.
        by_status: folded events by the number of their status, without copies.
        copies: the same, of copies.
        outcomes: changes by their outcome.
        with_factors: changes after which there are factors.
        without_factors: changes that settle a consolidation, after which there are none.
        present: the factors that there are after all changes together.
        codes: failed executions by their code.
        issues: quality issues by their kind.
        rejected: dead letters that name the processor.
    """

    __slots__ = (
        "by_status",
        "codes",
        "copies",
        "expected",
        "issues",
        "outcomes",
        "present",
        "rejected",
        "with_factors",
        "without_factors",
    )

    def __init__(self, expected: int | None) -> None:
        self.expected = expected
        self.by_status = [0] * _STATUSES
        self.copies = [0] * _STATUSES
        self.outcomes: dict[Outcome, int] = dict.fromkeys(Outcome, 0)
        self.with_factors = 0
        self.without_factors = 0
        self.present = 0
        self.codes: Counter[str] = Counter()
        self.issues: Counter[str] = Counter()
        self.rejected = 0

    def failed(self, code: str | None) -> None:
        """Count a failed execution."""
        name = code or _NO_CODE
        self.codes[name if name in self.codes or len(self.codes) < _CODES else _OTHER] += 1

    @property
    def settled(self) -> int:
        """Changes after which a consolidation has something to show for."""
        return sum(self.outcomes[outcome] for outcome in _SETTLED)


class EventCounts:
    """Counts of one worker.

    Args:
        declared: the number of declared factors of each processor of the catalogue.

    Attributes:
        known: the counts of the processors that are counted by name, without reserved ones; see :meth:`of`.
        republished: records that were published again under their canonical key.
        erased: applications that were erased.
        adopted: partitions that went over to another ruleset.
    """

    def __init__(self, declared: Mapping[str, int]) -> None:
        self.known = {name: ProcessorCounts(expected) for name, expected in declared.items() if name not in _RESERVED}
        self._most = len(self.known) + _UNDECLARED_NAMES
        self._other = ProcessorCounts(None)
        self._has_others = False
        self._defects: dict[Defect, int] = dict.fromkeys(Defect, 0)
        self._rejected = 0
        self.republished = 0
        self.erased = 0
        self.adopted = 0

    def of(self, processor: str) -> ProcessorCounts:
        """The counts of a processor; those beyond the limit share one, with those whose name is reserved."""
        found = self.known.get(processor)
        if found is not None:
            return found
        if len(self.known) >= self._most or processor in _RESERVED:
            self._has_others = True
            return self._other
        return self.known.setdefault(processor, ProcessorCounts(None))

    def changed(self, pending: Iterable[object]) -> None:
        """Count changes.

        Args:
            pending: the output of a batch, among it changes with the keys of their rows.
        """
        # Equal keys are counted first: a batch has thousands of changes, and a few dozen different keys.
        numbers: dict[tuple[str, Outcome, int], int] = {}
        for each in pending:
            if type(each) is tuple:
                change: Change = each[1]
                after = change.after
                key = (change.processor, after.outcome, len(after.factors))
                numbers[key] = numbers.get(key, 0) + 1
        for (processor, outcome, factors), number in numbers.items():
            counts = self.of(processor)
            counts.outcomes[outcome] += number
            if factors:
                counts.with_factors += number
                counts.present += factors * number
            elif outcome in _SETTLED:
                counts.without_factors += number

    def rejected(self, error: BadEventError) -> None:
        """Count a dead letter, by its reason, and by the processor that it names."""
        self._defects[error.defect] += 1
        if error.processor is None:
            self._rejected += 1
        else:
            self.of(error.processor).rejected += 1

    @property
    def dead_letters(self) -> int:
        """How many dead letters there were."""
        return sum(self._defects.values())

    @property
    def folded(self) -> int:
        """How many events were folded, without copies."""
        return sum(sum(counts.by_status) for _, counts in self._named())

    @property
    def copies(self) -> int:
        """How many copies of events there were."""
        return sum(sum(counts.copies) for _, counts in self._named())

    @property
    def changes(self) -> int:
        """How many changes there were."""
        return sum(sum(counts.outcomes.values()) for _, counts in self._named())

    @property
    def failures(self) -> int:
        """How many failed executions were handled."""
        return sum(counts.by_status[Status.FAILED] for _, counts in self._named())

    def of_status(self, status: Status) -> int:
        """The number of events of a status, copies included."""
        return sum(counts.by_status[status] + counts.copies[status] for _, counts in self._named())

    def values(self) -> dict[str, list[Labelled]]:
        """The metrics that follow from the counts."""
        named = self._named()
        return {
            "consolidator_events_total": [
                ((name,), float(number))
                for name, number in (
                    ("folded", self.folded),
                    ("copy", self.copies),
                    ("dead_letter", self.dead_letters),
                    ("republished", self.republished),
                    ("erased", self.erased),
                    ("adopted", self.adopted),
                )
            ],
            "consolidator_executions_total": [
                ((name, status.text), float(counts.by_status[status])) for name, counts in named for status in Status
            ],
            "consolidator_execution_failures_total": [
                ((name, code), float(number)) for name, counts in named for code, number in _codes(counts)
            ],
            "consolidator_changes_total": [
                ((name, outcome.value), float(counts.outcomes[outcome]))
                for name, counts in named
                for outcome in _PUBLISHED
            ],
            "consolidator_consolidations_total": self._consolidations(named),
            "consolidator_factors_expected_total": _of_declared(named, lambda one: (one.expected or 0) * one.settled),
            "consolidator_factors_present_total": _of_declared(named, lambda one: one.present),
            "consolidator_quality_issues_total": [
                ((name, issue.value), float(counts.issues[issue])) for name, counts in named for issue in Issue
            ],
            "consolidator_dead_letters_total": [
                ((defect.value,), float(number)) for defect, number in self._defects.items()
            ],
        }

    def _consolidations(self, named: list[tuple[str, ProcessorCounts]]) -> list[Labelled]:
        found: list[Labelled] = []
        for name, counts in named:
            results = (
                ("with_factors", counts.with_factors),
                ("without_factors", counts.without_factors),
                ("rejected", counts.rejected),
            )
            found += [((name, result), float(number)) for result, number in results]
        return [*found, ((_UNKNOWN, "rejected"), float(self._rejected))]

    def _named(self) -> list[tuple[str, ProcessorCounts]]:
        """The processors, in the order of their names; the others last, if there are any."""
        found = sorted(self.known.items())
        has_others = self._has_others or len(found) >= self._most
        return [*found, (_OTHER, self._other)] if has_others else found


def _codes(counts: ProcessorCounts) -> list[tuple[str, int]]:
    """The failures by code; without any, a zero, so that the first failure is an increase that Prometheus sees."""
    return list(counts.codes.items()) or [(_NO_CODE, 0)]


def _of_declared(named: list[tuple[str, ProcessorCounts]], number: Callable[[ProcessorCounts], int]) -> list[Labelled]:
    return [((name,), float(number(counts))) for name, counts in named if counts.expected is not None]
