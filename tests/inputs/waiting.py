"""How long something has waited by its own decision: for an answer, a time, a lock.

A limit of seconds holds for that. The time in which it worked, or waited for its turn on a busy machine, is taken off:
Linux counts both for each thread (``schedstat``). Where it does not, nothing is taken off.

What waits for the answers of another process waits for that process' turns as well, and nobody counts these. There a
limit is multiplied by how much slower the machine is than one without other work (:func:`slowness`).
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen

__all__ = ["ended_after_waiting", "slowness", "waiting"]

_POLL_S = 0.01
_SAMPLE_CPU_S = 0.2


@contextmanager
def waiting() -> Iterator[Callable[[], float]]:
    """Gives what tells how many seconds this thread has waited since the beginning."""
    began, worked = time.monotonic(), _on_turn_s("thread-self")
    yield lambda: time.monotonic() - began - (_on_turn_s("thread-self") - worked)


def ended_after_waiting(process: Popen[bytes], since: float, limit_s: float) -> float:
    """Wait for a process to end; how many seconds its main thread has waited. Its exit code is still to be fetched.

    Args:
        process: nobody has waited for its end yet.
        since: the monotonic time just before it was started.
        limit_s: after which the test fails.
    """
    while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
        assert time.monotonic() - since < limit_s, f"{process.args} has not ended within {limit_s} s"
        time.sleep(_POLL_S)
    return time.monotonic() - since - _on_turn_s(str(process.pid))


def slowness() -> float:
    """How many times longer work takes this thread just now than on a machine with nothing else to do: 1 or more."""
    began, worked = time.perf_counter(), time.thread_time()
    while time.thread_time() - worked < _SAMPLE_CPU_S:
        pass
    return max(1.0, (time.perf_counter() - began) / (time.thread_time() - worked))


def _on_turn_s(whose: str) -> float:
    """Seconds that a thread has worked, or waited for its turn."""
    counted = Path("/proc") / whose / "schedstat"
    if not counted.exists():
        return 0.0
    worked_ns, in_the_queue_ns, _ = counted.read_text(encoding="ascii").split()
    return (int(worked_ns) + int(in_the_queue_ns)) / 1e9
