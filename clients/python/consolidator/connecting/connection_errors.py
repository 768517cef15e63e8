"""librdkafka's connection errors, which it reports apart from the requests that fail because of them."""

from collections.abc import Mapping
from typing import Final

from confluent_kafka import KafkaError

from consolidator.connecting.tls import client_context, why_refused
from consolidator.errors import SettingsError

__all__ = ["ConnectionErrors"]

_TLS_ALERT: Final = "SSL alert number"
"""librdkafka's message if a broker refuses the client's certificate: in TLS 1.3 that comes only after the handshake."""

_REFUSALS: Final = frozenset(
    {
        KafkaError._AUTHENTICATION,  # noqa: SLF001 - librdkafka's name
        KafkaError._SSL,  # noqa: SLF001
    }
)


class ConnectionErrors:
    """The errors of a client's connections; if the client is refused, only they have the reason, and not the requests'.

    Args:
        config: the client's configuration, as :meth:`.Connection.librdkafka` makes it.

    Attributes:
        last: the error that explains best why no broker answers; None: there was none.
    """

    def __init__(self, config: Mapping[str, str | int]) -> None:
        self._config = config
        self._servers = str(config.get("bootstrap.servers", ""))
        self.last: KafkaError | None = None
        # Kept separately: when the broker closes a refused connection, further errors follow, which must not replace
        # it.
        self._refusal: KafkaError | None = None

    def remember(self, error: KafkaError) -> None:
        """Take an error from librdkafka, as its ``error_cb``."""
        if error.code() in _REFUSALS or _TLS_ALERT in error.str():
            self._refusal = error
        # "All brokers down" only repeats what the error before it explained.
        if self.last is None or error.code() != KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001
            self.last = error

    def require_no_refusal(self) -> None:
        """Raise if the client's credentials or certificates were refused.

        Raises:
            SettingsError: they were refused; the message names the setting.
        """
        error = self._refusal
        if error is None:
            return
        if error.code() == KafkaError._AUTHENTICATION:  # noqa: SLF001 - librdkafka's name
            raise SettingsError(
                f"{self._servers} refuses the credentials: check KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD and "
                f"KAFKA_SASL_MECHANISM: {error.str()}"
            )
        if error.code() == KafkaError._SSL:  # noqa: SLF001 - librdkafka's name
            raise SettingsError(f"no TLS connection to {self._servers}: {self._tls_reason(error)}")
        raise SettingsError(
            f"{self._servers} refuses the client's certificate, or asks for one and there is none: check "
            f"KAFKA_SSL_CERTIFICATE_LOCATION and KAFKA_SSL_KEY_LOCATION: {error.str()}"
        )

    def _tls_reason(self, error: KafkaError) -> str:
        files = (self._config.get(f"ssl.{name}") for name in ("ca.location", "certificate.location", "key.location"))
        ca, certificate, key = (None if file is None else str(file) for file in files)
        password = self._config.get("ssl.key.password")
        context = client_context(
            ca=ca, certificate=certificate, key=key, key_password=None if password is None else str(password)
        )
        return why_refused(self._servers, context) or (
            "check KAFKA_SSL_CA_LOCATION, KAFKA_SSL_CERTIFICATE_LOCATION and KAFKA_SSL_KEY_LOCATION: " + error.str()
        )
