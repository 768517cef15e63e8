"""Tests a catalogue with the worker's own decoder and fold, in memory, without Kafka.

The results are those that subscribers would read, as the client's types::

    from streams.testing import CatalogueFold

    def test_a_failed_statement_is_no_month_without_revenue():
        fold = CatalogueFold.of_file("small-business.toml")
        fold.completed("bank_statement", "january", {"f_revenue_monthly": 10000})
        fold.failed("bank_statement", "february", code="unreadable")
        fold.completed("bank_statement", "march", {"f_revenue_monthly": 12000})
        current = fold.current("bank_statement")
        assert current.outcome == "partial"
        assert current.values() == {"f_months_analyzed": 2, "f_revenue_monthly_avg": 11000}
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from os import PathLike
from pathlib import Path
from typing import Any, Final, Self

import msgspec

from consolidator.records import (
    CurrentFactors,
    FactorChange,
    FactorValue,
    QualityNote,
    decode_change,
    decode_factors,
)
from models.catalogue import Catalogue
from models.events import Position
from streams.core.change import common_parts, encode_change, encode_factors
from streams.core.rules import Rules
from streams.replay.in_memory import ReplayFold
from streams.rulesets.catalogue_file import load_catalogue, parse_catalogue
from topics.records.decoding import decode_event

__all__ = ["CatalogueFold"]

APPLICATION: Final = "app-1"
"""The application of an event that names none."""

MAX_EVENT_BYTES: Final = 256 * 1024
"""A larger event is bad: the default of ``CONSOLIDATOR_MAX_EVENT_BYTES``."""

_BEGINNING: Final = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
_SOURCE: Final = "executions"
# Encode a Decimal as a number with all its digits; by default it would become a text.
_encode: Final = msgspec.json.Encoder(decimal_format="number").encode


class CatalogueFold:
    """Folds events by a catalogue, one after the other.

    Attributes:
        quality: the quality issues of the last event, such as a value out of its bounds or a missing required factor.
            The event counts nevertheless.

    Args:
        catalogue: see :meth:`of_file` and :meth:`of_text`.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._rules = Rules(catalogue)
        self._fold = ReplayFold(self._rules)
        self._current: dict[tuple[str, str], CurrentFactors] = {}
        self._events = 0
        self.quality: tuple[QualityNote, ...] = ()

    @classmethod
    def of_file(cls, path: str | PathLike[str]) -> Self:
        """Test a catalogue file, TOML or JSON.

        Raises:
            CatalogueError: the file cannot be read, or the message lists every problem with its place.
        """
        return cls(load_catalogue(Path(path)))

    @classmethod
    def of_text(cls, toml: str) -> Self:
        """Test a catalogue that is a text in the test.

        Raises:
            CatalogueError: the message lists every problem with its place.
        """
        return cls(parse_catalogue(toml.encode(), suffix=".toml", source="the catalogue"))

    def completed(
        self,
        processor: str,
        execution_id: str,
        factors: Mapping[str, FactorValue | float | None],
        *,
        application_id: str = APPLICATION,
        at: datetime | None = None,
        supersedes: str | None = None,
    ) -> FactorChange | None:
        """Fold the completion of an execution.

        Args:
            processor: the processor.
            execution_id: the execution.
            factors: the factors that it found, by field.
            application_id: the application.
            at: when, with an offset; None: a minute after the event before. Executions are in the order of these times.
            supersedes: the execution that this one replaces.

        Returns:
            The change that it caused; None: outcome, factors and counts are as before.

        Raises:
            BadEventError: a worker would make a dead letter of it.
        """
        members = {"output": {"factors": dict(factors)}}
        return self._happened("completed", processor, execution_id, application_id, at, supersedes, members)

    def failed(
        self,
        processor: str,
        execution_id: str,
        *,
        code: str | None = None,
        application_id: str = APPLICATION,
        at: datetime | None = None,
        supersedes: str | None = None,
    ) -> FactorChange | None:
        """Fold the failure of an execution.

        Args:
            processor: see :meth:`completed`, as are the others.
            execution_id: the execution.
            code: the error's code.
            application_id: the application.
            at: when.
            supersedes: the execution that this one replaces.

        Returns:
            The change that it caused; None: outcome, factors and counts are as before.

        Raises:
            BadEventError: a worker would make a dead letter of it.
        """
        members = {} if code is None else {"error": {"code": code}}
        return self._happened("failed", processor, execution_id, application_id, at, supersedes, members)

    def apply(self, event: Mapping[str, Any] | bytes) -> FactorChange | None:
        """Fold any event, as a producer would send it: ``docs/events.md`` has its members.

        Args:
            event: its members, or its JSON.

        Returns:
            The change that it caused; None: outcome, factors and counts are as before.

        Raises:
            BadEventError: a worker would make a dead letter of it; nothing is changed.
        """
        raw = event if isinstance(event, bytes) else _encode(event)
        decoded = decode_event(raw, max_bytes=MAX_EVENT_BYTES)
        step = self._fold.apply(decoded, Position(_SOURCE, 0, self._events))
        self._events += 1
        self.quality = tuple(QualityNote(issue.issue.value, issue.factor) for issue in step.issues)
        if step.change is None:
            return None
        common = common_parts(step.change, self._rules.json)
        pair = (decoded.application_id, decoded.processor)
        self._current[pair] = decode_factors(encode_factors(common))
        return decode_change(encode_change(step.change, step.change.id, common))

    def current(self, processor: str, application_id: str = APPLICATION) -> CurrentFactors | None:
        """The current factors of one processor; None: it had no event that changed anything."""
        return self._current.get((application_id, processor))

    def _happened(
        self,
        status: str,
        processor: str,
        execution_id: str,
        application_id: str,
        at: datetime | None,
        supersedes: str | None,
        members: Mapping[str, object],
    ) -> FactorChange | None:
        moment = _BEGINNING + timedelta(minutes=self._events) if at is None else at
        event: dict[str, object] = {
            "application_id": application_id,
            "execution_id": execution_id,
            "processor": processor,
            "status": status,
            "occurred_at": moment.isoformat(),
            **members,
        }
        if supersedes is not None:
            event["supersedes"] = supersedes
        return self.apply(event)
