"""Runs a worker until a signal stops it. The exit code says how it ended."""

import asyncio
import gc
import os
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NamedTuple, NoReturn

import structlog
from aiokafka.errors import GroupAuthorizationFailedError, TopicAuthorizationFailedError
from confluent_kafka import KafkaError, KafkaException

from consolidator.connecting.connection import Connection
from models.errors import AuthorizationError, ConsolidatorError, ContractError, InfrastructureError
from streams.configuration.connection import connection_of, topics_of
from streams.configuration.settings import Settings
from streams.health.children import answer_parent
from streams.health.server import HealthServer, listening_at
from streams.health.standstill_log import StandstillLog
from streams.health.summary import SUMMARY_S, Summary
from streams.health.watch import call_regularly, keep_time
from streams.rulesets.binding import require_not_anothers
from streams.rulesets.catalogue_file import load_catalogue
from streams.runtime import failpoints
from streams.runtime.allocator import keep_to_few_arenas
from streams.runtime.contact import LOOK_S, KafkaContact
from streams.runtime.exit_codes import DONE, exit_code_of
from streams.runtime.grace import GRACE_S, Grace, call_at_signals
from streams.runtime.logs import EventLog, name_process
from streams.runtime.signals import early_end
from streams.runtime.standard_error import flush_standard_error, lost_lines
from streams.runtime.supervision import Supervision
from streams.worker.app import ConsolidatorApp, create_app
from streams.worker.assignment import Engine
from streams.worker.logging_observer import LoggingObserver
from streams.worker.long_starts import tell_of_long_starts
from streams.worker.measuring.counts import EventCounts
from streams.worker.measuring.offsets import OffsetWatch
from streams.worker.probe import WorkerProbe
from streams.worker.ruleset_adoption import Rulesets
from streams.worker.state_directory import WorkerSlot, unusable
from streams.worker.transport.hearing import hear_aiokafka, passes
from topics.cluster.authorization import require_permissions
from topics.cluster.provisioning import existing, require
from topics.contract.declared import Topics
from topics.contract.permissions import Permission, Role, permissions

__all__ = ["run_worker"]

_GARBAGE_INTERVAL_S = 300.0

_SWITCH_INTERVAL_S = 0.02
"""How long the fold may run while another thread waits for the interpreter. With Python's default, 5 ms, it loses a
tenth of its speed to switches. Heartbeats and commits can wait for 20 ms."""

_FORBIDDEN = (GroupAuthorizationFailedError, TopicAuthorizationFailedError)
"""The errors of Faust's consumer when a permission is removed while the worker runs."""

_AFTERMATHS = frozenset({KafkaError._STATE, KafkaError._INCONSISTENT})  # noqa: SLF001 - librdkafka's names
"""The error codes of a step after the transaction has failed, and of a commit with undelivered records."""

_ASK_LIMIT_S = 3.0
"""How long a worker that has to end asks the cluster for the reason."""

_ASKED_S: Final = 5.0
"""How often the ends of the partitions are asked for while health is served, in seconds."""

_KEEP_AGAIN_S: Final = 5.0
"""The pause before the ruleset is written to Kafka again, in seconds."""

_log = structlog.get_logger()


def run_worker(
    settings: Settings, *, beat: Callable[[], None] | None = None, asking: socket.socket | None = None
) -> None:
    """Run a worker; returns after SIGTERM or SIGINT, when everything in flight is committed.

    The caller has configured logging. Until the worker has its own signal handlers, signals end the process: see
    :class:`~streams.runtime.signals.EarlyEnd`. Every failure ends the process. The log has the reason, and the
    exit code says who has to act.

    Args:
        settings: the settings.
        beat: called every second while the event loop runs.
        asking: the socket on which the process that serves health for several workers asks for this one's; None: this
            process serves its own, if an address is set.
    """
    try:
        if settings.failpoint is not None:
            failpoints.arm(settings.failpoint)
            _log.warning("a fail-point is armed: this worker will end or freeze itself", failpoint=settings.failpoint)
        sys.setswitchinterval(_SWITCH_INTERVAL_S)
        keep_to_few_arenas()
        catalogue = load_catalogue(settings.catalogue)
        connection = connection_of(settings)
        topics = topics_of(settings)
        contact = KafkaContact()
        declared = {name: len(rule.factors) for name, rule in catalogue.processors.items()}
        observer = LoggingObserver(EventLog(settings.log_level, settings.log_format), EventCounts(declared))
        probe = WorkerProbe(settings.app_id, topics, contact, observer.counted, patience_s=settings.broker_patience_s)
        _serve_health(settings, probe, asking)
        rulesets = Rulesets(
            connection, topics, catalogue, adopt=settings.adopt_ruleset, patience_s=settings.broker_patience_s
        )
        require_permissions(permissions(Role.WORKER, topics, settings.app_id), connection.librdkafka())
        _require_topics(topics, connection, settings.app_id)
        rulesets.admit(settings.app_id, settings.topic_prefix)
        early_end.look()
        slot = WorkerSlot(settings.state_dir, settings.app_id)
        probe.use(slot.directory)
        name_process(worker=probe.name)
        watched = _Watched(contact, observer, probe, beat)
        asyncio.run(_serve(settings, connection, topics, rulesets, slot, watched))
    except Exception as error:  # noqa: BLE001 - whatever it is, it ends the process with a documented code
        early_end.look()
        _die(error)


