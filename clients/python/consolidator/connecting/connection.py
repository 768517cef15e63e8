"""How to reach the Kafka cluster: one value from which every client's configuration is made."""

import ssl
from dataclasses import dataclass, field
from typing import Final

from consolidator.connecting.addresses import VARIABLE, Servers
from consolidator.connecting.tls import client_context

# The client id, which brokers show in logs and use for quotas.
CLIENT_ID: Final = "consolidator"

_LOG_LEVEL: Final = 2
"""Critical, in syslog's numbers: failures are reported as errors. Callers with a logger of their own may raise the
level."""

_METADATA_MS: Final = 5_000
"""A client that asks for leaders while a broker is starting is answered that there is none (-1). librdkafka 2.16 then
sometimes asks again only at this interval, which is 5 minutes by default: until then producers deliver nothing of these
partitions, and consumers get nothing. A request costs a millisecond."""


@dataclass(frozen=True, slots=True)
class Connection:
    """The brokers' addresses and the client's credentials. ``repr`` shows no secret.

    Args:
        bootstrap_servers: ``host:port``, comma-separated.
        security_protocol: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL.
        sasl_mechanism: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; used with the SASL protocols.
        sasl_username: user for SASL.
        sasl_password: password for SASL.
        ssl_ca_location: CA certificate file (PEM); None means the system's.
        ssl_certificate_location: client certificate file (PEM).
        ssl_key_location: the client certificate's key file (PEM).
        ssl_key_password: the key's password; None: it is not encrypted.
        servers_from: the source of the addresses, for messages: the variable, or a flag.
    """

    bootstrap_servers: str
    security_protocol: str = "PLAINTEXT"
    sasl_mechanism: str = "SCRAM-SHA-512"
    sasl_username: str | None = None
    sasl_password: str | None = field(default=None, repr=False)
    ssl_ca_location: str | None = None
    ssl_certificate_location: str | None = None
    ssl_key_location: str | None = None
    ssl_key_password: str | None = field(default=None, repr=False)
    servers_from: str = VARIABLE

    @property
    def uses_sasl(self) -> bool:
        """Whether a user and a password are sent."""
        return self.security_protocol.startswith("SASL_")

    @property
    def uses_tls(self) -> bool:
        """Whether the connection is encrypted and the broker's certificate and host name are verified."""
        return self.security_protocol.endswith("SSL")

    def tls_context(self) -> ssl.SSLContext:
        """The TLS context for clients other than librdkafka.

        Raises:
            SettingsError: a certificate or key cannot be used.
        """
        return client_context(
            ca=self.ssl_ca_location,
            certificate=self.ssl_certificate_location,
            key=self.ssl_key_location,
            key_password=self.ssl_key_password,
        )

    def librdkafka(self) -> dict[str, str | int]:
        """The configuration for confluent-kafka's producers, consumers and admin clients. It holds the passwords."""
        config: dict[str, str | int | None] = {
            "bootstrap.servers": Servers(self.bootstrap_servers, self.servers_from),
            "client.id": CLIENT_ID,
            # librdkafka would write lines to stderr itself, in its own format, and block if stderr blocks.
            "log_level": _LOG_LEVEL,
            "topic.metadata.refresh.interval.ms": _METADATA_MS,
            "security.protocol": self.security_protocol,
        }
        if self.uses_sasl:
            config |= {
                "sasl.mechanism": self.sasl_mechanism,
                "sasl.username": self.sasl_username,
                "sasl.password": self.sasl_password,
            }
        if self.uses_tls:
            config |= {
                "ssl.ca.location": self.ssl_ca_location,
                "ssl.certificate.location": self.ssl_certificate_location,
                "ssl.key.location": self.ssl_key_location,
                "ssl.key.password": self.ssl_key_password,
                # This is librdkafka's default, but it is set explicitly: the certificate must be valid for the host's
                # name.
                "ssl.endpoint.identification.algorithm": "https",
            }
        return {name: value for name, value in config.items() if value is not None}
