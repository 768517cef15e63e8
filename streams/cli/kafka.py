"""The way to Kafka for commands: nobody waits long for brokers that are not there."""

from collections.abc import Callable

from streams.configuration.connection import connection_of as described
from streams.configuration.settings import Settings
from topics.cluster.addresses import Servers, require_listener
from topics.cluster.connection import Connection

__all__ = ["connection_of"]


def connection_of(
    settings: Settings, *, start_broker: bool = False, on_progress: Callable[[str], None] | None = None
) -> Connection:
    """The connection that the settings describe, once somebody listens there.

    Kafka's clients try again for ten seconds and more, in silence; who mistyped an address is told within two.

    Args:
        settings: where to look.
        start_broker: start the embedded broker when no other is set.
        on_progress: called with a text that says what takes time while it starts.

    Raises:
        ContractError: see :func:`streams.configuration.connection.connection_of`.
        InfrastructureError: nobody listens, or the embedded broker could not be started.
    """
    connection = described(settings, start_broker=start_broker, on_progress=on_progress)
    require_listener(Servers(connection.bootstrap_servers, connection.servers_from))
    return connection
