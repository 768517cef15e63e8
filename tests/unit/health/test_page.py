"""``docs/health.md`` lists every metric, state and check as the code has them."""

import re
from pathlib import Path

import pytest

from streams.health.names import METRICS, PROCESS_METRICS
from streams.health.report import State

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "health.md").read_text(encoding="utf-8")


def test_the_page_lists_every_metric_as_it_is():
    """Name, kind, labels and meaning, each in a row of its own; and no metric that is not there."""
    rows = dict(re.findall(r"^\| `((?:consolidator|process)_\w+)` \| (.+) \|$", PAGE, re.MULTILINE))
    expected = {
        metric.name: " | ".join(
            (metric.kind.value, ", ".join(f"`{label}`" for label in metric.labels) or "none", metric.says)
        )
        for metric in (*METRICS.values(), *PROCESS_METRICS.values())
    }
    assert rows == expected


@pytest.mark.parametrize("state", State)
def test_the_page_says_what_each_state_means(state):
    """In a row of the table of states."""
    assert re.search(rf"^\| `{state.value}` \|", PAGE, re.MULTILINE)


@pytest.mark.parametrize("check", ["event_loop", "processes", "looking", "kafka", "group", "database", "disk", "log"])
def test_the_page_says_when_each_check_fails(check):
    """In a row of the table of checks; what the checks are called is tested where they are made."""
    assert re.search(rf"^\| `{check}` \|", PAGE, re.MULTILINE)
