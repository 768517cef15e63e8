"""Which erasures count: the one place where a record under ``/erasure/`` is taken for one, or refused.

Worker, refold, replay and everything that is built upon a replay fold such a record here, and ask the same authority.
"""

from typing import Protocol

from models.errors import BadEventError, ContractError, Defect
from topics.records.erasures import Erasure, Forgotten, parse_erasure

__all__ = ["ErasureAuthority", "EveryErasure", "NoErasure", "NoneEarlier", "confirmed_erasure"]


class Placed(Protocol):
    """A record of one partition."""

    @property
    def offset(self) -> int:
        """Where it stands."""

    @property
    def key(self) -> bytes | None:
        """Its key."""

    @property
    def value(self) -> bytes | None:
        """Its value."""


class ErasureAuthority(Protocol):
    """Knows which records of the source are confirmed by an entry of whoever may erase (``docs/decisions/0026``)."""

    def fetched(self, partition: int, end: int) -> None:
        """The records before an offset were read: whatever is confirmed of them can be looked up at once."""

    def confirms(self, partition: int, offset: int, erasure: Erasure) -> bool:
        """Whether an entry says that this is what stands at an offset.

        The record must have been read before: then the answer is the same for ever.

        Raises:
            ContractError: the entries cannot be had.
            InfrastructureError: Kafka does not answer.
        """

    def forgotten(self, partition: int, application_id: str) -> Forgotten | None:
        """The last erasure of an application of a partition, as it is known by now; None: it was never erased.

        Raises as :meth:`confirms`. For readers: what is before it is not shown.
        """


class NoErasure:
    """Nothing is confirmed: whoever folds without asking erases nothing."""

    def fetched(self, partition: int, end: int) -> None:
        """See :class:`ErasureAuthority`."""

    def confirms(self, partition: int, offset: int, erasure: Erasure) -> bool:  # noqa: ARG002
        """See :class:`ErasureAuthority`."""
        return False

    def forgotten(self, partition: int, application_id: str) -> Forgotten | None:  # noqa: ARG002
        """See :class:`ErasureAuthority`."""
        return None


class EveryErasure:
    """Every record counts: for logs out of which somebody has sorted what is not confirmed, as evidence is made."""

    def fetched(self, partition: int, end: int) -> None:
        """See :class:`ErasureAuthority`."""

    def confirms(self, partition: int, offset: int, erasure: Erasure) -> bool:  # noqa: ARG002
        """See :class:`ErasureAuthority`."""
        return True

    def forgotten(self, partition: int, application_id: str) -> Forgotten | None:  # noqa: ARG002
        """See :class:`ErasureAuthority`."""
        return None


class NoneEarlier:
    """Asks another authority, and refuses to go on where an erasure of an earlier version is not confirmed yet.

    For programs that build the state again from the log. Without this check, applications that workers of an earlier
    version erased would come back.

    Args:
        authority: the other one.
        taken_over: the offset before which earlier versions had consolidated the partition.
    """

    def __init__(self, authority: ErasureAuthority, taken_over: int) -> None:
        self._authority = authority
        self._taken_over = taken_over
        self.fetched = authority.fetched
        self.forgotten = authority.forgotten

    def confirms(self, partition: int, offset: int, erasure: Erasure) -> bool:
        """See :class:`ErasureAuthority`."""
        found = self._authority.confirms(partition, offset, erasure)
        if not found and offset < self._taken_over:
            raise ContractError(
                f"partition {partition} offset {offset}: an erasure of an earlier version has no entry, so what was "
                "erased would come back. Nothing was adopted. Look at it and confirm it (consolidator erase "
                "--confirm-earlier), then start again"
            )
        return found


def confirmed_erasure(record: Placed, partition: int, authority: ErasureAuthority) -> Erasure:
    """The erasure that a record under :data:`~topics.records.erasures.ERASURE_PREFIX` is.

    Args:
        record: the record.
        partition: where it stands.
        authority: knows what is confirmed.

    Raises:
        BadEventError: ``invalid_erasure``: it is none. ``unconfirmed_erasure``: nobody who may erase has written it at
            this offset: it is forged, or an earlier one that was written again.
    """
    erasure = parse_erasure(record.key or b"", record.value or b"")
    if not authority.confirms(partition, record.offset, erasure):
        raise BadEventError(
            Defect.UNCONFIRMED_ERASURE,
            "an erasure that no entry in the topic of erasures names with its partition and offset does nothing: "
            "`consolidator erase` writes both, and nobody else may write entries",
        )
    return erasure
