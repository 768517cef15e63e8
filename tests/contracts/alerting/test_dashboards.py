"""The dashboards of Grafana: they show what is exported, in the right units, from whatever data source is chosen."""

import json
import runpy

import pytest

from tests.alerting.dashboards import DASHBOARDS, GRAFANA, panels
from tests.alerting.expressions import selectors
from tests.contracts.alerting.test_rules import problems

PANELS = [pytest.param(panel, id=f"{file.stem} {panel['title']}") for file in DASHBOARDS for panel in panels(file)]

IN_TEXT_FILES = ("consolidator_verification_", "consolidator_canary_")
"""Their job is that of the files' collector."""

UNITS = {"bytes", "ops", "percentunit", "s", "short"}

ENDINGS = {"_seconds": "s", "_bytes": "bytes"}
"""The unit of a gauge, by the ending of its name."""


def test_the_files_are_what_the_generator_makes() -> None:
    """Else: ``python deploy/grafana/generate.py``."""
    made = runpy.run_path(str(GRAFANA / "generate.py"))["files"]()
    assert {file.name: file.read_text(encoding="utf-8") for file in DASHBOARDS} == made


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_a_dashboard_can_be_imported_anywhere(file) -> None:
    """A fixed address, no data source of one installation, no id that a database gave, no panel upon another."""
    dashboard = json.loads(file.read_text(encoding="utf-8"))
    assert dashboard["uid"] == file.stem
    assert "id" not in dashboard
    assert [one["name"] for one in dashboard["templating"]["list"]] == ["datasource", "job"]
    # The job of a canary is no installation.
    assert dashboard["templating"]["list"][1]["query"]["query"].startswith(
        'label_values(consolidator_build_info{role!="canary"}'
    )
    sources = [one["datasource"] for panel in dashboard["panels"] for one in (panel, *panel["targets"])]
    assert {source["uid"] for source in sources} == {"${datasource}"}
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in dashboard["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_shows_what_is_exported(panel) -> None:
    """Every metric, label and value; only of the chosen installation, but for what comes from text files."""
    assert panel["title"]
    assert panel["description"].endswith(".")
    for target in panel["targets"]:
        found = selectors(target["expr"])
        assert [problem for selector in found for problem in problems_but_job(selector)] == []
        chosen = [selector.name for selector in found if ("job", "=~", "$job") not in selector.matchers]
        assert [name for name in chosen if not name.startswith(IN_TEXT_FILES)] == []


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_has_the_unit_of_its_metrics(panel) -> None:
    """Seconds as seconds, bytes as bytes, a ratio as a share, a rate of a counter for each second."""
    unit = panel["fieldConfig"]["defaults"]["unit"]
    assert unit in UNITS
    for target in panel["targets"]:
        assert unit == unit_of(target["expr"]), target["expr"]


def unit_of(expression: str) -> str:
    """The unit of what a query comes to, by the conventions for names."""
    [name, *others] = [selector.name for selector in selectors(expression)]
    metric = name.removesuffix("_bucket").split(":")[1] if ":" in name else name.removesuffix("_bucket")
    if others or ":ratio_" in name or name == "process_cpu_seconds_total":
        return "percentunit"
    if ":rate" in name or (name.endswith("_total") and "rate(" in expression):
        return "ops"
    return next((unit for ending, unit in ENDINGS.items() if metric.endswith(ending)), "short")


def problems_but_job(selector) -> list[str]:
    """What a selector names that is not exported."""
    return problems(selector._replace(matchers=tuple(one for one in selector.matchers if one[0] != "job")))
