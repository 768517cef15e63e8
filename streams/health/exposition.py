"""``/metrics``: a snapshot in Prometheus' text format, written by Prometheus' own client."""

from collections.abc import Iterator
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from streams.health.names import Kind, Metric, metrics_of
from streams.health.probes import Answer
from streams.health.report import Snapshot

__all__ = ["metrics"]

_OK: Final = 200


def metrics(snapshot: Snapshot) -> Answer:
    """The answer to ``/metrics``; a metric of which nothing is known yet has its description only."""
    return Answer(_OK, CONTENT_TYPE_LATEST, generate_latest(_Snapshot(snapshot)))


class _Snapshot(Collector):
    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterator[Family]:
        for metric in metrics_of(self._snapshot.role):
            yield self._histogram(metric) if metric.kind is Kind.HISTOGRAM else self._simple(metric)

    def _simple(self, metric: Metric) -> Family:
        kind = CounterMetricFamily if metric.kind is Kind.COUNTER else GaugeMetricFamily
        family = kind(metric.name, f"{metric.says}.", labels=metric.labels)
        for labels, value in self._snapshot.values.get(metric.name, ()):
            family.add_metric(labels, value)
        return family

    def _histogram(self, metric: Metric) -> Family:
        family = HistogramMetricFamily(metric.name, f"{metric.says}.", labels=metric.labels)
        counts, total = self._snapshot.histograms.get(metric.name, ([0] * (len(metric.bounds) + 1), 0.0))
        buckets, seen = [], 0
        for bound, count in zip((*map(_text, metric.bounds), "+Inf"), counts, strict=True):
            seen += count
            buckets.append((bound, seen))
        family.add_metric((), buckets, total)
        return family


def _text(bound: float) -> str:
    return repr(float(bound))
