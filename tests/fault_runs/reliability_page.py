"""The page of the fault runs.

    python -m tests.fault_runs.reliability_page docs/reliability.jsonl > docs/reliability.md

The figures are those that the scenarios saved with CONSOLIDATOR_FAULT_REPORT; runs of the same scenario on the same
commit are added up, and each commit has tables of its own. A contract test compares the committed page with the
committed figures, so none can be written by hand.
"""

import sys
from collections.abc import Iterable
from pathlib import Path

from tests.fault_runs.figures import Figures, recorded, summed

__all__ = ["reliability_page"]

_INTRODUCTION = """\
# Reliability: what was done to it, and what held

Real workers on real Kafka, a seeded load with strangers' and bad records in it, and an oracle that was written apart
from the worker. After each scenario everything is read and compared: source, changes, factors, dead letters, changelog,
RocksDB. *The laws*: no change is lost; none is there twice for a `read_committed` reader; none is wrong or out of
order; every row equals the oracle's. [How it is done](decisions/0006-fault-harness.md).

Where a scenario names a sink, SQLite or PostgreSQL, the database of `consolidator sink run` is compared too: every
table of [SQL](sql.md) with the oracle's rows at the very offsets of `sink_position`, at its end and in snapshots at
random moments of the run, and each change's document with the topic's bytes. A *glance* asks less, more often: whether
any row is behind its cut, and whether the events and the results of an application agree.

This page is generated from the figures of runs (`reliability.jsonl`), on 2 busy cores for everything:

    CONSOLIDATOR_FAULTS=long CONSOLIDATOR_FAULT_REPORT=docs/reliability.jsonl pytest tests/faults
    python -m tests.fault_runs.reliability_page docs/reliability.jsonl > docs/reliability.md

Without `CONSOLIDATOR_FAULTS=long` the scenarios take their short form: fewer faults and fewer events. *Small rounds*
and *large batches* are the two kinds of transactions with which a worker commits ([decision
0017](decisions/0017-small-rounds.md)): how many of each were committed.

"Wrong" counts what is altered, out of order or not the oracle's. Recovery is from the restart of the worker, or from
the fault, to newly committed work; of a sink, to new rows in every partition.
"""

_HEADINGS = (
    "scenario", "what was done", "what held", "faults", "events", "lost", "duplicated", "wrong", "state mismatches",
    "small rounds", "large batches", "recovery, median / max",
)  # fmt: skip

_KINDS = ("small rounds", "large batches")


def reliability_page(runs: Iterable[Figures]) -> str:
    """Render ``docs/reliability.md``: the figures of each commit, the latest first."""
    by_commit: dict[tuple[str, ...], list[Figures]] = {}
    for run in runs:
        by_commit.setdefault(run.commits, []).append(run)
    sections = [_section(commits, seen) for commits, seen in reversed(by_commit.items())]
    return "\n".join([_INTRODUCTION, *sections])


def _section(commits: tuple[str, ...], runs: Iterable[Figures]) -> str:
    """The figures of one commit: a table of all scenarios, a table of figures that only some have, and the seeds."""
    scenarios = list(summed(runs).values())
    table = [_HEADINGS, ("---",) * 3 + ("---:",) * 9, *(_cells(scenario) for scenario in scenarios)]
    others = [
        (scenario.scenario, name, f"{value:,}" if isinstance(value, int) else str(value))
        for scenario in scenarios
        for name, value in scenario.more.items()
    ]
    title = f"Seen on commit {', '.join(commits)}" if commits else "Seen on a commit that was not recorded"
    parts = [f"## {title}\n", _table(table), "", _total(scenarios), ""]
    if others:
        parts += ["### Other figures\n", _table([("scenario", "figure", "value"), ("---", "---", "---:"), *others]), ""]
    seeds = [f"- {s.scenario}: {', '.join(map(str, dict.fromkeys(s.seeds)))}" for s in scenarios if s.seeds]
    parts += ["### Seeds\n", "CONSOLIDATOR_FAULT_SEED repeats a run.\n", *seeds]
    return "\n".join(parts) + "\n"


def _cells(figures: Figures) -> tuple[str, ...]:
    counts = (figures.lost, figures.duplicated, figures.wrong, figures.state_mismatches)
    return (
        figures.scenario,
        figures.fault,
        figures.held,
        f"{figures.faults:,}",
        f"{figures.events:,}",
        *(f"{count:,}" for count in counts),
        *(f"{figures.transactions[kind]:,}" if kind in figures.transactions else "-" for kind in _KINDS),
        figures.recovery(),
    )


def _table(rows: Iterable[tuple[str, ...]]) -> str:
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)


def _total(scenarios: list[Figures]) -> str:
    faults, events = (sum(getattr(s, name) for s in scenarios) for name in ("faults", "events"))
    problems = sum(s.lost + s.duplicated + s.wrong + s.state_mismatches for s in scenarios)
    return f"In all: {faults:,} faults, {events:,} events, {problems:,} lost, duplicated, wrong or mismatched."


if __name__ == "__main__":
    sys.stdout.write(reliability_page(recorded(Path(sys.argv[1]))))
