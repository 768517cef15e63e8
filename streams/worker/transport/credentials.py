"""The credentials of a connection, in Faust's types, for aiokafka."""

from typing import Any

import faust

from consolidator.connecting.connection import Connection

__all__ = ["broker_credentials"]


def broker_credentials(connection: Connection) -> Any:
    """Faust's credentials for a connection; None for plain text."""
    context = connection.tls_context() if connection.uses_tls else None
    if connection.uses_sasl:
        return faust.SASLCredentials(
            mechanism=connection.sasl_mechanism,
            username=connection.sasl_username,
            password=connection.sasl_password,
            ssl_context=context,
        )
    return None if context is None else faust.SSLCredentials(context)
