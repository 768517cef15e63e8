"""A client on an event loop for requests that librdkafka does not have."""

from aiokafka.client import AIOKafkaClient

from consolidator.connecting.connection import CLIENT_ID, Connection

__all__ = ["asyncio_client"]


def asyncio_client(connection: Connection, *, request_timeout_ms: int) -> AIOKafkaClient:
    """Make a client, on the event loop that runs; it is not connected yet.

    Args:
        connection: how to reach Kafka.
        request_timeout_ms: how long an answer may take, in milliseconds.
    """
    return AIOKafkaClient(
        bootstrap_servers=connection.bootstrap_servers,
        client_id=CLIENT_ID,
        request_timeout_ms=request_timeout_ms,
        security_protocol=connection.security_protocol,
        ssl_context=connection.tls_context() if connection.uses_tls else None,
        sasl_mechanism=connection.sasl_mechanism if connection.uses_sasl else "PLAIN",
        sasl_plain_username=connection.sasl_username,
        sasl_plain_password=connection.sasl_password,
    )
