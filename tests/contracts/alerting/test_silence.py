"""No alert fires in a healthy installation, busy or idle; and every alert's tests notice a rule that is wrong."""

import re
import shutil

import pytest
import yaml

from tests.alerting.expressions import selectors
from tests.alerting.installations import MINUTES, busy, idle
from tests.alerting.promtool import run
from tests.alerting.rules import PROMETHEUS, RULE_FILES, alerts, recorded

pytestmark = [pytest.mark.promtool, pytest.mark.thorough]

_FIRED = f'count by (alertname) (count_over_time(ALERTS{{alertstate="firing"}}[{MINUTES}m]))'

RULES = alerts()


def promtool_on(directory, series, checks):
    """The end of promtool's test of all rules on some series."""
    test = {
        "rule_files": [str(file) for file in RULE_FILES],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in series],
                "promql_expr_test": [
                    {"expr": expression, "eval_time": f"{MINUTES}m", "exp_samples": samples}
                    for expression, samples in checks
                ],
            }
        ],
    }
    path = directory / "silence.yml"
    path.write_text(yaml.safe_dump(test, width=10**9), encoding="utf-8")
    return run("test", "rules", path)


@pytest.mark.slow
@pytest.mark.parametrize("installation", [busy, idle])
def test_no_alert_fires_where_nothing_is_wrong(installation, tmp_path) -> None:
    """Not for a minute of eight hours: busy with a restart in between, and without any event."""
    ended = promtool_on(tmp_path, installation(), [(_FIRED, [])])
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.slow
def test_an_alert_that_fires_in_between_would_be_seen(tmp_path) -> None:
    """The check of silence can fail: five minutes of a stuck partition are in its answer."""
    stuck = 'consolidator_partition_state{job="consolidator", partition="9", state="stuck"}'
    ended = promtool_on(tmp_path, [*idle(), (stuck, "0x300 1x5 0x174")], [(_FIRED, [])])
    assert ended.returncode != 0
    assert 'alertname="ConsolidatorPartitionStuck"' in ended.stdout + ended.stderr


def test_no_rule_is_silent_because_a_series_is_missing() -> None:
    """The busy installation has every series that a rule reads."""
    there = {re.split("[{]", name)[0] for name, _ in busy()} | set(recorded())
    expressions = [rule.expression for rule in RULES] + [*recorded().values()]
    assert {one.name for expression in expressions for one in selectors(expression)} - there == set()


@pytest.mark.slow
@pytest.mark.parametrize("expression", ["vector(1) < 0", 'label_replace(vector(1), "job", "consolidator", "", "")'])
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_a_rule_that_never_or_always_fires_fails_its_test(rule, expression, tmp_path) -> None:
    """Each rule is needed by the tests of its alert, those with several rules as well."""
    for folder in ("rules", "tests"):
        shutil.copytree(PROMETHEUS / folder, tmp_path / folder)
    wrong = tmp_path / "rules" / rule.file.name
    content = yaml.safe_load(wrong.read_text(encoding="utf-8"))
    same = [one for group in content["groups"] for one in group["rules"] if one.get("alert") == rule.name]
    same[rule.number]["expr"] = expression
    wrong.write_text(yaml.safe_dump(content), encoding="utf-8")
    ended = run("test", "rules", tmp_path / "tests" / f"{rule.name}.yml")
    assert ended.returncode != 0, f"{rule} is {expression}, and its tests do not notice"
