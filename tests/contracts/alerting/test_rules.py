"""The rules of ``deploy/prometheus/``: what they name is there, and people are told what to do."""

import re
from collections import Counter

import pytest

from tests.alerting.exposed_metrics import SCRAPED_LABELS, exposed_metrics, series_names
from tests.alerting.expressions import Selector, grouping_labels, selectors
from tests.alerting.promtool import run
from tests.alerting.rules import RULE_FILES, TEST_FILES, alerts, recorded
from tests.alerting.runbooks import RUNBOOKS

ALERTS = alerts()
RECORDED = recorded()
EXPRESSIONS = {str(alert): alert.expression for alert in ALERTS} | dict(RECORDED)

_WORDS = {"critical", "warning"}


@pytest.mark.promtool
def test_promtool_accepts_the_rules() -> None:
    """Syntax, templates, and no two rules that are the same."""
    ended = run("check", "rules", *RULE_FILES)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.promtool
@pytest.mark.parametrize("file", TEST_FILES, ids=lambda file: file.stem)
def test_each_alert_fires_and_resolves(file) -> None:
    """The alert's own test in ``deploy/prometheus/tests/``, with its texts as people read them."""
    ended = run("test", "rules", file)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_each_alert_has_a_test_a_runbook_and_a_line_in_the_index() -> None:
    """And each test, runbook and line has its alert."""
    names = {alert.name for alert in ALERTS}
    assert {file.stem for file in TEST_FILES} == names
    assert {page.stem for page in RUNBOOKS} == names
    index = (RUNBOOKS[0].parents[1] / "alerts.md").read_text(encoding="utf-8")
    assert Counter(re.findall(r"\(runbooks/(\w+)\.md\)", index)) == Counter(names)


@pytest.mark.parametrize("alert", ALERTS, ids=str)
def test_an_alert_says_what_where_and_what_first(alert) -> None:
    """A summary of a line, a description with the first command, the runbook, and who is woken."""
    assert alert.labels["severity"] in _WORDS
    assert set(alert.annotations) == {"summary", "description", "runbook_url"}
    assert alert.annotations["runbook_url"] == f"docs/runbooks/{alert.name}.md"
    assert "\n" not in alert.annotations["summary"].strip()
    assert re.search(r"First: consolidator [a-z]+", alert.annotations["description"])
    assert "$labels" in alert.annotations["description"] or alert.expression.startswith("absent_over_time(")


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_what_an_expression_names_is_exported(name) -> None:
    """Every metric, every label, and the value of every label whose values are known."""
    found = selectors(EXPRESSIONS[name])
    assert found
    assert [problem for selector in found for problem in problems(selector)] == []
    known = {label for selector in found for label in labels_of(selector.name)}
    assert grouping_labels(EXPRESSIONS[name]) <= known


def test_recorded_series_are_used() -> None:
    """What is recorded is read by an alert, another recorded series, or a dashboard."""
    from tests.alerting.dashboards import expressions  # noqa: PLC0415 - only here

    used = {one.name for text in [*EXPRESSIONS.values(), *expressions()] for one in selectors(text)}
    assert set(RECORDED) - used == set()


def test_names_are_found_in_an_expression() -> None:
    """Selectors with their matchers; no function, keyword, duration, label or number."""
    text = """
      sum by (job, le) (rate(consolidator_a_bucket{le=~"5|5[.]0", x!="}"}[5m] offset 15m)) > 14.4 * 0.01
      and on (job, instance) (level:b:max unless ignoring (partition) c_total{} == bool 1e3)
    """
    assert selectors(text) == [
        Selector("consolidator_a_bucket", (("le", "=~", "5|5[.]0"), ("x", "!=", "}"))),
        Selector("level:b:max", ()),
        Selector("c_total", ()),
    ]
    assert grouping_labels(text) == {"job", "le", "instance", "partition"}


def test_a_wrong_name_is_a_problem() -> None:
    """The check can fail: for a metric, a label, and a value."""
    assert problems(Selector("consolidator_no_such_total", ()))
    assert problems(Selector("consolidator_event_age_seconds", ()))
    assert problems(Selector("consolidator_partition_state", (("topic", "=", "x"),)))
    assert problems(Selector("consolidator_partition_state", (("state", "=~", "stuck|gone"),)))
    assert not problems(Selector("consolidator_partition_state", (("state", "=~", "stuck|stalled"),)))


def problems(selector: Selector) -> list[str]:
    """What a selector names that is not exported."""
    labels = labels_of(selector.name)
    if not labels:
        return [f"no metric {selector.name}"]
    found = []
    for label, how, text in selector.matchers:
        values = labels.get(label, frozenset())
        if label not in labels:
            found.append(f"{selector.name} has no label {label}")
        elif values is not None:
            named = text.split("|") if how in {"=~", "!~"} else [text]
            found += [f"{label} of {selector.name} is never {value}" for value in named if value not in values]
    return found


def labels_of(name: str) -> dict[str, frozenset[str] | None]:
    """The labels of a series, with their known values; empty: there is no such series."""
    scraped: dict[str, frozenset[str] | None] = dict.fromkeys(SCRAPED_LABELS)
    if name == "up":
        return scraped
    if name in RECORDED:
        known = {label for one in selectors(RECORDED[name]) for label in labels_of(one.name)}
        values = {
            label: labels_of(one.name).get(label) for one in selectors(RECORDED[name]) for label in labels_of(one.name)
        }
        return {label: values[label] for label in known & grouping_labels(RECORDED[name]) or known}
    metric = series_names().get(name)
    return {} if metric is None else scraped | dict(metric.labels)


def test_every_metric_has_a_kind() -> None:
    """Counters end with ``_total``, as Prometheus wants it, and nothing else does."""
    for name, metric in exposed_metrics().items():
        assert name.endswith("_total") == (metric.kind == "counter"), name
