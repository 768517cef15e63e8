"""The end of a broker whose data nobody needs any more."""

from pathlib import Path

from streams.broker.config import PID_FILE
from streams.broker.process import terminate

__all__ = ["discard_broker"]


def discard_broker(data_dir: Path) -> None:
    """Kill the broker of this directory, if it runs: an orderly stop would write thousands of logs to disk first."""
    terminate(data_dir / PID_FILE, grace_s=0)
