"""The interface through which a fold learns where another ruleset was adopted."""

from contextlib import AbstractContextManager
from typing import Protocol

from streams.core.rules import Rules
from streams.partition.adoption import Refolded

__all__ = ["NoSwitches", "RulesetSwitches"]


class RulesetSwitches(Protocol):
    """The adoptions of one partition."""

    def fetched(self, end: int) -> None:
        """Note that the records before an offset were read, so that their adoptions can be looked up together."""

    def rules_at(self, offset: int) -> Rules | None:
        """The rules that the record at an offset adopts; None: no entry confirms the record, so it adopts nothing.

        Raises:
            ContractError: the rules are not in Kafka, or are not this worker's.
        """

    def refolded(self, offset: int, rules: Rules) -> AbstractContextManager[Refolded]:
        """The partition's pairs at an offset, folded from the beginning with a ruleset."""


class NoSwitches:
    """A partition in which no ruleset was ever adopted."""

    def fetched(self, end: int) -> None:
        """See :class:`RulesetSwitches`."""

    def rules_at(self, offset: int) -> Rules | None:  # noqa: ARG002
        """See :class:`RulesetSwitches`."""
        return None

    def refolded(self, offset: int, rules: Rules) -> AbstractContextManager[Refolded]:
        """See :class:`RulesetSwitches`."""
        raise NotImplementedError("no ruleset was adopted, so no partition is folded again")
