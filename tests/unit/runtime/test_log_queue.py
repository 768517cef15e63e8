"""The queue of log lines: nobody who has something to say waits for whoever reads it, and what is lost is counted."""

import os
import threading
import time
from contextlib import contextmanager

import pytest

from streams.runtime.log_queue import LogQueue

LIMIT_S = 30.0


def numbered(start, end):
    return [f"line {number}\n".encode() for number in range(start, end)]


@contextmanager
def pipe():
    """A pipe that nobody reads, and how much of it is full: to the last byte."""
    reading, writing = os.pipe()
    try:
        yield reading, writing
    finally:
        os.close(reading)
        os.close(writing)


def fill(writing):
    os.set_blocking(writing, False)
    filled = 0
    try:
        while True:
            filled += os.write(writing, b"\n")
    except BlockingIOError:
        os.set_blocking(writing, True)
    return filled


def read_until(reading, text):
    found = b""
    deadline = time.monotonic() + LIMIT_S
    while text not in found:
        assert time.monotonic() < deadline, found
        found += os.read(reading, 65_536)
    return found


def wait(condition):
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_lines_are_written_in_their_order(tmp_path):
    """Lines of one thread come out as they went in, and none is lost."""
    with (tmp_path / "log").open("wb") as file:
        queue = LogQueue(file.fileno())
        for start in range(0, 10_000, 100):
            queue.put(numbered(start, start + 100))
        queue.flush(LIMIT_S)
    assert (tmp_path / "log").read_bytes() == b"".join(numbered(0, 10_000))
    assert queue.lost == 0


def test_many_threads_lose_nothing(tmp_path):
    """Lines of several threads are all there, each whole."""
    with (tmp_path / "log").open("wb") as file:
        queue = LogQueue(file.fileno())
        threads = [
            threading.Thread(target=lambda start=start: [queue.put([line]) for line in numbered(start, start + 1_000)])
            for start in range(0, 8_000, 1_000)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        queue.flush(LIMIT_S)
    assert sorted((tmp_path / "log").read_bytes().splitlines(keepends=True)) == sorted(numbered(0, 8_000))


@pytest.mark.parametrize("bound", [{"max_lines": 10}, {"max_bytes": 10 * len("line 10\n")}])
def test_a_reader_that_does_not_read_holds_nobody_up(bound):
    """Beyond its bound the queue takes nothing; when the reader is back a line stands where lines were lost."""
    with pipe() as (reading, writing):
        filled = fill(writing)
        queue = LogQueue(writing, **bound)
        queue.put(numbered(10, 20))
        for number in range(20, 50):
            queue.put(numbered(number, number + 1))
        assert (queue.waiting, queue.lost) == (10, 30)
        expected = b"".join(numbered(10, 20)) + b"30 log lines were lost, 30 in all\n"
        found = read_until(reading, b"in all\n")
        assert found == b"\n" * filled + expected
        queue.put(numbered(50, 51))
        assert read_until(reading, b"line 50\n") == b"line 50\n"


def test_a_line_that_does_not_fit_is_lost_alone():
    """Of lines that come at once those are taken for which there is room, from the first one on."""
    with pipe() as (reading, writing):
        filled = fill(writing)
        queue = LogQueue(writing, max_lines=5)
        queue.put(numbered(0, 8))
        assert (queue.waiting, queue.lost) == (5, 3)
        found = read_until(reading, b"in all\n")[filled:]
        assert found == b"".join(numbered(0, 5)) + b"3 log lines were lost, 3 in all\n"


def test_a_full_device_costs_its_lines_and_no_time():
    """Where nothing can be written every line is counted, and flush() has nothing to wait for."""
    descriptor = os.open("/dev/full", os.O_WRONLY)
    queue = LogQueue(descriptor)
    queue.put(numbered(0, 100))
    queue.put(numbered(100, 150))
    queue.flush(LIMIT_S)
    assert (queue.waiting, queue.lost) == (0, 150)
    os.close(descriptor)


def test_a_reader_that_has_gone_costs_the_lines():
    """A broken pipe ends neither the process nor the writer's thread."""
    reading, writing = os.pipe()
    os.close(reading)
    queue = LogQueue(writing)
    for number in range(3):
        queue.put(numbered(number, number + 1))
        queue.flush(LIMIT_S)
    assert queue.lost == 3
    os.close(writing)


def test_without_a_descriptor_every_line_is_lost():
    """A closed stderr is no place to write to: the lines are counted, and there is no thread."""
    queue = LogQueue(None)
    queue.put(numbered(0, 7))
    queue.flush(LIMIT_S)
    assert (queue.lost, queue.waiting) == (7, 0)


def test_a_line_that_was_torn_ends_before_the_next_one(tmp_path, monkeypatch):
    """When a disk fills up in the middle of a line, the next line that can be written begins on a line of its own."""
    room = len(b"line 0\nli")
    plain_write = os.write

    def write(descriptor, data):
        nonlocal room
        if not room:
            raise OSError(28, "No space left on device")
        written = plain_write(descriptor, data[:room])
        room -= written
        return written

    with (tmp_path / "log").open("wb") as file:
        queue = LogQueue(file.fileno())
        monkeypatch.setattr(os, "write", write)
        queue.put(numbered(0, 3))
        wait(lambda: not queue.waiting)
        assert queue.lost == 2
        room = 10_000
        queue.put(numbered(3, 4))
        queue.flush(LIMIT_S)
    assert (tmp_path / "log").read_bytes() == b"line 0\nli\n2 log lines were lost, 2 in all\nline 3\n"


def test_flush_does_not_wait_for_a_reader_for_long():
    """A process that ends goes, whatever becomes of its last lines."""
    with pipe() as (_, writing):
        fill(writing)
        queue = LogQueue(writing)
        queue.put(numbered(0, 1))
        since = time.monotonic()
        queue.flush(0.1)
        assert time.monotonic() - since < LIMIT_S / 2
        assert queue.waiting == 1


def test_a_pipe_that_somebody_made_non_blocking_is_waited_for():
    """Who shares the pipe may have set it so: a full one is no lost line."""
    with pipe() as (reading, writing):
        filled = fill(writing)
        os.set_blocking(writing, False)
        queue = LogQueue(writing)
        queue.put(numbered(0, 1))
        assert read_until(reading, b"line 0\n") == b"\n" * filled + b"line 0\n"
        assert queue.lost == 0
