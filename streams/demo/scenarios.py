"""The mission's three example scenarios (its section 5), as events and with their expected results."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from streams.demo.events import event_line

__all__ = ["SCENARIOS", "Scenario"]

_FIRST: Final = datetime(2025, 3, 4, 9, tzinfo=UTC)
_BETWEEN_EXECUTIONS: Final = timedelta(minutes=2)
_A_RUN: Final = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Scenario:
    """One example.

    Attributes:
        title: the mission's own heading.
        application_id: the application of the scenario.
        processor: of the sample catalogue.
        executions: each one's output factors; None: it failed.
        outcome: the expected outcome.
        factors: the expected factors, sorted by name, as canonical JSON text.
    """

    title: str
    application_id: str
    processor: str
    executions: tuple[Mapping[str, Any] | None, ...]
    outcome: str
    factors: Mapping[str, str]

    def lines(self) -> Iterator[bytes]:
        """The lifecycle events, in the order of their occurrence."""
        for number, factors in enumerate(self.executions, 1):
            begin = _FIRST + number * _BETWEEN_EXECUTIONS
            ended: dict[str, Any] = {"output": {"factors": factors}}
            if factors is None:
                ended = {"error": {"code": "PROVIDER_TIMEOUT", "message": "no answer from the provider"}}
            for status, at, more in (
                ("started", begin, {}),
                ("failed" if factors is None else "completed", begin + _A_RUN, ended),
            ):
                yield event_line(
                    event_id=f"{self.application_id}-{number}-{status}",
                    application_id=self.application_id,
                    execution_id=f"execution-{number}",
                    processor=self.processor,
                    status=status,
                    occurred_at=at,
                    **more,
                )


SCENARIOS: Final = (
    Scenario(
        title="Mixed success and failure",
        application_id="scenario-1",
        processor="bank_statement",
        executions=({"f_revenue_monthly": 10_000}, None, {"f_revenue_monthly": 12_000}),
        outcome="partial",
        factors={"f_months_analyzed": "2", "f_revenue_monthly_avg": "11000"},
    ),
    Scenario(
        title="All executions failed",
        application_id="scenario-2",
        processor="credit_check",
        executions=(None, None),
        outcome="cleared",
        factors={},
    ),
    Scenario(
        title="Document processor with mixed results",
        application_id="scenario-3",
        processor="drivers_license",
        executions=({"f_license_verified": True}, None, {"f_license_verified": True}),
        outcome="partial",
        factors={"f_total_licenses_processed": "2", "f_verified_licenses_count": "2"},
    ),
)
