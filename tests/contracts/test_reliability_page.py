"""``docs/reliability.md`` is what the harness made of its figures, and they show no broken law."""

from pathlib import Path

from tests.fault_runs.figures import recorded
from tests.fault_runs.reliability_page import reliability_page

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_is_generated_from_the_figures():
    figures = recorded(DOCS / "reliability.jsonl")
    assert (DOCS / "reliability.md").read_text(encoding="utf-8") == reliability_page(figures)


def test_no_figure_shows_a_broken_law():
    for run in recorded(DOCS / "reliability.jsonl"):
        assert (run.lost, run.duplicated, run.wrong, run.state_mismatches) == (0, 0, 0, 0), run.scenario
