"""A finding of the doctor: what is wrong, how bad it is, what it means, and what to do."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from streams.runtime.exit_codes import DONE, FAILED, FOUND

__all__ = ["Check", "Finding", "Severity", "exit_code"]


class Severity(StrEnum):
    """How bad a finding is."""

    CRITICAL = "critical"
    """Results are wrong or missing, or nothing is consolidated."""

    WARNING = "warning"
    """It will come to that, or part of the protection is gone."""

    NOTE = "note"
    """Worth knowing; nothing is ill."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding.

    Attributes:
        severity: how bad it is.
        what: what is wrong, in a line.
        means: what follows from it.
        to_do: what to do, as a command where there is one.
    """

    severity: Severity
    what: str
    means: str
    to_do: str

    @property
    def is_ill(self) -> bool:
        """Whether something is wrong."""
        return self.severity is not Severity.NOTE

    def members(self) -> dict[str, str]:
        """As a JSON object."""
        return {"severity": self.severity, "what": self.what, "means": self.means, "to_do": self.to_do}


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at, and what came of it.

    Attributes:
        name: of the check, a word.
        says: what is in order, in a line; "" where there is nothing to say.
        findings: what was found, in the order in which it is to be read.
        not_asked: the reasons why a part of it could not be looked at; empty: all of it was.
    """

    name: str
    says: str = ""
    findings: tuple[Finding, ...] = ()
    not_asked: tuple[str, ...] = ()

    @property
    def is_ill(self) -> bool:
        """Whether something is wrong."""
        return any(finding.is_ill for finding in self.findings)

    def members(self) -> dict[str, object]:
        """As a JSON object."""
        return {
            "kind": "check",
            "check": self.name,
            "result": "not_asked" if self.not_asked else "found" if self.is_ill else "well",
            "says": self.says or None,
            "findings": [finding.members() for finding in self.findings],
            "not_asked": list(self.not_asked),
        }


def exit_code(checks: Iterable[Check]) -> int:
    """0: all is well; 1: something is wrong; 3: something could not be asked, so that the answer is incomplete."""
    everything = list(checks)
    if any(check.not_asked for check in everything):
        return FAILED
    return FOUND if any(check.is_ill for check in everything) else DONE
