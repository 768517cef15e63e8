"""Runs a worker until it is told to stop, and tells by the exit code how it ended."""

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Callable

import structlog
from aiokafka.errors import GroupAuthorizationFailedError, TopicAuthorizationFailedError
from confluent_kafka import KafkaError, KafkaException

from models.errors import AuthorizationError, ConsolidatorError
from streams.configuration.connection import connection_of, topics_of
from streams.configuration.settings import Settings
from streams.rulesets.catalogue_file import load_catalogue
from streams.runtime import failpoints
from streams.runtime.exit_codes import exit_code_of
from streams.runtime.logs import EventLog
from streams.worker.app import create_app
from streams.worker.logging_observer import LoggingObserver
from streams.worker.ruleset_adoption import Rulesets
from streams.worker.state_directory import WorkerSlot
from topics.cluster.authorization import require_permissions
from topics.cluster.connection import Connection
from topics.cluster.provisioning import require
from topics.contract.declared import Topics
from topics.contract.permissions import Permission, Role, permissions

__all__ = ["GRACE_S", "run_worker"]

GRACE_S = 30.0
"""How long an orderly stop may take: some batches in flight, each bounded by a transaction's time."""

_GARBAGE_INTERVAL_S = 300.0

_SWITCH_INTERVAL_S = 0.02
"""How long the fold may go on while another thread wants the interpreter. At Python's 5 ms it loses a tenth of its
speed to switches; heartbeats and commits can wait for 20 ms, and find it free when there is little to do."""

_FORBIDDEN = (GroupAuthorizationFailedError, TopicAuthorizationFailedError)
"""What Faust's consumer raises when a permission is taken away while the worker runs."""

_AFTERMATHS = frozenset({KafkaError._STATE, KafkaError._INCONSISTENT})  # noqa: SLF001 - librdkafka's names
"""A step after the transaction had failed, and a commit with records that were not delivered."""

_ASK_LIMIT_S = 3.0
"""A worker that has to end does not wait longer to say why."""


_log = structlog.get_logger()


def run_worker(settings: Settings) -> None:
    """Run a worker; returns after SIGTERM or SIGINT, when everything in flight is committed.

    Logging is configured, and until the worker takes signals for itself they end the process: see
    ``streams/runtime/signals.py``.

    Raises:
        ContractError: catalogue, topics or settings are not what was agreed upon.
        InfrastructureError: Kafka or the disk failed before the start.
    """
    if settings.failpoint is not None:
        failpoints.arm(settings.failpoint)
        _log.warning("a fail-point is armed: this worker will end or freeze itself", failpoint=settings.failpoint)
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    catalogue = load_catalogue(settings.catalogue)
    connection = connection_of(settings)
    topics = topics_of(settings)
    require_permissions(permissions(Role.WORKER, topics, settings.app_id), connection.librdkafka())
    require(topics, connection.librdkafka())
    slot = WorkerSlot(settings.state_dir, settings.app_id)
    rulesets = Rulesets(
        connection, topics, catalogue, adopt=settings.adopt_ruleset, max_event_bytes=settings.max_event_bytes
    )
    asyncio.run(_serve(settings, connection, topics, rulesets, slot))


async def _collect_garbage_rarely() -> None:
    """Look for cycles every few minutes only, and at each object once.

    The fold makes many long-lived tuples and no cycles; looking at them each 700 allocations takes a quarter of the
    time. What Faust and asyncio leave in cycles is little, and can wait.
    """
    gc.disable()
    while True:
        gc.collect()
        gc.freeze()
        await asyncio.sleep(_GARBAGE_INTERVAL_S)


async def _serve(
    settings: Settings, connection: Connection, topics: Topics, rulesets: Rulesets, slot: WorkerSlot
) -> None:
    observer = LoggingObserver(EventLog(settings.log_level, settings.log_format))

    def die(error: BaseException) -> None:
        _die(_named(error, permissions(Role.WORKER, topics, settings.app_id), connection))

    app = create_app(settings, connection, topics, rulesets, data_dir=slot.directory, observer=observer, on_fatal=die)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    collecting = asyncio.create_task(_collect_garbage_rarely())
    _log.info("worker starting", app_id=settings.app_id, ruleset=rulesets.own.name, state=str(slot.directory))
    starting = asyncio.create_task(app.start())
    watching = asyncio.create_task(app.partition_owner.watch_source())
    keeping = asyncio.create_task(_keep_ruleset(rulesets, die))
    tidying = asyncio.create_task(app.unused_databases.run())
    crashed = asyncio.create_task(app.wait_until_stopped())
    await asyncio.wait({crashed, asyncio.create_task(stop.wait())}, return_when=asyncio.FIRST_COMPLETED)
    if not stop.is_set():
        die(app.crash_reason or RuntimeError("the application stopped by itself"))
    _log.info("worker stopping, draining what is in flight")
    watching.cancel()
    keeping.cancel()
    tidying.cancel()
    try:
        async with asyncio.timeout(GRACE_S):
            await app.stop()
            await app.partition_owner.close()
            await starting
    except TimeoutError:
        _die(RuntimeError(f"not drained within {GRACE_S:.0f} s"))
    collecting.cancel()
    _log.info("worker stopped", **observer.counts)


async def _keep_ruleset(rulesets: Rulesets, on_fatal: Callable[[BaseException], None]) -> None:
    """Keep the catalogue in Kafka, beside the start: nothing waits for it until another one is adopted."""
    try:
        await asyncio.get_running_loop().run_in_executor(None, rulesets.keep)
    except ConsolidatorError as error:
        on_fatal(error)


def _named(error: BaseException, needed: list[Permission], connection: Connection) -> BaseException:
    """The error, or the permissions that are missing where Kafka refused something for lack of one."""
    if not isinstance(error, (AuthorizationError, *_FORBIDDEN)) and not _is_aftermath(error):
        return error
    try:
        require_permissions(needed, connection.librdkafka(), timeout_s=_ASK_LIMIT_S)
    except AuthorizationError as named:
        return named
    except ConsolidatorError:
        return error
    return AuthorizationError(str(error)) if isinstance(error, _FORBIDDEN) else error


def _is_aftermath(error: BaseException) -> bool:
    """Whether librdkafka only says that records had failed before: a refused one is told to nobody else.

    Which step says so, and in which words, depends on when the broker's answer comes.
    """
    cause = error.__cause__
    return isinstance(cause, KafkaException) and cause.args[0].code() in _AFTERMATHS


def _die(error: BaseException) -> None:
    """End the process at once, acknowledging nothing.

    No orderly stop: Faust's would acknowledge and go on with other work, while a committed transaction and RocksDB are
    consistent at every instant. What was in flight is done again after the restart.
    """
    if isinstance(error, ConsolidatorError):
        _log.critical("worker halted", error=str(error), kind=type(error).__name__)
    else:
        _log.critical("worker crashed", error=repr(error), exc_info=error)
    sys.stderr.flush()
    os._exit(exit_code_of(error))
