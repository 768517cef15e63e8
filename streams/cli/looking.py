"""What ``status``, ``doctor`` and ``support-bundle`` have in common: how they reach Kafka and the database."""

import os
from typing import TYPE_CHECKING, Final

from consolidator.connecting.addresses import parse_servers
from consolidator.connecting.connection import Connection
from consolidator.connecting.quoting import shown
from models.errors import InfrastructureError, SettingsError
from streams.cli.kafka import connection_of
from streams.cli.sink_database import database_of, is_there, sql_extra
from streams.configuration.settings import Settings
from streams.diagnosis.reading.answer import Unanswered, ask
from topics.cluster.admin_client import Cluster

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

__all__ = ["health_addresses", "reached", "stored"]

_HEALTH: Final = "CONSOLIDATOR_HEALTH_ADDRESS"
_ANY_PORT: Final = ":0"
"""A worker with this port takes any free one, which only its log names: it cannot be asked."""


def health_addresses(given: tuple[str, ...]) -> tuple[str, ...]:
    """The addresses to ask: those that were given; else the one at which a worker of this environment answers.

    Args:
        given: with the option.

    Raises:
        SettingsError: the variable is no address.
    """
    variable = os.environ.get(_HEALTH, "").strip()
    if given or not variable or variable.endswith(_ANY_PORT):
        return given
    try:
        [_] = parse_servers(variable)
    except ValueError:
        raise SettingsError(f"{_HEALTH} is {shown(variable)}: host:port is wanted, such as 127.0.0.1:9404") from None
    return (variable,)


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
