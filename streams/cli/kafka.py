"""The connection to Kafka for commands: they fail quickly if no broker is there."""

from collections.abc import Callable

from consolidator.connecting.addresses import Servers, require_listener
from consolidator.connecting.connection import Connection
from streams.configuration.connection import connection_of as described
from streams.configuration.settings import Settings

__all__ = ["connection_of"]


def connection_of(
    settings: Settings, *, start_broker: bool = False, on_progress: Callable[[str], None] | None = None
) -> Connection:
    """The connection that the settings describe; returned as soon as a broker accepts connections.

    Kafka's clients retry for ten seconds and more without a message. Here a mistyped address is an error within two.

    Args:
        settings: the settings.
        start_broker: start the embedded broker when no other is set.
        on_progress: called with a text about the step that takes time while it starts.

    Raises:
        ContractError: see :func:`streams.configuration.connection.connection_of`.
        InfrastructureError: no broker accepts connections, or the embedded broker could not be started.
    """
    connection = described(settings, start_broker=start_broker, on_progress=on_progress)
    require_listener(Servers(connection.bootstrap_servers, connection.servers_from))
    return connection
