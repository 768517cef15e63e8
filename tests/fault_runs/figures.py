"""The figures of a fault run: a line that is printed, and a record for ``docs/reliability.md``.

With CONSOLIDATOR_FAULT_REPORT set to a file, each scenario appends its figures to it as a line of JSON;
``python -m tests.fault_runs.reliability_page FILE`` makes the page of them.
"""

import json
import os
import statistics
import subprocess
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from tests.oracle.checker import Report

__all__ = ["REPORT_VARIABLE", "Figures", "commit_of_this_tree", "recorded", "save", "summed"]

REPORT_VARIABLE = "CONSOLIDATOR_FAULT_REPORT"


@dataclass(frozen=True)
class Figures:
    """The figures of one scenario.

    Attributes:
        scenario: its short name; runs of the same scenario are added up.
        fault: what was done, in words.
        held: what was checked besides the laws, in words.
        events: events in the source.
        faults: how often the fault landed in the middle of work.
        lost: changes, re-publications or dead letters that are missing.
        duplicated: those that are there more than once.
        wrong: those that are altered, out of order or not the oracle's.
        state_mismatches: rows, of any copy of the table, that are not the oracle's.
        recovery_s: seconds from each restart (or the fault's end) to newly committed work.
        seeds: what repeats the runs.
        transactions: how many the workers committed, by their kind.
        commits: of which versions of the code this is.
        more: figures of this scenario only, by their name with the unit: ``{"rebuild, rows/s": 120_000}``.
    """

    scenario: str
    fault: str
    held: str
    events: int
    faults: int = 1
    lost: int = 0
    duplicated: int = 0
    wrong: int = 0
    state_mismatches: int = 0
    recovery_s: tuple[float, ...] = ()
    seeds: tuple[int, ...] = ()
    transactions: Mapping[str, int] = field(default_factory=dict)
    commits: tuple[str, ...] = ()
    more: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, report: Report, scenario: str, *, fault: str, held: str = "the laws", **others: Any) -> Self:
        """The figures of a scenario whose laws were checked; the other arguments are the attributes' names."""
        return cls(
            scenario,
            fault,
            held,
            events=report.events,
            lost=len(report.lost),
            duplicated=len(report.duplicated),
            wrong=len(report.altered) + len(report.unexpected) + len(report.disordered),
            state_mismatches=len(report.state),
            **others,
        )

    def recovery(self) -> str:
        """Median and maximum of the recovery times."""
        if not self.recovery_s:
            return "-"
        return f"{statistics.median(self.recovery_s):.1f} / {max(self.recovery_s):.1f} s"

    def __str__(self) -> str:
        more = "".join(f"; {name}: {value}" for name, value in self.more.items())
        kinds = ", ".join(f"{count:,} of {kind}" for kind, count in self.transactions.items()) or "-"
        return (
            f"{self.scenario}: seeds {', '.join(map(str, self.seeds)) or '-'}; faults landed {self.faults}; "
            f"events {self.events:,}; lost {self.lost}, duplicated {self.duplicated}, wrong {self.wrong}, "
            f"state mismatches {self.state_mismatches}; transactions {kinds}; "
            f"recovery (median / max) {self.recovery()}{more}"
        )


def save(figures: Figures) -> None:
    """Append the figures to the file that the environment names, if it names one."""
    target = os.environ.get(REPORT_VARIABLE)
    if target:
        with Path(target).open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(replace(figures, commits=(commit_of_this_tree(),)))) + "\n")


def commit_of_this_tree() -> str:
    """The commit that is checked out, by its short name; marked where the tree differs from it."""
    command = ["git", "describe", "--always", "--dirty=, changed", "--abbrev=7", "--exclude=*"]
    root = Path(__file__).resolve().parents[2]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout.strip()


def recorded(path: Path) -> list[Figures]:
    """The figures that earlier runs saved."""
    lines = path.read_text(encoding="utf-8").splitlines()
    values = [json.loads(line) for line in lines]
    return [
        Figures(**value | {name: tuple(value.get(name, ())) for name in ("recovery_s", "seeds", "commits")})
        for value in values
    ]


def summed(runs: Iterable[Figures]) -> dict[str, Figures]:
    """Runs of the same scenario, added up; for other figures and for words, the last run counts."""
    found: dict[str, Figures] = {}
    for run in runs:
        before = found.get(run.scenario)
        if before is not None:
            sums = {
                name: getattr(before, name) + getattr(run, name)
                for name in (
                    "events", "faults", "lost", "duplicated", "wrong", "state_mismatches", "recovery_s", "seeds"
                )
            }  # fmt: skip
            transactions = dict(Counter(before.transactions) + Counter(run.transactions))
            commits = tuple(dict.fromkeys((*before.commits, *run.commits)))
            run = replace(run, transactions=transactions, commits=commits, **sums)  # noqa: PLW2901
        found[run.scenario] = run
    return found