class _Watched(NamedTuple):
    """What a worker reports to.

    Attributes:
        contact: takes reports of whether Kafka answers.
        observer: counts and logs events.
        probe: looks at the worker.
        beat: called every second while the event loop runs; None: nobody wants to know.
    """

    contact: KafkaContact
    observer: LoggingObserver
    probe: WorkerProbe
    beat: Callable[[], None] | None


def _serve_health(settings: Settings, probe: WorkerProbe, asking: socket.socket | None) -> None:
    """Begin to keep the time and to answer, before anything that may wait for Kafka.

    Raises:
        SettingsError: nothing can listen at the address.
    """
    standstills = StandstillLog(lambda: probe.look().partitions)
    keep_time(probe.clock, Summary(probe.totals).look, standstills.look)
    if asking is not None:
        answer_parent(asking, probe.look)
    elif settings.health_address is not None:
        HealthServer(listening_at(settings.health_address), probe.look).start()


def _require_topics(topics: Topics, connection: Connection, app_id: str) -> None:
    """Raise unless every topic is as declared. Topics of another application id are reported first.

    With a mistyped id, the changelog is missing. Advice to create it would lead to a useless topic.

    Raises:
        ContractError: topics are not as declared, or belong to another application id.
    """
    config = connection.librdkafka()
    try:
        require(topics, config)
    except ContractError:
        if topics.rulesets.name in existing(topics, config):
            require_not_anothers(config, topics, app_id)
        raise


async def _collect_garbage_rarely() -> None:
    """Let Python's cycle collector run every few minutes only, and scan each object once.

    The fold makes many long-lived tuples and no cycles. By default, scanning them takes a quarter of the time. Faust
    and asyncio leave few cycles, and those can wait.
    """
    gc.disable()
    while True:
        gc.collect()
        gc.freeze()
        await asyncio.sleep(_GARBAGE_INTERVAL_S)


async def _serve(
    settings: Settings,
    connection: Connection,
    topics: Topics,
    rulesets: Rulesets,
    slot: WorkerSlot,
    watched: _Watched,
) -> None:
    """Run the application until a signal comes, then finish its rounds; every failure ends the process."""
    contact, observer, probe, _ = watched

    def die(error: BaseException) -> None:
        try:
            error = _named(_in_words(error, settings), permissions(Role.WORKER, topics, settings.app_id), connection)
        finally:
            _die(error)

    supervision = Supervision(die, passes)
    supervision.watch_loop(asyncio.get_running_loop())
    supervision.watch_threads()
    hear_aiokafka(contact)
    app = create_app(
        settings,
        connection,
        topics,
        rulesets,
        data_dir=slot.directory,
        observer=observer,
        supervision=supervision,
        contact=contact,
        clock=probe.clock,
    )
    offsets = OffsetWatch(connection.librdkafka(), topics, probe.owned, probe.clock)
    probe.attach(app, offsets)
    call_regularly(offsets.ask, _ASKED_S if settings.health_address else SUMMARY_S, "health-offsets")
    stop, stopped = asyncio.Event(), threading.Event()
    _stop_at_signals(app.partition_owner, stop, stopped, die)
    early_end.look()
    _log.info("worker starting", app_id=settings.app_id, ruleset=rulesets.own.name, state=str(slot.directory))
    supervision.watch(_collect_garbage_rarely(), "collecting garbage")
    supervision.watch(_every_second(watched), "the watch over Kafka")
    supervision.watch(tell_of_long_starts(app), "the watch over the start")
    keep = _keep_ruleset(rulesets, app.partition_owner.accepted)
    keeping = supervision.watch(keep, "keeping the ruleset", may_end=True)
    await _run(app, supervision, stop)
    keeping.cancel()
    # A thread may still be writing the ruleset to Kafka, and log that. Wait, so that the line below is the last one.
    await asyncio.get_running_loop().shutdown_default_executor()
    _log.info("worker stopped", **observer.counts, **_lost_lines())
    stopped.set()


