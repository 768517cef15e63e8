"""The rule that decides which broker a command connects to."""

from collections.abc import Callable
from pathlib import Path

from models.errors import ContractError
from streams.broker.embedded import broker_status, start_broker
from streams.configuration.settings import Settings


def data_dir(settings: Settings) -> Path:
    """Where the embedded broker keeps its data."""
    return settings.state_dir / "kafka"


def cache_dir(settings: Settings) -> Path:
    """Where downloaded jars are kept."""
    return settings.state_dir / "cache"


def bootstrap_servers(settings: Settings, *, start: bool, on_progress: Callable[[str], None] | None = None) -> str:
    """The brokers to connect to, as ``host:port``, comma-separated.

    ``KAFKA_BOOTSTRAP_SERVERS`` if it is set; else the embedded broker of the state directory, which is started if
    ``start`` is set.

    Args:
        settings: the settings.
        start: start the embedded broker if there is no other.
        on_progress: called with a text about the step that takes time.

    Raises:
        ContractError: there is no broker, and ``start`` is not set.
        InfrastructureError: the embedded broker could not be started.
    """
    if settings.bootstrap_servers is not None:
        return settings.bootstrap_servers
    if start:
        return start_broker(data_dir(settings), cache_dir(settings), on_progress=on_progress).bootstrap_servers
    running = broker_status(data_dir(settings))
    if running is None:
        raise ContractError("no broker: set KAFKA_BOOTSTRAP_SERVERS, or run `consolidator broker start`")
    return running.bootstrap_servers
