"""TLS with Python's ``ssl``: the context for aiokafka, and the reason for a refused certificate."""

import ssl
from collections.abc import Iterable
from socket import create_connection
from typing import Final

from consolidator.errors import SettingsError

__all__ = ["client_context", "why_refused"]

_HANDSHAKE_LIMIT_S: Final = 2.0

_UNKNOWN_AUTHORITY: Final = "the broker's certificate is from an authority that is not in KAFKA_SSL_CA_LOCATION"
_OTHER_HOST: Final = (
    "the broker's certificate is for another host: use a name that it has in KAFKA_BOOTSTRAP_SERVERS and in the "
    "broker's advertised.listeners"
)

# OpenSSL's X509_V_ERR_* codes, each with the reason and the person who has to act.
_REASONS: Final = {
    9: "the broker's certificate is not valid yet: compare the clocks",
    10: "the broker's certificate has expired: renew it on the broker",
    18: "the broker's certificate is self-signed and not in KAFKA_SSL_CA_LOCATION",
    19: _UNKNOWN_AUTHORITY,
    20: _UNKNOWN_AUTHORITY,
    21: _UNKNOWN_AUTHORITY,
    62: _OTHER_HOST,
    64: _OTHER_HOST,
}


def client_context(
    *, ca: str | None, certificate: str | None, key: str | None, key_password: str | None
) -> ssl.SSLContext:
    """A context that verifies the broker's certificate and host name.

    Args:
        ca: the authorities' file (PEM); None: the system's.
        certificate: the client certificate's file (PEM); None: none is sent.
        key: its key's file (PEM).
        key_password: the key's password; None: it is not encrypted.

    Raises:
        SettingsError: a file cannot be used; the message names the settings and no secret.
    """
    try:
        context = ssl.create_default_context(cafile=ca)
    except OSError as error:
        raise SettingsError(f"KAFKA_SSL_CA_LOCATION: {ca} is no file of certificates (PEM): {error.strerror}") from None
    if certificate is None:
        return context
    try:
        # A password is always given. Without one, Python would ask for it on the terminal.
        context.load_cert_chain(certificate, key, password=key_password or "")
    except (OSError, ValueError) as error:
        encrypted = (
            "does not decrypt it" if key_password is not None else "is not set, and needed if the key is encrypted"
        )
        raise SettingsError(
            f"the client's certificate and key cannot be used: KAFKA_SSL_CERTIFICATE_LOCATION is {certificate}, "
            f"KAFKA_SSL_KEY_LOCATION is {key}; KAFKA_SSL_KEY_PASSWORD {encrypted} ({_reason(error)})"
        ) from None
    return context


def why_refused(servers: str, context: ssl.SSLContext) -> str | None:
    """Why the first broker with an invalid certificate is refused, and who has to act; None: all are valid.

    librdkafka's error is the same for an unknown authority, another host and an expired certificate.

    Args:
        servers: ``host:port``, comma-separated.
        context: made by :func:`client_context`.
    """
    return next(filter(None, (_refusal(host, int(port), context) for host, port in _addresses(servers))), None)


def _addresses(servers: str) -> Iterable[tuple[str, str]]:
    for server in servers.split(","):
        host, _, port = server.strip().rpartition(":")
        if port.isdecimal():
            yield host.strip("[]"), port


def _refusal(host: str, port: int, context: ssl.SSLContext) -> str | None:
    try:
        with create_connection((host, port), _HANDSHAKE_LIMIT_S) as plain:
            context.wrap_socket(plain, server_hostname=host).close()
    except ssl.SSLCertVerificationError as error:
        return (
            f"{_REASONS.get(error.verify_code, 'the certificate is refused')} ({host}:{port}: {error.verify_message})"
        )
    except OSError:
        # The broker's certificate is not the reason, so librdkafka's error is used.
        return None
    return None


def _reason(error: OSError | ValueError) -> str:
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or type(error).__name__
    return str(reason)
