"""Supervision: whatever fails in a process, and whoever does not look at it, the first failure ends the process."""

import asyncio
import threading

import pytest
from structlog.testing import capture_logs

from models.errors import InfrastructureError
from streams.runtime import supervision as module
from streams.runtime.supervision import Supervision

LIMIT_S = 30.0


class Ends:
    """What ended a process that goes on all the same."""

    def __init__(self):
        self.errors = []
        self.heard = threading.Event()

    def __call__(self, error):
        self.errors.append(error)
        self.heard.set()


@pytest.fixture
def ends():
    return Ends()


@pytest.fixture
def supervision(ends, monkeypatch):
    monkeypatch.setattr(module, "_UNSEEN_S", 0.01)
    return Supervision(ends, passes=lambda error: isinstance(error, OSError))


async def fail(error):
    await asyncio.sleep(0)
    raise error


async def end():
    await asyncio.sleep(0)


def run(work):
    """Run something on a loop that is watched."""
    return asyncio.run(work())


async def until(condition):
    async with asyncio.timeout(LIMIT_S):
        while not condition():  # noqa: ASYNC110 - no event tells of it
            await asyncio.sleep(0.001)


def test_only_the_first_failure_ends_the_process(supervision, ends):
    """The second failure is mostly an echo of the first: it is not told."""
    first, second = ValueError("first"), ValueError("second")
    supervision.fail(first)
    supervision.fail(second)
    assert ends.errors == [first]


def test_after_the_first_failure_nothing_more_is_told(supervision, ends):
    """Its sentence is the last one in the log, whatever other tasks and threads complain of while the process ends."""
    complaints = [
        lambda: supervision.background_failure(OSError("lost"), "a task"),
        lambda: supervision._complaint(None, {"message": "odd"}),
    ]
    with capture_logs() as told:
        for complain in complaints:
            complain()
        assert len(told) == len(complaints)
        supervision.fail(ValueError("first"))
        supervision.stopping()
        supervision.fail_unless_stopping(ValueError("second"))
        for complain in complaints:
            complain()
    assert len(told) == len(complaints)
    assert [str(error) for error in ends.errors] == ["first"]


def test_a_watched_task_may_not_fail(supervision, ends):
    """A failure of one of our tasks ends the process at once."""
    error = ValueError("failed")

    async def work():
        supervision.watch(fail(error), "a task", may_end=True)
        await until(lambda: ends.errors)

    run(work)
    assert ends.errors == [error]


@pytest.mark.parametrize("cancelled", [False, True])
def test_a_watched_task_may_not_end(supervision, ends, cancelled):
    """A task for the process's whole life that ends, or is cancelled by somebody, is a failure that names it."""

    async def work():
        task = supervision.watch(end(), "the watch over Kafka")
        if cancelled:
            task.cancel()
        await until(lambda: ends.errors)

    run(work)
    [error] = ends.errors
    assert isinstance(error, InfrastructureError)
    assert "the watch over Kafka" in str(error)


def test_what_ends_while_the_process_stops_is_no_failure(supervision, ends):
    """Tasks are cancelled, and libraries complain that they were."""

    async def work():
        supervision.watch_loop(asyncio.get_running_loop())
        supervision.watch(end(), "a task")
        supervision.watch(fail(ValueError("too late")), "another")
        asyncio.create_task(fail(ValueError("of nobody"))).set_name("third")
        supervision.stopping()
        await asyncio.sleep(0.1)

    run(work)
    assert not ends.errors


def test_a_task_of_a_library_that_nobody_looks_at_ends_the_process(supervision, ends):
    """Also where its frames are in a cycle, which is not collected."""
    error = ValueError("of nobody")
    kept = []

    async def work():
        supervision.watch_loop(asyncio.get_running_loop())
        kept.append(asyncio.create_task(fail(error)))
        await until(lambda: ends.errors)

    run(work)
    assert ends.errors == [error]


def test_a_task_that_is_awaited_is_its_awaiters_matter(supervision, ends):
    """A failure that somebody handles is none."""

    async def work():
        supervision.watch_loop(asyncio.get_running_loop())
        with pytest.raises(ValueError, match="handled"):
            await asyncio.create_task(fail(ValueError("handled")))
        await asyncio.gather(fail(ValueError("handled")), return_exceptions=True)
        await asyncio.sleep(0.1)

    run(work)
    assert not ends.errors


def test_a_loss_of_a_connection_in_the_background_passes(supervision, ends):
    """A Kafka client whose background task lost its connection tries again by itself."""

    async def work():
        supervision.watch_loop(asyncio.get_running_loop())
        asyncio.create_task(fail(ConnectionResetError("gone"))).set_name("reader")
        await asyncio.sleep(0.1)

    run(work)
    assert not ends.errors


def test_a_callback_that_fails_ends_the_process(supervision, ends):
    """The event loop would log it, and go on without what the callback was for."""

    def callback():
        raise ValueError("in a callback")

    async def work():
        loop = asyncio.get_running_loop()
        supervision.watch_loop(loop)
        loop.call_soon(callback)
        await until(lambda: ends.errors)

    run(work)
    assert str(ends.errors[0]) == "in a callback"


@pytest.mark.parametrize("error", [ValueError("in a thread"), ConnectionResetError("gone"), asyncio.CancelledError()])
def test_a_thread_that_fails_ends_the_process(supervision, ends, monkeypatch, error):
    """Python would print a traceback, and go on without the thread; nobody tries its work again."""

    def work():
        raise error

    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr("sys.unraisablehook", None)
    supervision.watch_threads()
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ends.errors == [error]
