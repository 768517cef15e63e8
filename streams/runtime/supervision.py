"""One place that hears of every failure in a process, and ends it at the first one.

A task that fails is a future with an exception that somebody may or may not look at, a thread that fails prints a
traceback, and the process lives on without it: as a member of the group that owns partitions and does nothing.
"""

import asyncio
import sys
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Final

import structlog

from models.errors import InfrastructureError

__all__ = ["Supervision"]

_UNSEEN_S: Final = 5.0
"""How long a task's exception may wait for somebody to look at it: libraries await tasks late, but not so late."""

_log = structlog.get_logger()


class Supervision:
    """Hears of failures, from any thread; the first one ends the process.

    Args:
        end: ends the process; called once, with the first failure.
        passes: whether a failure in a library's background task passes by itself, as the loss of a connection does.
    """

    def __init__(self, end: Callable[[BaseException], object], passes: Callable[[BaseException], bool]) -> None:
        self._end = end
        self._passes = passes
        self._telling = threading.RLock()
        self._has_failed = False
        self._is_stopping = False

    def fail(self, error: BaseException) -> None:
        """End the process, unless another failure has come first and is doing so."""
        with self._telling:
            is_first, self._has_failed = not self._has_failed, True
        if is_first:
            self._end(error)

    def stopping(self) -> None:
        """From now on tasks end, and libraries may complain of it: only :meth:`fail` ends the process still."""
        self._is_stopping = True

    def fail_unless_stopping(self, error: BaseException) -> None:
        """End the process, unless it is about to end anyway: then what fails is only logged."""
        if self._is_stopping:
            self._tell("a failure while the worker stops", error=repr(error))
        else:
            self.fail(error)

    def background_failure(self, error: BaseException, where: str) -> None:
        """Hear of a failure that nobody waits for: it ends the process, unless it passes or everything ends anyway."""
        if self._is_stopping or self._passes(error):
            self._tell("a background task failed", task=where, error=repr(error))
        else:
            self.fail(error)

    def _tell(self, event: str, **fields: str) -> None:
        """Log what ends nothing. After the first failure nothing is told: its sentence is the last one."""
        with self._telling:
            if not self._has_failed:
                _log.warning(event, **fields)

    def watch(self, work: Coroutine[Any, Any, object], name: str, *, may_end: bool = False) -> asyncio.Task[object]:
        """Run a task that may not fail.

        Args:
            work: what it does.
            name: what it is for, for the message when it ends.
            may_end: whether it may end before the process stops.
        """

        def look(task: asyncio.Task[object]) -> None:
            error = None if task.cancelled() else task.exception()
            if error is not None:
                self.fail_unless_stopping(error)
            elif not (may_end or self._is_stopping):
                self.fail(InfrastructureError(f"{name} ended by itself, which it may not; nothing was acknowledged"))

        task = asyncio.get_running_loop().create_task(work, name=name)
        task.add_done_callback(look)
        return task

    def watch_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Hear of everything that fails on an event loop and that nobody looks at, whoever began it.

        asyncio tells of such a task when the task is collected as garbage: with its frames in a cycle that is minutes
        later, or never, where garbage is collected rarely.
        """
        loop.set_exception_handler(self._complaint)
        loop.set_task_factory(self._new_task)

    def watch_threads(self) -> None:
        """Hear of every thread that ends with an exception, and log what finalizers and the like complain of."""
        threading.excepthook = self._thread_ended
        sys.unraisablehook = _lost_exception

    def _new_task(self, loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(work, loop=loop, **options)
        task.add_done_callback(self._look_later)
        return task

    def _look_later(self, task: asyncio.Task[Any]) -> None:
        if _is_unseen(task):
            task.get_loop().call_later(_UNSEEN_S, self._look, task)

    def _look(self, task: asyncio.Task[Any]) -> None:
        if _is_unseen(task) and (error := task.exception()) is not None:
            self.background_failure(error, task.get_name())

    def _complaint(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """What asyncio would only log: callbacks that failed, and what libraries tell of their connections."""
        error = context.get("exception")
        message = str(context.get("message", "asyncio complains"))
        if error is None:
            self._tell("the event loop complains", of=message)
        else:
            self.background_failure(error, message)

    def _thread_ended(self, args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None and args.exc_type is not SystemExit:
            # It does not begin again, whatever ended it.
            self.fail_unless_stopping(args.exc_value)


def _is_unseen(task: asyncio.Task[Any]) -> bool:
    """Whether a task has an exception at which nobody has looked. To ask for the exception would be such a look."""
    return bool(getattr(task, "_log_traceback", False))


def _lost_exception(lost: "sys.UnraisableHookArgs") -> None:
    _log.warning("an exception was lost", error=repr(lost.exc_value), where=lost.err_msg or repr(lost.object))
