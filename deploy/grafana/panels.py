"""Panels of Grafana's dashboards, as small as they can be said: a title, queries and a unit. See ``generate.py``."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

__all__ = ["Dashboard", "Panel", "Query", "made"]

_SCHEMA_VERSION: Final = 39
"""Of Grafana 10 and 11; later ones read it."""

_WIDTH: Final = 24
_HEIGHT: Final = 8

_SOURCE: Final[Mapping[str, str]] = {"type": "prometheus", "uid": "${datasource}"}
"""The data source that is chosen at the top of the dashboard."""


class Query(NamedTuple):
    """One query of a panel.

    Attributes:
        expression: in PromQL.
        legend: of each series, a template.
    """

    expression: str
    legend: str


class Panel(NamedTuple):
    """One panel.

    Attributes:
        title: what it shows.
        unit: as Grafana names units: ``s``, ``short``, ``percentunit``, ``bytes``, ``ops``.
        queries: what is drawn.
        says: what to look for, for people who see it the first time.
        kind: ``timeseries``, ``stat`` or ``state-timeline``.
        width: in 24ths of the row.
    """

    title: str
    unit: str
    queries: Sequence[Query]
    says: str
    kind: str = "timeseries"
    width: int = 8


class Dashboard(NamedTuple):
    """One dashboard.

    Attributes:
        uid: its address, fixed: links lead to it.
        title: its name.
        panels: from the left to the right, then further down.
    """

    uid: str
    title: str
    panels: Sequence[Panel]


def made(dashboard: Dashboard) -> dict[str, Any]:
    """The dashboard in the form that Grafana imports."""
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "tags": ["consolidator"],
        "schemaVersion": _SCHEMA_VERSION,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": [_data_source(), _installation()]},
        "links": [{"type": "dashboards", "tags": ["consolidator"], "title": "Consolidator", "asDropdown": True}],
        "panels": _placed(dashboard.panels),
    }


def _data_source() -> dict[str, Any]:
    return {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}


def _installation() -> dict[str, Any]:
    return {
        "name": "job",
        "label": "Installation",
        "type": "query",
        "datasource": _SOURCE,
        "query": {"query": 'label_values(consolidator_build_info{role!="canary"}, job)', "refId": "job"},
        "refresh": 2,
        "sort": 1,
    }


def _placed(panels: Sequence[Panel]) -> list[dict[str, Any]]:
    placed: list[dict[str, Any]] = []
    x = y = 0
    for number, panel in enumerate(panels, 1):
        if x + panel.width > _WIDTH:
            x, y = 0, y + _HEIGHT
        placed.append(_panel(panel, number, {"x": x, "y": y, "w": panel.width, "h": _HEIGHT}))
        x += panel.width
    return placed


def _panel(panel: Panel, number: int, position: Mapping[str, int]) -> dict[str, Any]:
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.says,
        "datasource": _SOURCE,
        "gridPos": position,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}} if panel.kind == "timeseries" else {},
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": _SOURCE,
                "expr": query.expression,
                "legendFormat": query.legend,
            }
            for index, query in enumerate(panel.queries)
        ],
    }
