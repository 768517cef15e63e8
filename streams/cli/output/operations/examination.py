"""The lines of ``consolidator doctor``."""

from collections import Counter
from collections.abc import Iterable, Iterator

from streams.diagnosis.finding import Check, Finding, Severity

__all__ = ["lines_of", "summary_of"]

_WORD = 10
_NAME = 19


def lines_of(checks: Iterable[Check]) -> Iterator[str]:
    """What is wrong with what to do, then what is well.

    Args:
        checks: in the order in which they are to be read.
    """
    for check in checks:
        if check.says or not (check.findings or check.not_asked):
            yield _line("well" if not check.is_ill else "", check.name, check.says or "nothing found")
        for finding in check.findings:
            yield from _finding(check.name, finding)
        for reason in check.not_asked:
            yield _line("not asked", check.name, reason)


def _finding(name: str, finding: Finding) -> Iterator[str]:
    yield _line(finding.severity.upper() if finding.is_ill else str(finding.severity), name, finding.what)
    yield f"{'':{_WORD}}means  {finding.means}"
    yield f"{'':{_WORD}}to do  {finding.to_do}"


def _line(word: str, name: str, text: str) -> str:
    return f"{word:<{_WORD}}{name:<{_NAME}}{text}"


def summary_of(checks: Iterable[Check]) -> dict[str, object]:
    """How many findings there are of each kind, and what that comes to in words.

    Args:
        checks: all of them.
    """
    everything = list(checks)
    found = Counter(finding.severity for check in everything for finding in check.findings)
    not_asked = sum(len(check.not_asked) for check in everything)
    ill = [f"{found[severity]} {severity}" for severity in (Severity.CRITICAL, Severity.WARNING) if found[severity]]
    says = f"found: {', '.join(ill)}" if ill else "nothing is wrong"
    if not_asked:
        says += f"; {not_asked} could not be asked"
    return {"kind": "summary", "says": says, "not_asked": not_asked} | {str(one): found[one] for one in Severity}
