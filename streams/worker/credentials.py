"""The same connection for aiokafka, in Faust's terms."""

import ssl
from typing import Any

import faust

from topics.connection import Connection

__all__ = ["broker_credentials"]


def broker_credentials(connection: Connection) -> Any:
    """Faust's credentials for a connection; None for plain text."""
    context = _tls_context(connection) if connection.uses_tls else None
    if connection.uses_sasl:
        return faust.SASLCredentials(
            mechanism=connection.sasl_mechanism,
            username=connection.sasl_username,
            password=connection.sasl_password,
            ssl_context=context,
        )
    return None if context is None else faust.SSLCredentials(context)


def _tls_context(connection: Connection) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=connection.ssl_ca_location)
    if connection.ssl_certificate_location is not None:
        context.load_cert_chain(connection.ssl_certificate_location, connection.ssl_key_location)
    return context
