"""Puts a sink together, and runs it until it is ended."""

import os
import sys
import threading
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Final, NoReturn, TypeVar
from uuid import uuid4

import structlog
from confluent_kafka import KafkaException
from sqlalchemy import Engine
from sqlalchemy.engine import URL

from consolidator.connecting.edges import edges_of
from models.catalogue import RerunPolicy
from models.errors import ContractError, InfrastructureError
from streams.configuration.connection import topics_of
from streams.configuration.settings import Settings
from streams.core.rules import Rules
from streams.health.server import HealthServer, listening_at
from streams.health.standstill_log import StandstillLog
from streams.health.summary import Summary
from streams.health.watch import keep_time
from streams.rulesets.catalogue_file import load_catalogue
from streams.rulesets.rule_book import RuleBook
from streams.runtime.contact import KafkaContact
from streams.runtime.exit_codes import DONE
from streams.runtime.grace import Grace, call_at_signals
from streams.runtime.logs import name_process
from streams.runtime.standard_error import flush_standard_error
from streams.sink.database import migrate, open_for_writing
from streams.sink.failures import DatabaseAwayError
from streams.sink.interpreter import set_for_cuts
from streams.sink.lane import Cursor
from streams.sink.membership import Membership
from streams.sink.ownership import Installed, database_id
from streams.sink.service import SinkService
from streams.sink.watching.figures import SinkFigures
from streams.sink.watching.probe import SinkProbe
from streams.sink.watching.waits import Waits
from streams.sink.writing import CutWriter
from topics.cluster.admin_client import REACH_TIMEOUT_S, Cluster
from topics.cluster.authorization import require_permissions
from topics.contract.declared import Topics
from topics.contract.permissions import Role, permissions
from topics.reading.erasures import ConfirmedErasures
from topics.reading.following import Follower
from topics.reading.progress import GroupProgress
from topics.reading.rulesets import read_rulesets
from topics.records.adoptions import KnownRulesets

__all__ = ["absence_ms_of", "beginnings_of", "installed_of", "keeping_of", "run_sink"]

_AGAIN_S: Final = 1.0
_ABSENCE_S: Final = 2.0
_TOMBSTONES: Final = "delete.retention.ms"

_log = structlog.get_logger()
_T = TypeVar("_T")


def run_sink(settings: Settings, config: Mapping[str, str | int], url: URL) -> NoReturn:
    """Run a sink until a signal ends it, and with it the process, which takes a limited time.

    Args:
        settings: the settings.
        config: for librdkafka.
        url: the database.

    Raises:
        AuthorizationError: the cluster does not permit it.
        ContractError: topics or tables are not as agreed.
        InfrastructureError: Kafka does not answer at the start, or what is in the log cannot be read.
    """
    topics = topics_of(settings)
    contact = KafkaContact()
    probe = SinkProbe(settings.app_id, topics, contact, settings.state_dir)
    name_process(worker=probe.name)
    standstills = StandstillLog(lambda: probe.look().partitions)
    keep_time(probe.clock, contact.look, Summary(probe.totals).look, standstills.look)
    if settings.health_address is not None:
        HealthServer(listening_at(settings.health_address), probe.look).start()
    require_permissions(permissions(Role.SINK, topics, settings.app_id), config)
    cluster = Cluster(config)
    installed = installed_of(cluster, topics, settings.app_id)
    engine = open_for_writing(url)
    known = _patiently(engine, lambda: _prepared(engine, installed), Waits(probe.figures))
    writer = _writer(engine, config, topics, settings.max_event_bytes, probe.figures)
    group = f"{settings.app_id}-sink-{known}"
    _log.info("sink started", database=url.render_as_string(hide_password=True), group=group)
    with (
        set_for_cuts(),
        Follower(config) as follower,
        GroupProgress(config, settings.app_id, topics) as progress,
        Membership(config, group, topics.executions.name, settings.session_timeout_s) as membership,
    ):
        service = SinkService(
            engine,
            writer,
            topics,
            membership,
            follower,
            progress,
            beginnings=lambda partition: beginnings_of(cluster, topics, [partition])[partition],
            absence_ms=absence_ms_of(topics),
            fenced_s=settings.session_timeout_s,
            figures=probe.figures,
        )
        probe.attach(lambda: service.lanes)
        service.run(_stop_at_signals(service))
    engine.dispose()
    _log.info("sink stopped")
    # At once: the end of Kafka's clients may wait for brokers that do not answer.
    _end()


