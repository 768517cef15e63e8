"""Chooses the source of answers about an application: the database, if there is one, or Kafka. The answers are equal.

If the database answers, there is no connection to Kafka.
"""

import time
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from models.errors import CatalogueError, ContractError, InfrastructureError, SettingsError
from streams.audit.history.inquiry import Moment
from streams.audit.history.sources import AnswerSource, KafkaAnswers
from streams.cli.kafka import connection_of
from streams.cli.output.console import hint
from streams.cli.sink_database import database_of, is_there, missing_extra, sql_extra
from streams.configuration.connection import topics_of
from streams.configuration.settings import Settings

if TYPE_CHECKING:
    from streams.sink.reading.answers import StoredAnswers

__all__ = ["Source", "answers_of"]

_LONG_AGO_S: Final = 600
"""A running sink writes the time each minute, and the clocks of machines differ by less. An older database may still
have events that were erased in the meantime, so Kafka answers."""


class Source(StrEnum):
    """The source of answers; the values are those of ``--source``."""

    AUTO = "auto"
    """The database, if it has the answer; else Kafka."""
    KAFKA = "kafka"
    SQL = "sql"


def answers_of(
    settings: Settings,
    application_id: str,
    source: Source,
    *,
    servers_given: bool,
    as_json: bool,
    moments: tuple[Moment, ...] = (),
) -> AnswerSource:
    """Open the source of answers about an application. On stderr stands whether it is the database, and its offset.

    Args:
        settings: the settings.
        application_id: the application.
        source: the source that the user wants.
        servers_given: whether brokers are named on the command line; then ``auto`` means Kafka.
        as_json: whether notes are printed as JSON.
        moments: the moments of all *known* questions.

    Raises:
        SettingsError: a setting cannot be used.
        ContractError: the user wants SQL, and the database does not have the answer.
        InfrastructureError: the source does not answer.
    """
    if source is Source.SQL or (source is Source.AUTO and is_there(settings) and not servers_given):
        stored = _stored(settings, application_id, moments, is_wanted=source is Source.SQL, as_json=as_json)
        if stored is not None:
            return stored
    return KafkaAnswers(settings, connection_of(settings).librdkafka(), topics_of(settings), application_id)


def _stored(
    settings: Settings, application_id: str, moments: tuple[Moment, ...], *, is_wanted: bool, as_json: bool
) -> "StoredAnswers | None":
    """Answers from the database; None: Kafka has to answer, and the reason was printed."""
    if not is_wanted and missing_extra():
        hint("answered by Kafka: the extra sql is not installed", as_json=as_json)
        return None
    try:
        with sql_extra():
            from streams.sink.reading.answers import stored_answers  # noqa: PLC0415 - the extra may be missing

            found = stored_answers(database_of(settings), settings, topics_of(settings), application_id, moments)
    except (CatalogueError, SettingsError):
        raise
    except (ContractError, InfrastructureError) as error:
        if is_wanted:
            raise
        hint(f"answered by Kafka: {error}", as_json=as_json)
        return None
    log, age_s = found.stored.log, max(0, round(time.time() - found.stored.seen_at_ms / 1_000))
    if age_s > _LONG_AGO_S and not is_wanted:
        hint(
            f"answered by Kafka: no sink was at partition {log.partition} of the database for {age_s} s",
            as_json=as_json,
        )
        return None
    hint(
        f"answered by the database: {log.log.topic} partition {log.partition} before offset {log.end}; a sink was "
        f"there {age_s} s ago",
        as_json=as_json,
    )
    return found
