"""Collects every failure in a process, and ends the process at the first one.

By default, a failed task keeps its exception until it is read, and a failed thread prints a traceback. The process
would continue without them: it would stay in the group, own partitions, and do nothing.
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
"""How long a task's exception may stay unread: libraries may await a task late, but not that late."""

_log = structlog.get_logger()


class Supervision:
    """Takes failures from any thread; the first one ends the process.

    Args:
        end: ends the process; called once, with the first failure.
        passes: whether a failure in a library's background task is temporary, such as a lost connection.
    """

    def __init__(self, end: Callable[[BaseException], object], passes: Callable[[BaseException], bool]) -> None:
        self._end = end
        self._passes = passes
        self._telling = threading.RLock()
        self._has_failed = False
        self._is_stopping = False

    def fail(self, error: BaseException) -> None:
        """End the process, unless an earlier failure is ending it already."""
        with self._telling:
            is_first, self._has_failed = not self._has_failed, True
        if is_first:
            self._end(error)

    def stopping(self) -> None:
        """From now on tasks end, and libraries may report errors about it; only :meth:`fail` still ends the process."""
        self._is_stopping = True

    def fail_unless_stopping(self, error: BaseException) -> None:
        """End the process; if it is ending already, only log the failure."""
        if self._is_stopping:
            self._tell("a failure while the worker stops", error=repr(error))
        else:
            self.fail(error)

    def background_failure(self, error: BaseException, where: str) -> None:
        """Take a failure of a background task: it ends the process, unless it is temporary or the process is ending."""
        if self._is_stopping or self._passes(error):
            self._tell("a background task failed", task=where, error=repr(error))
        else:
            self.fail(error)

    def _tell(self, event: str, **fields: str) -> None:
        """Log a failure that does not end the process. After a fatal one, log nothing: its line is the last one."""
        with self._telling:
            if not self._has_failed:
                _log.warning(event, **fields)

    def watch(self, work: Coroutine[Any, Any, object], name: str, *, may_end: bool = False) -> asyncio.Task[object]:
        """Run a task whose failure ends the process.

        Args:
            work: the task's coroutine.
            name: its purpose, for the message when it ends.
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
        """Take all unhandled failures on an event loop, of every library's tasks.

        asyncio reports such a task only when it is garbage-collected. If its frames are in a reference cycle, that is
        minutes later, or never.
        """
        loop.set_exception_handler(self._complaint)
        loop.set_task_factory(self._new_task)

    def watch_threads(self) -> None:
        """Take the exceptions of all threads, and log errors in finalizers and callbacks."""
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
        """Handles what asyncio would only log: failed callbacks, and errors of libraries' connections."""
        error = context.get("exception")
        message = str(context.get("message", "asyncio complains"))
        if error is None:
            self._tell("the event loop complains", of=message)
        else:
            self.background_failure(error, message)

    def _thread_ended(self, args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None and args.exc_type is not SystemExit:
            # A thread does not start again, so every exception in one is fatal.
            self.fail_unless_stopping(args.exc_value)


def _is_unseen(task: asyncio.Task[Any]) -> bool:
    """Whether a task has an exception that nobody has retrieved. To read the exception would count as retrieving it."""
    return bool(getattr(task, "_log_traceback", False))


def _lost_exception(lost: "sys.UnraisableHookArgs") -> None:
    _log.warning("an exception was lost", error=repr(lost.exc_value), where=lost.err_msg or repr(lost.object))
