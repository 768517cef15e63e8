"""What ``status``, ``doctor`` and ``support-bundle`` have in common: how they reach Kafka and the database."""

from typing import TYPE_CHECKING, Final

from consolidator.connecting.connection import Connection
from models.errors import InfrastructureError
from streams.cli.kafka import connection_of
from streams.cli.sink_database import database_of, is_there, sql_extra
from streams.configuration.settings import Settings
from streams.diagnosis.reading.answer import Unanswered, ask
from topics.cluster.admin_client import Cluster

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

__all__ = ["health_addresses", "reached", "stored"]

_ANY_PORT: Final = ":0"
"""A worker with this port takes any free one, which only its log names: it cannot be asked."""


def health_addresses(settings: Settings, given: tuple[str, ...]) -> tuple[str, ...]:
    """The addresses to ask: those that were given; else the one at which a worker of this environment answers.

    Args:
        settings: the settings.
        given: with the option.
    """
    own = settings.health_address
    return given if given or own is None or own.endswith(_ANY_PORT) else (own,)


def reached(settings: Settings) -> Connection | Unanswered:
    """A connection to a cluster that has just answered; or why there is none.

    Raises:
        ContractError: no broker is set, or the cluster refuses the credentials or certificates.
    """
    try:
        connection = connection_of(settings)
        Cluster(connection.librdkafka()).metadata()
    except InfrastructureError as error:
        return Unanswered(str(error))
    return connection


def stored(settings: Settings) -> "URL | Unanswered | None":
    """The sink's database; or why it cannot be asked; None: none is configured, and none is where one would be."""
    if not is_there(settings):
        return None

    def found() -> "URL":
        with sql_extra():
            return database_of(settings)

    return ask(found)
