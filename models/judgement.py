"""What another ruleset makes of one (application, processor), put beside what it was."""

from typing import Final

import msgspec

from models.rows import RowHead

__all__ = ["NOWHERE", "Judgement"]

NOWHERE: Final = -1
"""Where the last event stands of a pair that is not there."""


class Judgement(msgspec.Struct, frozen=True, array_like=True, tag="judged1", gc=False):
    """What another ruleset makes of a pair.

    Attributes:
        old_applied: :attr:`~models.rows.Row.applied` of the row of the old ruleset; -1: there is none.
        new_applied: that of the row of the new one.
        version: of the row of the old ruleset; it stays where nothing differs.
        parts: what is published, see :func:`~streams.core.change.difference_parts`; None: nothing differs.
    """

    old_applied: int
    new_applied: int
    version: int
    parts: tuple[str, str, str] | None = None

    def holds_for(self, old: RowHead | None, new: RowHead) -> bool:
        """Whether the pair's rows are still those that were judged."""
        if old is None:
            return self.old_applied == NOWHERE and self.new_applied == new.applied
        return self.old_applied == old.applied and self.version == old.version and self.new_applied == new.applied
