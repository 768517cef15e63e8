"""Decides which erasures count: every record under ``/erasure/`` is accepted or refused here.

Worker, refold, replay and all commands that use a replay decide about such records with this function.
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
    """Knows which records have a confirming entry, which only an eraser may write (``docs/decisions/0026``)."""

    def fetched(self, partition: int, end: int) -> None:
        """Note that the records before an offset were read, so that their entries can be looked up together."""

    def confirms(self, partition: int, offset: int, erasure: Erasure) -> bool:
        """Whether an entry confirms an erasure at an offset.

        The record must have been read before this call, so that the answer never changes.

        Raises:
            ContractError: the entries cannot be read.
            InfrastructureError: Kafka does not answer.
        """

    def forgotten(self, partition: int, application_id: str) -> Forgotten | None:
        """The last known erasure of an application; None: it was never erased.

        Raises as :meth:`confirms`. Readers do not show records from before it.
        """


class NoErasure:
    """Confirms no erasure, for folds that ignore erasures."""

    def fetched(self, partition: int, end: int) -> None:
        """See :class:`ErasureAuthority`."""

    def confirms(self, partition: int, offset: int, erasure: Erasure) -> bool:  # noqa: ARG002
        """See :class:`ErasureAuthority`."""
        return False

    def forgotten(self, partition: int, application_id: str) -> Forgotten | None:  # noqa: ARG002
        """See :class:`ErasureAuthority`."""
        return None


class EveryErasure:
    """Confirms every erasure, for evidence: unconfirmed records were left out when it was collected."""

    def fetched(self, partition: int, end: int) -> None:
        """See :class:`ErasureAuthority`."""

    def confirms(self, partition: int, offset: int, erasure: Erasure) -> bool:  # noqa: ARG002
        """See :class:`ErasureAuthority`."""
        return True

    def forgotten(self, partition: int, application_id: str) -> Forgotten | None:  # noqa: ARG002
        """See :class:`ErasureAuthority`."""
        return None


class NoneEarlier:
    """Asks another authority, and raises for an unconfirmed erasure of an earlier version.

    For programs that build the state again from the log. Without this check, applications that workers of an earlier
    version erased would come back.

    Args:
        authority: the other one.
        taken_over: the offset up to which earlier versions had consolidated the partition.
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
    """The erasure in a record under :data:`~topics.records.erasures.ERASURE_PREFIX`.

    Args:
        record: the record.
        partition: its partition.
        authority: knows which erasures are confirmed.

    Raises:
        BadEventError: ``invalid_erasure``: it cannot be read as an erasure. ``unconfirmed_erasure``: no entry confirms
            it at this offset: it is forged, or a copy of an earlier one.
    """
    erasure = parse_erasure(record.key or b"", record.value or b"")
    if not authority.confirms(partition, record.offset, erasure):
        raise BadEventError(
            Defect.UNCONFIRMED_ERASURE,
            "an erasure that no entry in the topic of erasures names with its partition and offset does nothing: "
            "`consolidator erase` writes both, and nobody else may write entries",
        )
    return erasure
