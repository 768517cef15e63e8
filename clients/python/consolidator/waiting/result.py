"""What came of a published event."""

from dataclasses import dataclass
from typing import Literal

from consolidator.records import FactorChange, SourcePlace

__all__ = ["WaitResult"]


@dataclass(frozen=True, slots=True)
class WaitResult:
    """What came of a record of ``executions``.

    Attributes:
        kind: ``applied``: something differs, and :attr:`changes` has it. ``no_change``: the record counts, but nothing
            differs (an event that is only noted, such as ``started`` after ``completed``, a copy of an event, an event
            of an erased id). ``dead_letter``: it could not be read; :attr:`code` and :attr:`reason` say why.
            ``republished_at``: it stood under a key, or in a partition, that is not its own, and was published again at
            :attr:`republished_at`; only where the copy was not to be followed.
        place: the record that this is about: the copy, where one was followed.
        changes: the changes that it caused, in the order of ``factor-changes``; one of an event, several of a tombstone
            that erases an event from several processors.
        code: the defect of a dead letter, such as ``invalid_time``; docs/glossary.md explains each.
        reason: the defect in words; never a value.
        republished_at: where the copy stands; None: there is none.
    """

    kind: Literal["applied", "no_change", "dead_letter", "republished_at"]
    place: SourcePlace
    changes: tuple[FactorChange, ...] = ()
    code: str | None = None
    reason: str | None = None
    republished_at: SourcePlace | None = None
