"""What ``consolidator size`` prints."""

from dataclasses import asdict
from typing import Any, Final

from streams.cli.output.console import print_rows, say, say_heading
from streams.operations.sizing import Size

__all__ = ["bytes_in_words", "print_size", "size_json"]

_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
_STEP: Final = 1024
_WHOLE_FROM: Final = 100


def size_json(size: Size) -> dict[str, Any]:
    """The result as one JSON object."""
    return asdict(size)


def print_size(size: Size) -> None:
    """Print the result for people."""
    plan, brokers, workers, sinks = size.plan, size.brokers, size.workers, size.sinks
    say_heading(f"After {plan.retention_months} months of {plan.events_per_day:,} events a day")
    say(
        f"{plan.kept_events:,} events of {plan.applications:,} applications in the log, {plan.pairs:,} pairs of "
        f"application and processor; up to {plan.peak_events_per_s:,.1f} events/s",
        "",
    )
    say_heading("Disks of the brokers")
    topics = [
        (topic.topic, bytes_in_words(topic.bytes), bytes_in_words(topic.bytes * plan.replicas), topic.grows)
        for topic in brokers.topics
    ]
    total = ("together", bytes_in_words(brokers.bytes), bytes_in_words(brokers.bytes_with_replicas), "")
    print_rows(("topic", "one copy", f"{plan.replicas} copies", "grows"), [*topics, total])
    say(
        f"to provide: {bytes_in_words(brokers.to_provide_bytes)}, {bytes_in_words(brokers.per_broker_bytes)} on each "
        f"of {plan.replicas} brokers; {brokers.cores_at_peak:.2f} cores busy at the peak, for one copy",
        "",
    )
    say_heading("Workers")
    print_rows(
        ("what", "how much", "where it is set"),
        [
            ("partitions", f"{workers.partitions}", "CONSOLIDATOR_PARTITIONS, fixed for the topics' life"),
            ("processes, a core each", f"{workers.processes}", "replicas of the workers, or CONSOLIDATOR_PROCESSES"),
            ("cores busy at the peak", f"{workers.cores_at_peak:.2f}", ""),
            ("memory of each", f"{workers.memory_mib_each:,} MiB", "the limit of the container"),
            ("disk of each", bytes_in_words(workers.disk_bytes_each), "the volume of CONSOLIDATOR_STATE_DIR"),
            ("state of all", bytes_in_words(workers.state_bytes), ""),
            ("standbys", f"{workers.standbys}", "CONSOLIDATOR_STANDBY_REPLICAS"),
            ("a lost disk is rebuilt in", f"{workers.rebuild_s:,.0f} s", ""),
            ("an hour is caught up in", f"{workers.catch_up_s:,.0f} s", ""),
        ],
    )
    say(
        f"a sink, if there is one: {sinks.processes} of them, {sinks.memory_mib_each:,} MiB of memory each; its "
        "database was not measured",
        "",
    )
    say_heading("Assumptions")
    say(*(f"- {one}" for one in size.assumptions), "")
    say_heading("Measured figures")
    print_rows(
        ("what", "figure", "from"), [(one.name, f"{one.value:,g} {one.unit}", one.source) for one in size.figures]
    )


def bytes_in_words(count: int) -> str:
    """Bytes with a unit and three digits or more: ``1.55 TiB``."""
    value, unit = float(count), 0
    while value >= _STEP and unit < len(_UNITS) - 1:
        value, unit = value / _STEP, unit + 1
    if unit == 0:
        return f"{count} B"
    return f"{value:,.0f} {_UNITS[unit]}" if value >= _WHOLE_FROM else f"{value:.3g} {_UNITS[unit]}"
