"""The rules of ``deploy/prometheus/`` as values."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from tests.inputs.repository import ROOT

__all__ = ["PROMETHEUS", "RULE_FILES", "TEST_FILES", "Alert", "alerts", "recorded"]

PROMETHEUS: Final = ROOT / "deploy" / "prometheus"
RULE_FILES: Final = sorted((PROMETHEUS / "rules").glob("*.yml"))
TEST_FILES: Final = sorted((PROMETHEUS / "tests").glob("*.yml"))


class Alert(NamedTuple):
    """One rule that alerts; several may have the same name.

    Attributes:
        file: where it stands.
        name: the alert's name.
        number: which one of those with the name, from 0, in the file's order.
        expression: in PromQL.
        labels: what the rule adds.
        annotations: texts for people, templates.
    """

    file: Path
    name: str
    number: int
    expression: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]

    def __str__(self) -> str:
        """Its name, with the number of a further one."""
        return f"{self.name}-{self.number}" if self.number else self.name


def alerts() -> list[Alert]:
    """Every rule that alerts."""
    found: list[Alert] = []
    for file, rule in _rules():
        if "alert" in rule:
            number = sum(alert.name == rule["alert"] for alert in found)
            found.append(
                Alert(
                    file,
                    rule["alert"],
                    number,
                    rule["expr"],
                    rule.get("labels") or {},
                    rule.get("annotations") or {},
                )
            )
    return found


def recorded() -> Mapping[str, str]:
    """Every recorded series, with its expression."""
    return {rule["record"]: rule["expr"] for _, rule in _rules() if "record" in rule}


def _rules() -> list[tuple[Path, dict[str, Any]]]:
    return [
        (file, rule)
        for file in RULE_FILES
        for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
    ]
