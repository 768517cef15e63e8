"""Which settings of a connection belong together: the rules for the worker's settings and a subscriber's alike."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

from consolidator.connecting.connection import Connection
from consolidator.errors import SettingsError

__all__ = ["MECHANISMS", "PROTOCOLS", "connection_of", "variable_of"]

PROTOCOLS: Final = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")

_TLS_FILES: Final = ("ssl_ca_location", "ssl_certificate_location", "ssl_key_location")
_OF_SASL: Final = ("sasl_mechanism", "sasl_username", "sasl_password")
_OF_TLS: Final = (*_TLS_FILES, "ssl_key_password")


def variable_of(field: str) -> str:
    """The environment variable of a connection's setting."""
    return f"KAFKA_{field.upper()}"


def connection_of(
    given: Mapping[str, str], named: Callable[[str], str], servers: Callable[[], tuple[str, str]]
) -> Connection:
    """The connection that some settings describe; their values are valid, each by itself.

    Args:
        given: the settings that were set, by their names in :class:`Connection`, without the addresses.
        named: the source of a setting's value, for messages: an argument, a flag or a variable.
        servers: the brokers' addresses and their source; called when everything else is right.

    Raises:
        SettingsError: a setting that the security protocol needs is missing, one is there that it does not use, or a
            file is not there or cannot be used.
    """
    protocol = given.get("security_protocol", PROTOCOLS[0])
    _refuse_unused(protocol, given, named)
    _require_credentials(protocol, given)
    for field in _TLS_FILES:
        if field in given and not Path(given[field]).is_file():
            raise SettingsError(f"{variable_of(field)}: there is no file {given[field]}")
    addresses, source = servers()
    connection = Connection(bootstrap_servers=addresses, servers_from=source, **given)
    if connection.uses_tls:
        # The message names the file that cannot be used; librdkafka's message would be "PEM lib".
        connection.tls_context()
    return connection


def _refuse_unused(protocol: str, given: Mapping[str, str], named: Callable[[str], str]) -> None:
    """Refuse credentials that the security protocol does not use: a user who sets them expects them to be used."""
    unused = [
        *(() if protocol.startswith("SASL_") else _set(given, _OF_SASL, named)),
        *(() if protocol.endswith("SSL") else _set(given, _OF_TLS, named)),
    ]
    if unused:
        raise SettingsError(
            f"{', '.join(unused)}: set, and not used, as {named('security_protocol')} is {protocol}. Set "
            "that to what is meant (SASL_SSL: a password over TLS; SSL: TLS; SASL_PLAINTEXT: a password without TLS), "
            "or take away what is not used"
        )
    if "ssl_key_password" in given and "ssl_key_location" not in given:
        raise SettingsError(
            f"{named('ssl_key_password')}: set, and not used, as {variable_of('ssl_key_location')} is not set"
        )


def _set(given: Mapping[str, str], fields: Iterable[str], named: Callable[[str], str]) -> list[str]:
    return [named(field) for field in fields if field in given]


def _require_credentials(protocol: str, given: Mapping[str, str]) -> None:
    if protocol.startswith("SASL_"):
        for field in ("sasl_username", "sasl_password"):
            if field not in given:
                raise SettingsError(
                    f"{variable_of(field)} is not set: {variable_of('security_protocol')} is {protocol}, which needs it"
                )
    if ("ssl_certificate_location" in given) != ("ssl_key_location" in given):
        raise SettingsError(
            f"{variable_of('ssl_certificate_location')} and {variable_of('ssl_key_location')} belong together: "
            "set both, or neither"
        )
