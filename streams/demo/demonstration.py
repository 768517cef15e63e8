"""The demonstration itself: publish a day, wait until the worker has processed it, and read the results."""

import time
from collections.abc import Callable
from itertools import chain
from typing import Final

from models.errors import InfrastructureError
from streams.core.rules import Rules
from streams.demo.day import Arrival, believable_day
from streams.demo.installation import Installation
from streams.demo.publication import publish, read_arrivals, replayed
from streams.demo.report import DemoReport, Timing, read_report
from streams.demo.scenarios import SCENARIOS
from streams.replay.in_memory import ReplayFold
from streams.rulesets.catalogue_file import load_catalogue
from topics.reading.progress import GroupProgress

__all__ = ["demonstrate"]

# If there is no progress for this long, something is wrong: the worker's start takes 3 s, on a busy machine several
# times that.
_PATIENCE_S: Final = 60.0
_POLL_S: Final = 0.1


def demonstrate(
    installation: Installation,
    *,
    seed: int,
    applications: int,
    began: float,
    tell: Callable[[str], None],
    count: Callable[[str], None],
) -> DemoReport:
    """Run the demonstration and return its report.

    1. Broker, topics and worker.
    2. Publish the scenarios and the day.
    3. Fold the same events in this process, as a replay does, while the worker runs.
    4. Wait until the worker has processed all events.
    5. Read the topics.

    Args:
        installation: the topics and the worker; it is opened here, and closed by the caller.
        seed: of the day.
        applications: of the day.
        began: ``time.monotonic()`` when the command began.
        tell: called with a text about the step that takes time.
        count: called repeatedly with the progress.

    Raises:
        ContractError: settings or the cluster do not allow it.
        InfrastructureError: Kafka or the worker failed, or there is no more progress.
    """
    # 1.
    installation.open(tell)
    # 2.
    day = believable_day(seed, applications)
    told = [Arrival(line) for scenario in SCENARIOS for line in scenario.lines()]
    arrivals = read_arrivals(chain(told, day.arrivals), max_event_bytes=installation.settings.max_event_bytes)
    installation.events_file.write_bytes(b"".join(one.arrival.value + b"\n" for one in arrivals))
    tell(f"Publishing {len(arrivals):,} lifecycle events of {applications:,} applications")
    published_from = time.monotonic()
    records = publish(
        arrivals,
        installation.topics,
        installation.config,
        on_acknowledged=lambda acknowledged: count(f"Publishing: {acknowledged:,} of {len(arrivals):,}"),
    )
    publish_s = time.monotonic() - published_from
    # 3.
    tell("Consolidating")
    expected = replayed(arrivals, ReplayFold(Rules(load_catalogue(installation.settings.catalogue))))
    # 4.
    _wait_until_consolidated(installation, count)
    # 5.
    tell("Reading what came of it")
    timing = Timing(records, publish_s, 0.0, 0.0)
    report = read_report(installation.config, installation.topics, replayed=expected, timing=timing, told=day.told)
    return report.after(time.monotonic() - began)


def _wait_until_consolidated(installation: Installation, count: Callable[[str], None]) -> None:
    with GroupProgress(installation.config, installation.settings.app_id, installation.topics) as progress:
        before = -1
        moved_at = time.monotonic()
        while True:
            pid = installation.worker_pid()
            through, of = progress.offsets()
            count(f"Consolidating: {through:,} of {of:,}")
            if through != before:
                before, moved_at = through, time.monotonic()
            if through and progress.is_finished():
                return
            if time.monotonic() - moved_at > _PATIENCE_S:
                raise InfrastructureError(
                    f"the worker (process {pid}) has not moved for {_PATIENCE_S:.0f} s, {through} of {of} offsets are "
                    f"committed; the last lines of its log:\n{installation.last_log_lines()}"
                )
            time.sleep(_POLL_S)
