"""How much an installation needs: disks of brokers by topic, state, memory, cores, partitions, standbys.

A pure calculation. Each measured figure names the page that has it, and each assumption is part of the result, so that
an operator can object to it. Figures that depend on the traffic are those of slow traffic, where records pack worst.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final

from streams.operations.measured_figures import FIGURES, Figure

__all__ = ["Brokers", "Plan", "Sinks", "Size", "TopicSize", "Workers", "size_of"]

_MIB: Final = 1024 * 1024
_SECONDS_A_DAY: Final = 86_400
_HOURS_A_DAY: Final = 24
_DAYS_A_MONTH: Final = 365.25 / 12

_BATCH_BYTES: Final = 75
"""Kafka's framing of a batch of one record: 61 for the batch, and what one record's lengths and offsets take."""

_MARKER_BYTES: Final = 78
"""The record that ends a transaction in each partition and topic that it wrote to. Slow traffic has one an event."""

_KEY_BYTES: Final = 2 * 36 + 1
"""The key of a record of ``executions``: two ids of a UUID's length or less, and what parts them."""

_ENVELOPE_BYTES: Final = _BATCH_BYTES + _KEY_BYTES
"""Of a record of ``executions`` besides its value: the framing and the key."""

_SUPERSEDED_SHARE: Final = 0.1
"""Of ``factors`` and the changelog, what compaction has not removed yet: ``min.cleanable.dirty.ratio`` of both."""

_VIEW_SEGMENT_BYTES: Final = 64 * _MIB
"""``segment.bytes`` of both: the segment that is being written is not compacted."""

_LETTER_DAYS: Final = 30
"""``retention.ms`` of the dead letters."""

_LETTER_SHARE: Final = 0.001
_LETTER_BYTES: Final = 1_000
"""What a dead letter has besides its event: the headers that say why."""

_FREE_PERCENT: Final = 30
"""Of a disk, what stays free: a broker whose disk is full stops, and a rebuild or a move of partitions needs room."""

_BUSY_SHARE: Final = 0.5
"""Of what a process was measured to do, what is planned for the peak: the other half is for catching up."""

_EVENTS_AN_APPLICATION: Final = 20
"""Of the design's workload, with which everything was measured."""

_LEAST_PROCESSES: Final = 2
_LEAST_PARTITIONS: Final = 8
_GROWTH: Final = 4
"""Partitions for each process: their count is fixed for the topics' life, so there is to be room for more processes."""

_ROUNDS_A_SECOND: Final = 100
"""Most rounds of a process: one takes about 10 ms. More events a second are more of them in a round."""

_STATE_ROOM: Final = 2
"""RocksDB writes a level anew before it removes the old one."""

_MEMORY_MIB: Final = 1_024
_PARTITIONS_IN_THAT: Final = 16

_PATIENCE_S: Final = 60.0
"""A lost disk that takes longer than this to rebuild is a reason for a standby."""

