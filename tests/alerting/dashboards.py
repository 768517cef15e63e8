"""The dashboards of ``deploy/grafana/`` as values."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tests.inputs.repository import ROOT

__all__ = ["DASHBOARDS", "GRAFANA", "expressions", "panels"]

GRAFANA: Final = ROOT / "deploy" / "grafana"
DASHBOARDS: Final = sorted((GRAFANA / "dashboards").glob("*.json"))


def panels(file: Path) -> list[dict[str, Any]]:
    """The panels of a dashboard."""
    found: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))["panels"]
    return found


def expressions() -> Iterator[str]:
    """Every query of every panel."""
    for file in DASHBOARDS:
        for panel in panels(file):
            yield from (target["expr"] for target in panel["targets"])
