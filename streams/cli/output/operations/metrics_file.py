"""Metrics in a file, for node_exporter's textfile collector."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import click
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import write_to_textfile
from prometheus_client.registry import Collector, CollectorRegistry

__all__ = ["remove_metrics", "verification_metrics", "write_metrics"]


class _Made(Collector):
    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics: Final = [*metrics]

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def write_metrics(path: Path | None, metrics: Iterable[Metric]) -> None:
    """Write metrics into a file, if one is wanted. It is replaced as a whole: a collector never reads a part.

    Raises:
        click.UsageError: the file cannot be written.
    """
    if path is None:
        return
    registry = CollectorRegistry()
    registry.register(_Made(metrics))
    try:
        write_to_textfile(str(path), registry)
    except OSError as error:
        raise click.UsageError(f"cannot write {path}: {error.strerror}") from error


def remove_metrics(path: Path | None) -> None:
    """Take the file away, if there is one: nobody writes it any more.

    Raises:
        click.UsageError: it cannot be removed.
    """
    if path is None:
        return
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise click.UsageError(f"cannot remove {path}: {error.strerror}") from error


def verification_metrics(differences: int, finished_at: float) -> list[Metric]:
    """The metrics of a verification that has come to its end.

    Args:
        differences: how many it found.
        finished_at: when, in seconds since the epoch.
    """
    return [
        GaugeMetricFamily(
            "consolidator_verification_differences",
            "Differences between what was published and what the log says, by the last verification",
            value=differences,
        ),
        GaugeMetricFamily(
            "consolidator_verification_finished_timestamp_seconds",
            "When the last verification came to its end, in seconds since the epoch",
            value=finished_at,
        ),
    ]
