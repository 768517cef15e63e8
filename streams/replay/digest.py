"""The digest of changes: an auditor computes it from ``factor-changes``, and compares it with a replay's.

SHA-256( for each change, in order of its causing record's offset: SHA-256(key) + SHA-256(value) )
"""

from hashlib import sha256

__all__ = ["ChangesDigest", "record_digest"]


def record_digest(key: bytes, value: bytes) -> bytes:
    """One change's part of the digest: 64 bytes."""
    return sha256(key).digest() + sha256(value).digest()


class ChangesDigest:
    """Computes the digest, one change after the other.

    Attributes:
        changes: how many it took.
    """

    def __init__(self) -> None:
        self.changes = 0
        self._hash = sha256()

    def add(self, part: bytes) -> None:
        """Take a change by its :func:`record_digest`."""
        self._hash.update(part)
        self.changes += 1

    def hex(self) -> str:
        """The digest so far, 64 hexadecimal digits."""
        return self._hash.hexdigest()
