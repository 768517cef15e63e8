"""What is known of any process of ours: its build, memory, log, disk, and whether its loop runs and Kafka answers."""

import os
import platform
import time
from importlib.metadata import version as version_of
from pathlib import Path
from typing import TYPE_CHECKING, Final

from prometheus_client import ProcessCollector

from streams.core.compiled import is_compiled
from streams.health.awake import AwakeClock
from streams.health.names import PROCESS_METRICS
from streams.health.report import Check, Labelled
from streams.runtime.contact import KafkaContact
from streams.runtime.standard_error import log_blocked_s, lost_lines

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["BLOCKED_S", "ProcessFigures", "program_version", "resident_bytes"]

BLOCKED_S: Final = 15.0
"""How long a loop may be blocked. A large batch takes it for a second at most."""

_LOG_S: Final = 5.0
"""How long one write to the log may take before it is said to be blocked."""

_FEW_BYTES: Final = 256 * 1024 * 1024
"""RocksDB needs room for its next files, some 64 MiB each, before it removes the old ones."""

_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


class ProcessFigures:
    """Looks at this process.

    Args:
        role: ``worker`` or ``sink``.
        clock: the time during which the process runs.
        contact: knows whether Kafka answers.
        loop: what the loop is called, for people.

    Attributes:
        directory: of the state, whose disk is looked at; None: not known yet.
        loop_waits: what the loop waits for at this moment, if that may take any time; None: nothing.
    """

    def __init__(self, role: str, clock: AwakeClock, contact: KafkaContact, loop: str) -> None:
        self._clock = clock
        self._contact = contact
        self._loop = loop
        self._since = time.monotonic()
        self._beaten: float | None = None
        self._library = ProcessCollector(registry=None)
        self._build = (program_version(), platform.python_version(), "yes" if is_compiled() else "no", role)
        self.directory: Path | None = None
        self.loop_waits: Callable[[], str | None] = lambda: None

    def beat(self) -> None:
        """Note that the loop runs; to be called from it, every second."""
        self._beaten = self._clock()

    @property
    def silent_s(self) -> float:
        """The age of the last beat, in seconds; 0 before the first one."""
        return 0.0 if self._beaten is None else max(0.0, self._clock() - self._beaten)

    def checks(self) -> list[Check]:
        """The checks of every process."""
        return [self._loop_check(), self._kafka(), *self._disk(), self._log()]

    def values(self) -> dict[str, list[Labelled]]:
        """The metrics of every process."""
        lost = self._contact.lost()
        free = self._free_bytes()
        found: dict[str, list[Labelled]] = {
            "consolidator_build_info": [(self._build, 1.0)],
            "consolidator_up_seconds": [((), time.monotonic() - self._since)],
            "consolidator_kafka_lost_seconds": [((), 0.0 if lost is None else lost.since_s)],
            "consolidator_log_lines_dropped_total": [((), float(lost_lines()))],
            "consolidator_log_blocked_seconds": [((), log_blocked_s())],
            "consolidator_event_loop_delay_seconds": [((), self.silent_s)],
            "consolidator_disk_free_bytes": [] if free is None else [((), float(free))],
        }
        for family in self._library.collect():
            for sample in family.samples:
                if sample.name in PROCESS_METRICS:
                    found[sample.name] = [((), sample.value)]
        return found

    def _loop_check(self) -> Check:
        silent_s = self.silent_s
        if self._beaten is None:
            return Check("event_loop", ok=True, says="it has not begun yet: the process is starting", deadly=True)
        reason = self.loop_waits()
        if silent_s <= BLOCKED_S or reason is not None:
            waits = "" if reason is None else f", it waits for {reason}"
            return Check("event_loop", ok=True, says=f"last sign {silent_s:.1f} s ago{waits}", deadly=True, needed=True)
        says = f"{self._loop} has been blocked for {silent_s:.0f} s: nothing is read, folded or committed"
        return Check("event_loop", ok=False, says=says, deadly=True, needed=True)

    def _kafka(self) -> Check:
        lost = self._contact.lost()
        if lost is None:
            return Check("kafka", ok=True, says="no broker is lost", needed=True)
        says = f"lost for {lost.since_s:.0f} s: waits for an answer of {', '.join(lost.brokers)} ({lost.reason})"
        return Check("kafka", ok=False, says=says, needed=True)

    def _disk(self) -> list[Check]:
        free = self._free_bytes()
        if free is None:
            return []
        says = f"{free / 1_048_576:,.0f} MiB are free at {self.directory}"
        return [Check("disk", ok=free >= _FEW_BYTES, says=says)]

    def _free_bytes(self) -> int | None:
        if self.directory is None:
            return None
        try:
            found = os.statvfs(self.directory)
        except OSError:
            return None
        return found.f_bavail * found.f_frsize

    def _log(self) -> Check:
        blocked_s, lost = log_blocked_s(), lost_lines()
        if blocked_s >= _LOG_S:
            says = f"nobody has read it for {blocked_s:.0f} s; {lost:,} lines are lost so far"
            return Check("log", ok=False, says=says)
        says = f"{lost:,} lines were lost since the start" if lost else "every line was written"
        return Check("log", ok=not lost, says=says)


def program_version() -> str:
    """The version of the program."""
    return version_of("factor-consolidator")


def resident_bytes() -> int:
    """The memory of this process that is resident."""
    with Path("/proc/self/statm").open("rb") as file:
        return int(file.read().split()[1]) * _PAGE_BYTES
