"""The canary's metrics."""

import platform
from collections.abc import Iterator
from importlib.metadata import version
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from streams.core.compiled import is_compiled

__all__ = ["BOUNDS_S", "CanaryFigures"]

BOUNDS_S: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of the histogram's buckets: a round usually takes some 40 ms, and is lost after 30 s by default."""


class CanaryFigures(Collector):
    """Counts rounds. A library's Histogram and Counter would export the times of their creation as well."""

    def __init__(self) -> None:
        self._buckets = [0] * (len(BOUNDS_S) + 1)
        self._sum_s = 0.0
        self._lost = 0
        self._last_success = 0.0

    def succeeded(self, seconds: float, at: float) -> None:
        """Count a round.

        Args:
            seconds: how long it took.
            at: when, in seconds since the epoch.
        """
        index = next((index for index, bound in enumerate(BOUNDS_S) if seconds <= bound), len(BOUNDS_S))
        self._buckets[index] += 1
        self._sum_s += seconds
        self._last_success = at

    def lost(self) -> None:
        """Count a round that is lost."""
        self._lost += 1

    def collect(self) -> Iterator[Metric]:
        """The metrics, as they are exported."""
        info = GaugeMetricFamily(
            "consolidator_build_info",
            "Always 1; the labels say what runs",
            labels=("version", "python", "compiled", "role"),
        )
        compiled = "yes" if is_compiled() else "no"
        info.add_metric((version("factor-consolidator"), platform.python_version(), compiled, "canary"), 1)
        yield info
        count, buckets = 0, []
        for bound, number in zip((*map(str, BOUNDS_S), "+Inf"), self._buckets, strict=True):
            count += number
            buckets.append((bound, count))
        yield HistogramMetricFamily(
            "consolidator_canary_seconds",
            "From the publication of an event until its change could be read",
            buckets=buckets,
            sum_value=self._sum_s,
        )
        yield CounterMetricFamily(
            "consolidator_canary_lost", "Rounds whose change could not be read in time", value=self._lost
        )
        yield GaugeMetricFamily(
            "consolidator_canary_last_success_timestamp_seconds",
            "When the last round succeeded, in seconds since the epoch; 0: none yet",
            value=self._last_success,
        )
