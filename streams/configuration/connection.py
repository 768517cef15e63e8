"""The connection to Kafka and the topics' declaration, from the settings."""

from collections.abc import Callable

from pydantic import SecretStr

from consolidator.connecting.arguments import SECURITY
from consolidator.connecting.connection import Connection
from consolidator.connecting.security import connection_of as checked_connection
from streams.configuration.broker_choice import bootstrap_servers
from streams.configuration.settings import Settings, name_of
from topics.contract.declared import Topics, declare


def connection_of(
    settings: Settings, *, start_broker: bool = False, on_progress: Callable[[str], None] | None = None
) -> Connection:
    """The connection that the settings describe; the one set of settings for every Kafka client.

    Args:
        settings: the settings.
        start_broker: start the embedded broker when no other is set.
        on_progress: called with a text about the step that takes time while it starts.

    Raises:
        SettingsError: when a setting that the security protocol needs is missing, one is there that it does not use, or
            a file is not there.
        ContractError: when there is no broker, and ``start_broker`` is not set.
        InfrastructureError: when the embedded broker could not be started.
    """
    given = security_of(settings)

    def servers() -> tuple[str, str]:
        found = bootstrap_servers(settings, start=start_broker, on_progress=on_progress)
        is_set = settings.bootstrap_servers is not None
        return found, name_of(settings, "bootstrap_servers") if is_set else "the embedded broker"

    return checked_connection(given, lambda field: name_of(settings, field), servers)


def security_of(settings: Settings) -> dict[str, str]:
    """The settings of the connection's security that were set, as the client's functions take them."""
    return {field: text for field in SECURITY if (text := _text(settings, field)) is not None}


def topics_of(settings: Settings) -> Topics:
    """The topics that the settings declare."""
    return declare(
        settings.topic_prefix,
        app_id=settings.app_id,
        partitions=settings.partitions,
        replication_factor=settings.replication_factor,
        audit_window_days=settings.audit_window_days,
        max_event_bytes=settings.max_event_bytes,
    )


def _text(settings: Settings, field: str) -> str | None:
    """The value of a field that was set; a default value does not count."""
    value = getattr(settings, field) if field in settings.model_fields_set else None
    return value.get_secret_value() if isinstance(value, SecretStr) else None if value is None else str(value)