async def _run(app: ConsolidatorApp, supervision: Supervision, stop: asyncio.Event) -> None:
    """Run the application until it has to stop, and stop it in order."""
    starting = supervision.watch(app.start(), "Faust's start", may_end=True)
    watching = supervision.watch(app.partition_owner.watch_source(), "the watch over the source topic")
    tidying = supervision.watch(app.unused_databases.run(), "removing databases that nobody uses")
    supervision.watch(app.wait_until_stopped(), "the Faust application")
    await stop.wait()
    supervision.stopping()
    _log.info("worker stopping, draining what is in flight")
    watching.cancel()
    tidying.cancel()
    await app.stop()
    await app.partition_owner.close()
    await asyncio.wait([starting])


def _stop_at_signals(
    owner: Engine, stop: asyncio.Event, stopped: threading.Event, die: Callable[[BaseException], object]
) -> None:
    """Let SIGTERM and SIGINT stop the worker in order, and in limited time in any case.

    Args:
        owner: knows whether something is in flight.
        stop: is set by the first signal.
        stopped: is set when the worker has stopped, and only the interpreter has to end.
        die: ends the process, if the rounds in flight are not committed in time.
    """
    loop = asyncio.get_running_loop()
    grace = Grace(
        lambda: stopped.is_set() or owner.is_idle,
        leave=lambda: _leave(told=stopped.is_set()),
        expired=lambda: die(_undrained()),
    )

    def asked_to_stop() -> None:
        grace.begin()
        # The loop may be closed already, if everything has ended.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(stop.set)

    call_at_signals(asked_to_stop)


async def _every_second(watched: _Watched) -> None:
    while True:
        watched.contact.look()
        watched.probe.beat()
        if watched.beat is not None:
            watched.beat()
        await asyncio.sleep(LOOK_S)


async def _keep_ruleset(rulesets: Rulesets, accepted: asyncio.Event) -> None:
    """Write the catalogue to Kafka once partitions continue with it, so that a refused catalogue is not written.

    It is needed only when another ruleset is adopted later. So where Kafka does not answer, which ends a start, it is
    tried again: the worker has begun, and its transactions wait for Kafka much longer.
    """
    await accepted.wait()
    while True:
        try:
            await asyncio.get_running_loop().run_in_executor(None, rulesets.keep)
        except InfrastructureError as error:
            _log.warning("the ruleset could not be kept in Kafka yet; it is tried again", error=str(error))
            await asyncio.sleep(_KEEP_AGAIN_S)
        else:
            return


def _lost_lines() -> dict[str, int]:
    """The number of lost log lines, if any, for the last line."""
    lost = lost_lines()
    return {"log_lines_lost": lost} if lost else {}


def _undrained() -> InfrastructureError:
    return InfrastructureError(
        f"what was in flight could not be committed within {GRACE_S:.0f} s, so the worker ends without it: nothing of "
        "it was acknowledged, and a restart does it again"
    )


def _leave(*, told: bool) -> NoReturn:
    """End the process if nothing is in flight, although libraries may still wait for something.

    Args:
        told: whether the end of the worker has been logged.
    """
    if not told:
        _log.info("worker stopped: nothing was in flight", **_lost_lines())
    flush_standard_error()
    os._exit(DONE)


def _in_words(error: BaseException, settings: Settings) -> BaseException:
    """The error, or a clearer one if a library's error says only which call failed."""
    if isinstance(error, OSError) and error.filename is not None:
        return unusable(settings.state_dir, error)
    if passes(error):
        reason = str(error) or type(error).__name__
        return InfrastructureError(f"Kafka does not answer: {reason}; nothing was acknowledged. Are the brokers up?")
    return error


def _named(error: BaseException, needed: list[Permission], connection: Connection) -> BaseException:
    """The error, or an error that names the missing permissions, if Kafka refused something for lack of one."""
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
    """Whether librdkafka's error says only that records had failed before. The first failure is not reported elsewhere.

    The step and the words of this error depend on when the broker's answer comes.
    """
    cause = error.__cause__
    return isinstance(cause, KafkaException) and cause.args[0].code() in _AFTERMATHS


def _die(error: BaseException) -> NoReturn:
    """End the process at once, acknowledging nothing.

    This is no orderly stop: Faust's would acknowledge rounds and continue other work. Committed transactions and
    RocksDB are consistent at every moment. After the restart, rounds that were in flight are processed again.
    """
    if isinstance(error, ConsolidatorError):
        _log.critical("worker halted", error=str(error), kind=type(error).__name__)
    else:
        _log.critical("worker crashed", error=repr(error), exc_info=error)
    flush_standard_error()
    os._exit(exit_code_of(error))
