"""Certificates for one test session: an authority, and certificates of brokers and clients, some of them invalid."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

__all__ = ["Authority", "Identity"]

_LOOPBACK = ("localhost", "127.0.0.1")
_YESTERDAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate and its key, in files (PEM).

    Attributes:
        certificate: the chain.
        key: the key, PKCS#8.
        bundle: both in one file, as Kafka wants its key store.
    """

    certificate: Path
    key: Path
    bundle: Path


class Authority:
    """A certificate authority that writes what it issues below a directory.

    Args:
        directory: exists.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._authority = trustme.CA()
        self.certificate = directory / "ca.pem"
        self._authority.cert_pem.write_to_path(str(self.certificate))

    def broker(self, name: str, *hosts: str, expired: bool = False) -> Identity:
        """Issue a broker's certificate; for this machine's loopback interface unless hosts are given."""
        yesterday = datetime.now(UTC) - _YESTERDAY
        issued = self._authority.issue_cert(
            *(hosts or _LOOPBACK),
            not_before=yesterday - _YESTERDAY,
            not_after=yesterday if expired else None,
        )
        return self._write(name, issued, NoEncryption())

    def client(self, name: str, *, key_password: str | None = None) -> Identity:
        """Issue a client's certificate, whose common name is the principal's, with the key encrypted on demand."""
        encryption = NoEncryption() if key_password is None else BestAvailableEncryption(key_password.encode())
        return self._write(name, self._authority.issue_cert(f"{name}.example.com", common_name=name), encryption)

    def _write(self, name: str, issued: trustme.LeafCert, encryption: KeySerializationEncryption) -> Identity:
        key = load_pem_private_key(issued.private_key_pem.bytes(), password=None)
        # Kafka reads only PKCS#8, but the library writes another format by default.
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
        chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
        found = Identity(*(self._directory / f"{name}.{kind}.pem" for kind in ("certificate", "key", "bundle")))
        found.certificate.write_bytes(chain)
        found.key.write_bytes(pem)
        found.bundle.write_bytes(pem + chain)
        return found
