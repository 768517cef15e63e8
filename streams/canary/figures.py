"""The canary's metrics."""

import platform
from collections.abc import Iterator
from importlib.metadata import version
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from streams.canary.rounds import Round
from streams.core.compiled import is_compiled

__all__ = ["BOUNDS_S", "CanaryFigures"]

BOUNDS_S: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of the histogram's buckets: a round usually takes some 40 ms, and is lost after 30 s by default."""

_LABELS: Final = ("app_id",)


class CanaryFigures(Collector):
    """Counts rounds. A library's Histogram and Counter would export the times of their creation as well.

    Every metric has the label ``app_id``: from a text file, ``job`` is the collector's, and says nothing of the
    installation.

    Args:
        app_id: the workers' application id.
        interval_s: for how long a round and the pause after it take at most, in order, in seconds.
        began: when the canary began, in seconds since the epoch. Its last success counts from there.
    """

    def __init__(self, app_id: str, interval_s: float, began: float) -> None:
        self._app_id = app_id
        self._interval_s = interval_s
        self._buckets = [0] * (len(BOUNDS_S) + 1)
        self._sum_s = 0.0
        self._lost = 0
        self._lost_partitions: set[int] = set()
        self._last_round = self._last_success = began

    def count(self, one: Round, at: float) -> None:
        """Count a round.

        Args:
            one: what came of it.
            at: when it ended, in seconds since the epoch.
        """
        self._last_round = at
        if one.seconds is None:
            self._lost += 1
            self._lost_partitions.add(one.partition)
            return
        seconds = one.seconds
        index = next((index for index, bound in enumerate(BOUNDS_S) if seconds <= bound), len(BOUNDS_S))
        self._buckets[index] += 1
        self._sum_s += seconds
        self._last_success = at
        self._lost_partitions.discard(one.partition)

    def collect(self) -> Iterator[Metric]:
        """The metrics, as they are exported."""
        info = GaugeMetricFamily(
            "consolidator_build_info",
            "Always 1; the labels say what runs",
            labels=("version", "python", "compiled", "role", *_LABELS),
        )
        compiled = "yes" if is_compiled() else "no"
        what = (version("factor-consolidator"), platform.python_version(), compiled, "canary", self._app_id)
        info.add_metric(what, 1)
        yield info
        yield self._histogram()
        lost = CounterMetricFamily(
            "consolidator_canary_lost", "Rounds whose change could not be read in time", labels=_LABELS
        )
        lost.add_metric((self._app_id,), self._lost)
        yield lost
        for name, words, value in (
            ("lost_partitions", "Partitions whose last round was lost", len(self._lost_partitions)),
            (
                "last_success_timestamp_seconds",
                "When the last round succeeded, in seconds since the epoch; before the first: when the canary began",
                self._last_success,
            ),
            (
                "last_round_timestamp_seconds",
                "When the last round ended, in seconds since the epoch; before the first: when the canary began",
                self._last_round,
            ),
            (
                "interval_seconds",
                "For how long a round and the pause after it take at most, if the event is not lost",
                self._interval_s,
            ),
        ):
            gauge = GaugeMetricFamily(f"consolidator_canary_{name}", words, labels=_LABELS)
            gauge.add_metric((self._app_id,), value)
            yield gauge

    def _histogram(self) -> Metric:
        count, buckets = 0, []
        for bound, number in zip((*map(str, BOUNDS_S), "+Inf"), self._buckets, strict=True):
            count += number
            buckets.append((bound, count))
        seconds = HistogramMetricFamily(
            "consolidator_canary_seconds",
            "From the publication of an event until its change could be read",
            labels=_LABELS,
        )
        seconds.add_metric((self._app_id,), buckets, self._sum_s)
        return seconds
