"""The end of a fault scenario: stop the workers in order, read all topics, save the figures, check the laws."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.fault_runs.figures import Figures
from tests.oracle.checker import Observed, Report
from tests.real_kafka.installation import LIMIT_S, Installation
from tests.real_kafka.transactions import committed_transactions
from tests.real_kafka.worker_process import WorkerProcess

__all__ = ["Conclusion"]


@dataclass(frozen=True)
class Conclusion:
    """Ends scenarios.

    Attributes:
        record: shows and saves the figures.
    """

    record: Callable[[Figures], None]

    def __call__(
        self,
        installation: Installation,
        *workers: WorkerProcess,
        scenario: str,
        fault: str,
        state: Path | None = None,
        observed: Observed | None = None,
        limit_s: float = LIMIT_S,
        **figures: Any,
    ) -> Report:
        """End a scenario; this fails if a worker does not stop in order, or if a law is broken.

        1. The workers process the remaining events, and stop with exit code 0.
        2. Everything is read and compared with the oracle.
        3. The figures are shown and saved, those of a broken law as well.
        4. Every law has to hold.

        Args:
            installation: the installation.
            *workers: the workers that still run.
            scenario: its short name.
            fault: what was done, in words.
            state: a directory below which every partition's database is up to date.
            observed: the contents of topics and databases, if they were read already.
            limit_s: for the lag to become zero.
            **figures: the other attributes of :class:`~tests.fault_runs.figures.Figures`.
        """
        # 1.
        if workers:
            installation.wait_consumed(*workers, limit_s=limit_s)
        for worker in workers:
            worker.stop()
        # 2.
        report = installation.report(installation.observe(state=state) if observed is None else observed)
        # 3.
        transactions = committed_transactions(installation.config, installation.name)
        self.record(Figures.of(report, scenario, fault=fault, transactions=transactions, **figures))
        # 4.
        report.require()
        return report