_OUTAGE_S: Final = 3_600
_SINK_MEMORY_MIB: Final = 1_024


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be planned for.

    Attributes:
        events_per_day: lifecycle events of a day, in the mean.
        applications_per_day: new applications of a day; None: one for every 20 events.
        event_bytes: of an event's JSON, in the mean.
        retention_months: for how long everything is kept.
        replicas: of each topic.
        peak_factor: how many times the mean rate the busiest minutes have.
    """

    events_per_day: int
    applications_per_day: int | None = None
    event_bytes: int = 450
    retention_months: int = 25
    replicas: int = 3
    peak_factor: float = 5.0

    @property
    def days(self) -> int:
        """The days of the retention; 25 months are 761, as the default of CONSOLIDATOR_AUDIT_WINDOW_DAYS."""
        return ceil(self.retention_months * _DAYS_A_MONTH)

    @property
    def kept_events(self) -> int:
        """Events at the end of the retention."""
        return self.events_per_day * self.days

    @property
    def applications(self) -> int:
        """Applications at the end of the retention; none has fewer than one event."""
        a_day = self.applications_per_day
        if a_day is None:
            a_day = ceil(self.events_per_day / _EVENTS_AN_APPLICATION)
        return min(a_day, self.events_per_day) * self.days

    @property
    def pairs(self) -> int:
        """Pairs of application and processor at the end of the retention."""
        return min(ceil(self.applications * FIGURES["pairs"].value), self.kept_events)

    @property
    def peak_events_per_s(self) -> float:
        """Events a second in the busiest minutes."""
        return self.events_per_day / _SECONDS_A_DAY * self.peak_factor


@dataclass(frozen=True, slots=True)
class TopicSize:
    """Bytes of one topic at the end of the retention.

    Attributes:
        topic: its name without a prefix.
        bytes: of one copy.
        grows: what makes it grow, in words.
    """

    topic: str
    bytes: int
    grows: str


@dataclass(frozen=True, slots=True)
class Brokers:
    """What the brokers need.

    Attributes:
        topics: by topic.
        bytes: of one copy of all of them.
        bytes_with_replicas: of all copies.
        to_provide_bytes: of all disks together, with the share that stays free.
        per_broker_bytes: of that, for each of as many brokers as there are replicas.
        cores_at_peak: busy with this workload at the peak, of all brokers together, for one replica.
    """

    topics: tuple[TopicSize, ...]
    bytes: int
    bytes_with_replicas: int
    to_provide_bytes: int
    per_broker_bytes: int
    cores_at_peak: float


@dataclass(frozen=True, slots=True)
class Workers:
    """What the workers need.

    Attributes:
        processes: how many, each with a core of its own.
        cores_at_peak: of these, busy at the peak.
        memory_mib_each: the limit of a process.
        state_bytes: of the state of all partitions, one copy.
        disk_bytes_each: of a process' disk: it may have another one's partitions, and its standbys.
        partitions: of every topic.
        standbys: CONSOLIDATOR_STANDBY_REPLICAS.
        rebuild_s: until a process that lost its disk has its state again.
        catch_up_s: after an hour without workers, at the mean rate.
    """

    processes: int
    cores_at_peak: float
    memory_mib_each: int
    state_bytes: int
    disk_bytes_each: int
    partitions: int
    standbys: int
    rebuild_s: float
    catch_up_s: float


@dataclass(frozen=True, slots=True)
class Sinks:
    """What ``consolidator sink run`` needs, where it is used; its database was not measured by bytes.

    Attributes:
        processes: how many.
        memory_mib_each: the limit of a process.
    """

    processes: int
    memory_mib_each: int


@dataclass(frozen=True, slots=True)
class Size:
    """The result.

    Attributes:
        plan: what was asked.
        brokers: the brokers' share.
        workers: the workers' share.
        sinks: the sinks' share.
        assumptions: in sentences.
        figures: the measured figures.
    """

    plan: Plan
    brokers: Brokers
    workers: Workers
    sinks: Sinks
    assumptions: tuple[str, ...]
    figures: tuple[Figure, ...]


def size_of(plan: Plan) -> Size:
    """How much an installation needs at the end of the retention."""
    workers = _workers(plan)
    return Size(
        plan, _brokers(plan, workers), workers, _sinks(plan), tuple(_assumptions(plan)), tuple(FIGURES.values())
    )


def _workers(plan: Plan) -> Workers:
    a_process = FIGURES["events_per_s"].value * _BUSY_SHARE
    processes = max(_LEAST_PROCESSES, ceil(plan.peak_events_per_s / a_process))
    partitions = _LEAST_PARTITIONS
    while partitions < processes * _GROWTH:
        partitions *= 2
    # One process may be away: the others have its partitions.
    together = processes - 1
    state = ceil(plan.kept_events * FIGURES["state_bytes"].value)
    rebuild_s = plan.pairs / together / FIGURES["rebuild_records"].value / (1 - _SUPERSEDED_SHARE)
    standbys = 1 if rebuild_s > _PATIENCE_S else 0
    mean = plan.events_per_day / _SECONDS_A_DAY
    spare = processes * FIGURES["events_per_s"].value - mean
    return Workers(
        processes=processes,
        cores_at_peak=_cores(plan, processes, "cpu_s", "round_cpu_ms"),
        memory_mib_each=_memory_mib(ceil(partitions / together)),
        state_bytes=state,
        disk_bytes_each=_divided(state * (1 + standbys) * _STATE_ROOM * 100, together * (100 - _FREE_PERCENT)),
        partitions=partitions,
        standbys=standbys,
        rebuild_s=rebuild_s,
        catch_up_s=mean * _OUTAGE_S / spare,
    )


def _cores(plan: Plan, processes: int, for_a_million: str, for_a_round: str) -> float:
    """Cores that are busy at the peak: with the events, and with the rounds, of which slow traffic has one an event."""
    rounds = min(plan.peak_events_per_s, processes * _ROUNDS_A_SECOND)
    events_s = plan.peak_events_per_s * FIGURES[for_a_million].value / 1_000_000
    return events_s + rounds * FIGURES[for_a_round].value / 1_000


def _memory_mib(partitions: int) -> int:
    """The limit of a process that has so many partitions."""
    least, most = FIGURES["memory_16"], FIGURES["memory_64"]
    each = (most.value - least.value) / (64 - _PARTITIONS_IN_THAT)
    return _MEMORY_MIB + ceil(max(0, partitions - _PARTITIONS_IN_THAT) * each)


def _brokers(plan: Plan, workers: Workers) -> Brokers:
    topics = _topics(plan, workers.partitions)
    one_copy = sum(topic.bytes for topic in topics)
    copies = one_copy * plan.replicas
    to_provide = _divided(copies * 100, 100 - _FREE_PERCENT)
    return Brokers(
        topics,
        one_copy,
        copies,
        to_provide,
        _divided(to_provide, plan.replicas),
        _cores(plan, workers.processes, "broker_cpu_s", "broker_round_cpu_ms"),
    )


def _topics(plan: Plan, partitions: int) -> tuple[TopicSize, ...]:
    letters = plan.events_per_day * min(_LETTER_DAYS, plan.days) * _LETTER_SHARE
    changes = FIGURES["changes"].value
    framing = _BATCH_BYTES + _MARKER_BYTES
    change = FIGURES["change_bytes"].value + framing
    factors = FIGURES["factors_bytes"].value + framing
    an_hour = plan.events_per_day / _HOURS_A_DAY * plan.peak_factor
    row_framing = plan.pairs * framing
    return (
        TopicSize(
            "executions",
            plan.kept_events * (plan.event_bytes + _ENVELOPE_BYTES),
            "with every event; nothing is removed but earlier copies and what tombstones erase",
        ),
        TopicSize(
            "factor-changes",
            ceil(plan.kept_events * changes * change),
            "with every change; only tombstones remove anything",
        ),
        TopicSize(
            "factors",
            _view_bytes(plan.pairs * factors, an_hour * changes * factors, partitions),
            "with the pairs of application and processor",
        ),
        TopicSize(
            "changelog",
            _view_bytes(
                plan.kept_events * FIGURES["row_bytes"].value + row_framing,
                an_hour * (FIGURES["changelog_bytes"].value + framing),
                partitions,
            ),
            "with the executions in the state",
        ),
        TopicSize(
            "executions.dlq",
            ceil(letters * (plan.event_bytes + _LETTER_BYTES)),
            "not: letters go after 30 days",
        ),
    )


def _divided(number: int, by: int) -> int:
    """A number divided and rounded up; exact, as bytes of large plans are no longer exact as floating point."""
    return -(-number // by)


def _view_bytes(current: float, an_hour: float, partitions: int) -> int:
    """A compacted topic: its current records, what is superseded, and the segments that are being written."""
    return ceil(current / (1 - _SUPERSEDED_SHARE) + min(an_hour, partitions * _VIEW_SEGMENT_BYTES))


def _sinks(plan: Plan) -> Sinks:
    changes = plan.peak_events_per_s * FIGURES["changes"].value
    return Sinks(max(1, ceil(changes / (FIGURES["sink_changes"].value * _BUSY_SHARE))), _SINK_MEMORY_MIB)


def _assumptions(plan: Plan) -> Sequence[str]:
    applications = (
        f"a new application for every {_EVENTS_AN_APPLICATION} events (--applications-per-day sets another number)"
        if plan.applications_per_day is None
        else f"{plan.applications_per_day:,} new applications a day"
    )
    busy = f"{_BUSY_SHARE:.0%} of what a process can do"
    return (
        f"{plan.days} days, the same number of events on each of them; {applications}",
        "nothing goes by itself after that: executions and factor-changes grow on until applications are erased",
        f"events of {plan.event_bytes:,} bytes and {_ENVELOPE_BYTES} for key and framing: packing is not counted",
        "a transaction for each event, nothing packed, as in slow traffic; in bulk, changes and factors take a sixth",
        f"{_LETTER_SHARE:.1%} of the events are dead letters",
        f"the busiest minutes have {plan.peak_factor:g} times the mean rate (--peak-factor), and take {busy}",
        f"{_FREE_PERCENT}% of each disk stays free; as many brokers as replicas",
        "brokers keep all of it on their disks: tiered storage refuses compacted topics",
        f"at least {_LEAST_PROCESSES} processes, so that one may be away",
        f"{_GROWTH} partitions for each process, as their count is fixed for the topics' life",
        f"a standby where rebuilding a lost disk takes more than {_PATIENCE_S:.0f} s",
        "rulesets and erasures have some megabytes; the database of a sink was not measured",
    )
