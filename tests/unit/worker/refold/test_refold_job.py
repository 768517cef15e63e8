"""The process that folds a partition again, as the worker starts and ends it; it waits for a broker: there is none."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from models.errors import ContractError, InfrastructureError
from models.rows import PartitionMark
from streams.rulesets.catalogue_file import catalogue_json
from streams.worker.refold.job import RefoldJob
from streams.worker.refold.messages import task_of
from streams.worker.refold.table import RefoldDirectory
from tests.inputs.cases import one_factor
from tests.inputs.waiting import waiting
from tests.oracle.folds import catalogue_of, topics_of

LIMIT_S = 30
SUM, MAX = catalogue_of(one_factor("sum")), catalogue_of(one_factor("max"))


async def in_thread(call):
    return await asyncio.to_thread(call)


def job_in(directory, **config):
    task = task_of(
        {"bootstrap.servers": "localhost:9", "log_level": 0} | config,
        topics_of(),
        PartitionMark(0, 6, "sum", topic_id="topic-id"),
        [catalogue_json(SUM), catalogue_json(MAX)],
        max_event_bytes=1_000,
        gone_over=b"",
        until=None,
    )
    return RefoldJob(task, (SUM.digest, MAX.digest), directory, lambda _: None, in_thread)


def children():
    """The process ids of this process's children."""
    found = []
    for path in Path("/proc/self/task").glob("*/children"):
        found += map(int, path.read_text(encoding="ascii").split())
    return found


async def nothing_to_announce():
    raise AssertionError("it has not come near to the end")


async def started(job, directory):
    """The job under way: its process has its database open."""
    before = set(children())
    running = asyncio.create_task(job.run(directory, nothing_to_announce))
    async with asyncio.timeout(LIMIT_S):
        while not (directory.path / "table" / "CURRENT").exists():  # noqa: ASYNC110 - a file tells nobody
            await asyncio.sleep(0.02)
    [pid] = set(children()) - before
    return running, pid


def test_a_job_that_is_cancelled_ends_its_process(tmp_path):
    """At once, as a revocation waits for it; the database is closed, so that the next owner can open it."""

    async def story():
        job, directory = job_in(tmp_path), RefoldDirectory.free(tmp_path, 0, range(1))
        running, pid = await started(job, directory)
        with waiting() as waited_s:
            running.cancel()
            await asyncio.wait([running])
            took_s = waited_s()
        with job.opened(directory) as table:
            assert table.applied == -1
        directory.release()
        return pid, took_s

    pid, took_s = asyncio.run(story())
    assert pid not in children()
    assert took_s < 4


def test_a_process_that_ends_by_itself_ends_the_worker(tmp_path):
    """Killed for want of memory, for example: nothing is lost, and a restart goes on with what is folded."""

    async def story():
        job, directory = job_in(tmp_path), RefoldDirectory.free(tmp_path, 0, range(1))
        running, pid = await started(job, directory)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(
            InfrastructureError, match="partition 0: the process that folds it again ended with signal 9"
        ):
            await running
        directory.release()

    asyncio.run(story())


def test_what_the_process_cannot_do_is_said_by_the_worker(tmp_path):
    """Its own log is nowhere: what went wrong comes through the pipe."""

    async def story():
        job, directory = job_in(tmp_path, nonsense=1), RefoldDirectory.free(tmp_path, 0, range(1))
        with pytest.raises(ContractError, match="nonsense"):
            await job.run(directory, nothing_to_announce)
        directory.release()

    asyncio.run(story())
