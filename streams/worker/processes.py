"""Several workers under one command: a process for each, as a Python process keeps no more than one core busy.

The workers are members of one consumer group, as if they had been started one by one: the group gives each its share of
the partitions. All of them go when one of them goes, so that whoever runs the command sees one program that works or
has ended, and starts it again as a whole.
"""

import os
import signal
import threading
from contextlib import suppress
from types import FrameType

import structlog

from streams.runtime.exit_codes import DONE, FAILED
from streams.runtime.signals import ENDING

__all__ = ["fork_workers"]

_log = structlog.get_logger()


def fork_workers(count: int) -> int:
    """Become several workers: returns once in each of them.

    The calling process stays behind: it passes SIGTERM and SIGINT on, and exits when all workers have ended, with the
    exit code of the first one that failed. It must have neither threads nor connections yet.

    Args:
        count: how many workers.

    Returns:
        The worker's number, from 0.

    Raises:
        SystemExit: in the calling process, at the end.
    """
    reading, writing = os.pipe()
    workers: dict[int, int] = {}
    # Blocked, rather than held back by a handler: Python forgets in a new process what came before its fork was over.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    for number in range(count):
        pid = os.fork()
        if not pid:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            os.close(writing)
            threading.Thread(target=_stop_when_closed, args=(reading,), name="parent-watch", daemon=True).start()
            return number
        workers[pid] = number
    os.close(reading)
    raise SystemExit(_wait_for(workers, before))


def _stop_when_closed(parent: int) -> None:
    """Ask this worker to stop when the process at the other end of a pipe is gone: nobody else would."""
    os.read(parent, 1)
    os.kill(os.getpid(), signal.SIGTERM)


def _wait_for(workers: dict[int, int], mask: set[int | signal.Signals]) -> int:
    """Wait until all workers have ended; when one does, ask the others to.

    Args:
        workers: their numbers, by process id.
        mask: the signals to block from now on: SIGTERM and SIGINT have been until now.
    """
    stopping = False

    def stop(_number: int = signal.SIGTERM, _frame: FrameType | None = None) -> None:
        nonlocal stopping
        stopping = True
        for pid in workers:
            # One that has ended is still there until it is waited for, unless that is happening just now.
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

    for ending in ENDING:
        signal.signal(ending, stop)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    exit_code = DONE
    while workers:
        pid, status = os.wait()
        number = workers.pop(pid)
        code = os.waitstatus_to_exitcode(status)
        if not stopping:
            how = f"exit code {code}" if code >= 0 else f"signal {-code}"
            _log.warning("a worker process ended, stopping the others", process=number, ended=how)
            stop()
        # What a worker that a signal ended was doing had no effect, as with any failure of the infrastructure.
        exit_code = exit_code or (code if code >= 0 else FAILED)
    return exit_code
