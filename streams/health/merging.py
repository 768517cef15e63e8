"""Several processes under one command as one: their numbers added, their partitions and checks side by side."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec

from streams.health.names import METRICS, PROCESS_METRICS, Merged
from streams.health.report import Check, Labelled, Snapshot

__all__ = ["merged"]

_RULES: Final[dict[Merged, Callable[[float, float], float]]] = {
    Merged.SUM: lambda one, other: one + other,
    Merged.MAX: max,
    Merged.MIN: min,
}


def merged(snapshots: Sequence[tuple[int, Snapshot]]) -> Snapshot:
    """One snapshot of several processes.

    Args:
        snapshots: at least one, each with its process's number.
    """
    first = snapshots[0][1]
    found = Snapshot(first.role, first.version, first.app_id, ", ".join(each.worker for _, each in snapshots))
    found.checks = [check for name in _names(snapshots) if (check := _worst(name, snapshots)) is not None]
    found.partitions = sorted(
        (partition for _, each in snapshots for partition in each.partitions),
        key=lambda one: (one.topic, one.partition),
    )
    for _, each in snapshots:
        for name, values in each.values.items():
            metric = METRICS.get(name) or PROCESS_METRICS[name]
            found.values[name] = _added(found.values.get(name, []), values, _RULES[metric.merged])
        for name, (counts, total) in each.histograms.items():
            before, sum_before = found.histograms.get(name, ([0] * len(counts), 0.0))
            added = [one + other for one, other in zip(before, counts, strict=True)]
            found.histograms[name] = (added, sum_before + total)
    return found


def _added(before: list[Labelled], values: Iterable[Labelled], rule: Callable[[float, float], float]) -> list[Labelled]:
    found = dict(before)
    for labels, value in values:
        found[labels] = rule(found[labels], value) if labels in found else value
    return list(found.items())


def _names(snapshots: Sequence[tuple[int, Snapshot]]) -> list[str]:
    return list(dict.fromkeys(check.name for _, each in snapshots for check in each.checks))


def _worst(name: str, snapshots: Sequence[tuple[int, Snapshot]]) -> Check | None:
    """The check as the first process has it in which it fails; the first one's if it fails in none."""
    found = [(number, check) for number, each in snapshots for check in each.checks if check.name == name]
    failing = [(number, check) for number, check in found if not check.ok]
    if not failing:
        return found[0][1] if found else None
    number, check = failing[0]
    return msgspec.structs.replace(check, says=f"process {number}: {check.says}")