def _stop_at_signals(service: SinkService) -> threading.Event:
    """Is set by SIGTERM and SIGINT; and the process ends in limited time then, whatever its threads wait for.

    From here on a signal raises nothing: an exception between the taking of a lock and the block that gives it back
    would leave it taken, and another thread, or the end of a client of Kafka's, would wait for it without end.
    """
    stop = threading.Event()
    grace = Grace(lambda: service.is_idle, leave=_leave, expired=_leave)

    def asked_to_stop() -> None:
        grace.begin()
        stop.set()

    call_at_signals(asked_to_stop)
    return stop


def _leave() -> NoReturn:
    """End the process although it still waits for something: what is not committed is nothing."""
    frame = sys._current_frames().get(threading.main_thread().ident or 0)  # noqa: SLF001 - as Python documents it
    place = "" if frame is None else f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
    _log.warning("the sink does not end by itself: it is ended", where=place)
    _end()


def _end() -> NoReturn:
    flush_standard_error()
    os._exit(DONE)


def _writer(
    engine: Engine, config: Mapping[str, str | int], topics: Topics, max_event_bytes: int, figures: SinkFigures
) -> CutWriter:
    """Writes cuts. The loop asks Kafka what it has to know for one: a sink that waits for the answer is not blocked."""

    def rulesets() -> KnownRulesets:
        return figures.asking(lambda: read_rulesets(config, topics, settled=range(topics.partitions)))

    return CutWriter(
        engine,
        topics,
        max_event_bytes=max_event_bytes,
        authority=ConfirmedErasures(config, topics, figures.asking),
        keeping=lambda digest: keeping_of(rulesets, digest),
        rulesets=rulesets,
    )


def keeping_of(rulesets: Callable[[], KnownRulesets], digest: str) -> Collection[str]:
    """Which processors keep what a failed rerun replaces elsewhere, under the ruleset with a digest.

    Args:
        rulesets: reads what Kafka keeps of rulesets; not called where the digest is the settings' catalogue's.
        digest: the ruleset's.

    Raises:
        ContractError: that catalogue is not in Kafka.
        InfrastructureError: Kafka does not answer.
    """
    book = RuleBook(Rules(load_catalogue(None)), rulesets)
    catalogue = load_catalogue(None) if digest == book.configured.digest else book.kept(digest)
    return [name for name, rule in catalogue.processors.items() if rule.on_failed_rerun is RerunPolicy.KEEP_PREVIOUS]


def installed_of(cluster: Cluster, topics: Topics, group: str) -> Installed:
    """Which installation it is.

    Raises:
        ContractError: a topic is missing, or has other partitions than declared.
    """
    for topic in (topics.executions, topics.factor_changes, topics.dlq):
        identity = cluster.identify(topic.name, absence_s=_ABSENCE_S)
        if identity is None:
            raise ContractError(f"there is no topic {topic.name}: run `consolidator topics apply`")
        if identity.partitions != topics.partitions:
            raise ContractError(
                f"{topic.name} has {identity.partitions} partitions, CONSOLIDATOR_PARTITIONS says {topics.partitions}: "
                f"set it to {identity.partitions}"
            )
        if topic is topics.executions:
            found = Installed(group, topic.name, identity.topic_id, identity.partitions)
    return found


def _prepared(engine: Engine, installed: Installed) -> str:
    migrate(engine)
    return database_id(engine, installed, uuid4().hex[:12])


def _patiently(engine: Engine, ask: Callable[[], _T], waits: Waits) -> _T:
    """Ask a database that may still be starting, until it answers."""
    while True:
        try:
            found = ask()
        except DatabaseAwayError as error:
            waits.database_away(error)
            engine.dispose()
            time.sleep(_AGAIN_S)
        else:
            waits.database_answered()
            return found


def beginnings_of(cluster: Cluster, topics: Topics, partitions: Collection[int]) -> dict[int, Cursor]:
    """Where the topics of partitions begin; each topic is asked once for all of them.

    Raises:
        InfrastructureError: Kafka does not answer.
    """
    firsts = []
    for topic in (topics.executions, topics.factor_changes, topics.dlq):
        try:
            edges = edges_of(cluster.admin, topic.name, partitions, settled=(), limit_s=REACH_TIMEOUT_S)
        except KafkaException as error:
            raise InfrastructureError(
                f"the beginning of {topic.name} partitions {sorted(partitions)} cannot be read: {error.args[0].str()}"
            ) from error
        firsts.append(edges)
    return {partition: Cursor(*(edges[partition][0] for edges in firsts)) for partition in partitions}


def absence_ms_of(topics: Topics) -> int:
    """How long rows may rest, in milliseconds: after that tombstones leave the topics."""
    return int(topics.executions.config[_TOMBSTONES])
