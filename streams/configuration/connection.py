"""The connection to Kafka and the topics' declaration, from the settings."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from models.errors import SettingsError
from streams.configuration.broker_choice import bootstrap_servers
from streams.configuration.settings import Settings, name_of, variable_of
from topics.cluster.connection import Connection
from topics.contract.declared import Topics, declare

_TLS_FILES: Final = ("ssl_ca_location", "ssl_certificate_location", "ssl_key_location")
_OF_SASL: Final = ("sasl_mechanism", "sasl_username", "sasl_password")
_OF_TLS: Final = (*_TLS_FILES, "ssl_key_password")


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
    _refuse_unused(settings)
    _require_credentials(settings)
    files = {field: _file(field, getattr(settings, field)) for field in _TLS_FILES}
    connection = Connection(
        bootstrap_servers=bootstrap_servers(settings, start=start_broker, on_progress=on_progress),
        security_protocol=settings.security_protocol,
        sasl_mechanism=settings.sasl_mechanism,
        sasl_username=settings.sasl_username,
        sasl_password=_revealed(settings.sasl_password),
        ssl_key_password=_revealed(settings.ssl_key_password),
        servers_from="the embedded broker"
        if settings.bootstrap_servers is None
        else name_of(settings, "bootstrap_servers"),
        **files,
    )
    if connection.uses_tls:
        # The message names the file that cannot be used; librdkafka's message would be "PEM lib".
        connection.tls_context()
    return connection


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


def _refuse_unused(settings: Settings) -> None:
    """Refuse credentials that the security protocol does not use: a user who sets them expects them to be used."""
    protocol = settings.security_protocol
    unused = [
        *(() if protocol.startswith("SASL_") else _given(settings, _OF_SASL)),
        *(() if protocol.endswith("SSL") else _given(settings, _OF_TLS)),
    ]
    if unused:
        raise SettingsError(
            f"{', '.join(unused)}: set, and not used, as {name_of(settings, 'security_protocol')} is {protocol}. Set "
            "that to what is meant (SASL_SSL: a password over TLS; SSL: TLS; SASL_PLAINTEXT: a password without TLS), "
            "or take away what is not used"
        )
    if settings.ssl_key_password is not None and settings.ssl_key_location is None:
        password, key = name_of(settings, "ssl_key_password"), variable_of("ssl_key_location")
        raise SettingsError(f"{password}: set, and not used, as {key} is not set")


def _given(settings: Settings, fields: Iterable[str]) -> list[str]:
    """The sources (flag or variable) of the fields that were set; a default value does not count."""
    return [
        name_of(settings, field)
        for field in fields
        if field in settings.model_fields_set and getattr(settings, field) is not None
    ]


def _require_credentials(settings: Settings) -> None:
    if settings.security_protocol.startswith("SASL_"):
        for field in ("sasl_username", "sasl_password"):
            if getattr(settings, field) is None:
                raise SettingsError(
                    f"{variable_of(field)} is not set: {variable_of('security_protocol')} is "
                    f"{settings.security_protocol}, which needs it"
                )
    if (settings.ssl_certificate_location is None) != (settings.ssl_key_location is None):
        raise SettingsError(
            f"{variable_of('ssl_certificate_location')} and {variable_of('ssl_key_location')} belong together: "
            "set both, or neither"
        )


def _revealed(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


def _file(field: str, path: Path | None) -> str | None:
    if path is not None and not path.is_file():
        raise SettingsError(f"{variable_of(field)}: there is no file {path}")
    return str(path) if path is not None else None
