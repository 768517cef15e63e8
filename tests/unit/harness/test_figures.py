"""Figures of fault runs: saved, read again, added up, and shown on the page."""

from dataclasses import replace

import pytest

from tests.fault_runs.figures import REPORT_VARIABLE, Figures, commit_of_this_tree, recorded, save, summed
from tests.fault_runs.reliability_page import reliability_page
from tests.oracle.checker import Report

REPORT = Report(events=10, lost=["a"], duplicated=["b", "c"], altered=["d"], disordered=["e"], state=["f"])


@pytest.fixture
def runs():
    return [
        Figures.of(REPORT, "kill", fault="killed", recovery_s=(3.0,), seeds=(1,), transactions={"small rounds": 7}),
        Figures.of(
            Report(events=1_000),
            "kill",
            fault="killed",
            faults=4,
            recovery_s=(1.0, 2.0),
            seeds=(2,),
            transactions={"small rounds": 1_000, "large batches": 3},
        ),
        Figures("disk | full", "filled", "exit code 3", 7, more={"rows/s": 120_000}),
    ]


def test_a_report_is_counted_by_law(runs):
    first = runs[0]
    assert (first.events, first.lost, first.duplicated, first.wrong, first.state_mismatches) == (10, 1, 2, 2, 1)


def test_what_is_saved_is_read_again_with_the_commit(runs, monkeypatch, tmp_path):
    file = tmp_path / "figures.jsonl"
    monkeypatch.setenv(REPORT_VARIABLE, str(file))
    for figures in runs:
        save(figures)
    assert commit_of_this_tree()
    assert recorded(file) == [replace(run, commits=(commit_of_this_tree(),)) for run in runs]


def test_nothing_is_saved_where_no_file_is_named(runs, monkeypatch, tmp_path):
    monkeypatch.delenv(REPORT_VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    save(runs[0])
    assert list(tmp_path.iterdir()) == []


def test_runs_of_a_scenario_are_added_up(runs):
    kill = summed(runs)["kill"]
    assert (kill.events, kill.faults, kill.lost, kill.recovery_s, kill.seeds) == (1_010, 5, 1, (3.0, 1.0, 2.0), (1, 2))
    assert kill.recovery() == "2.0 / 3.0 s"
    assert kill.transactions == {"small rounds": 1_007, "large batches": 3}


def test_the_page_shows_every_problem_and_adds_them_up(runs):
    page = reliability_page(runs)
    assert "| kill | killed | the laws | 5 | 1,010 | 1 | 2 | 2 | 1 | 1,007 | 3 | 2.0 / 3.0 s |" in page
    assert "| disk \\| full | filled | exit code 3 | 1 | 7 | 0 | 0 | 0 | 0 | - | - | - |" in page
    assert "In all: 6 faults, 1,017 events, 6 lost, duplicated, wrong or mismatched." in page
    assert "| disk \\| full | rows/s | 120,000 |" in page
    assert "- kill: 1, 2" in page
    assert "## Seen on a commit that was not recorded" in page


def test_each_commit_has_tables_of_its_own(runs):
    """The last one first; what was seen on different commits is not added up."""
    earlier, later = replace(runs[0], commits=("abc1234",)), replace(runs[1], commits=("def5678",))
    page = reliability_page([earlier, later])
    before, after = page.index("## Seen on commit abc1234"), page.index("## Seen on commit def5678")
    assert after < before
    assert page.count(f"| {earlier.scenario} | {earlier.fault} |") == 2
