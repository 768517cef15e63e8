"""Looks at an installation: every question apart, each with a limit; what is not answered is said."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from consolidator.connecting.connection import Connection
from streams.configuration.settings import Settings
from streams.diagnosis.checks.partitions import STANDS_S
from streams.diagnosis.reading.answer import Questions, Unanswered, ask, known
from streams.diagnosis.reading.group import group_names, groups_of
from streams.diagnosis.reading.health import ask_health
from streams.diagnosis.reading.letters import count_open
from streams.diagnosis.reading.pins import read_pins
from streams.diagnosis.reading.progress import read_progress
from streams.diagnosis.reading.rulesets import read_live
from streams.diagnosis.reading.times import newest
from streams.diagnosis.status import Database, Status, Where
from streams.runtime.clock import system_ms
from topics.cluster.admin_client import Cluster
from topics.contract.declared import Topic, Topics
from topics.reading.progress import GroupProgress

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

__all__ = ["look", "with_second_look"]

_Answer = TypeVar("_Answer")

_SECOND_LOOK_S: Final = 2.0
"""A round of a worker that has work takes less."""


def look(
    settings: Settings,
    topics: Topics,
    connection: Connection | Unanswered,
    *,
    database: "URL | Unanswered | None",
    health: Iterable[str],
    earlier: Status | None = None,
) -> Status:
    """Look at an installation once.

    Args:
        settings: the settings.
        topics: the declared topics.
        connection: to Kafka, which has answered a moment ago; or why it cannot be reached.
        database: the sink's; None: none is configured.
        health: addresses of workers and sinks.
        earlier: an earlier look, which this one is compared with.
    """
    where = Where(
        settings.app_id,
        settings.topic_prefix,
        topics.executions.name,
        topics.partitions,
        settings.bootstrap_servers or "the embedded broker"
        if isinstance(connection, Unanswered)
        else connection.bootstrap_servers,
    )
    told = {address: ask(partial(ask_health, address)) for address in dict.fromkeys(health)}
    if isinstance(connection, Unanswered):
        away, stored = connection, _database(database, topics, settings.app_id, None)
        return Status(system_ms(), where, away, away, None, away, away, away, away, away, stored, told)
    config = connection.librdkafka()
    stored = _database(database, topics, settings.app_id, config)
    cluster = Cluster(config)
    kafka = Questions(cluster.metadata)
    there = known(kafka.ask(cluster.metadata)) or {}
    admin, group, names = cluster.admin, settings.app_id, [topic.name for topic in topics if topic.name in there]

    def of(topic: Topic, question: Callable[[], _Answer]) -> _Answer | Unanswered:
        """The answer about a topic, unless there is none of that name."""
        if there and topic.name not in there:
            return Unanswered(f"there is no topic {topic.name}, or this user may not see it", is_absent=True)
        return kafka.ask(question)

    prefix = f"{group}-sink-"
    return Status(
        at_ms=system_ms(),
        where=where,
        group=kafka.ask(lambda: groups_of(admin, [group], topics.executions.name)[group]),
        progress=of(topics.executions, lambda: read_progress(config, topics, group)),
        other=None if earlier is None else _committed(earlier),
        pins=kafka.ask(lambda: read_pins(admin, names, topics.partitions, system_ms())),
        rulesets=of(topics.rulesets, lambda: read_live(config, topics)),
        letters=of(topics.dlq, lambda: count_open(config, topics)),
        change=of(topics.factor_changes, lambda: newest(admin, topics.factor_changes.name, range(topics.partitions))),
        sinks=kafka.ask(lambda: tuple(groups_of(admin, group_names(admin, prefix), topics.executions.name).values())),
        database=stored,
        health=told,
    )


def with_second_look(status: Status, topics: Topics, config: Mapping[str, str | int]) -> Status:
    """The status, with the group's offsets of a moment later where a record has waited for long.

    One look cannot tell a partition that catches up from one that is stuck. Nothing is waited for where nothing waits.

    Args:
        status: of an earlier moment.
        topics: the declared topics.
        config: for librdkafka.
    """
    waiting = [one for one in known(status.progress) or () if one.waits_s(status.at_ms) > STANDS_S]
    if not waiting or status.other is not None:
        return status
    time.sleep(_SECOND_LOOK_S)

    def again() -> dict[int, int | None]:
        with GroupProgress(config, status.where.app_id, topics) as progress:
            return progress.committed()

    return replace(status, other=known(ask(again)))


def _committed(status: Status) -> dict[int, int | None] | None:
    return (
        None if isinstance(status.progress, Unanswered) else {one.partition: one.committed for one in status.progress}
    )


def _database(
    url: "URL | Unanswered | None", topics: Topics, group: str, config: Mapping[str, str | int] | None
) -> Database | None:
    if url is None:
        return None
    if isinstance(url, Unanswered):
        return Database("of CONSOLIDATOR_SINK_URL", url)
    # Imported here, because the extra may be missing; the caller has the URL only where it is not.
    from streams.diagnosis.reading.database import name_of_database, read_database  # noqa: PLC0415

    answer = ask(lambda: read_database(url, topics, group, config))
    if isinstance(answer, Unanswered) and config is not None:
        # Kafka may be what does not answer: what the database alone says is known all the same.
        alone = ask(lambda: read_database(url, topics, group, None))
        answer = answer if isinstance(alone, Unanswered) else alone
    return Database(name_of_database(url), answer)
