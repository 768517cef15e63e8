"""What another ruleset makes of one (application, processor), put beside what it was."""

import msgspec

__all__ = ["Judgement"]


class Judgement(msgspec.Struct, frozen=True, array_like=True, tag="judged2", gc=False):
    """What another ruleset makes of a pair.

    The rows that were put beside each other are told by how they begin: with the pair, the ruleset and the last event.

    Attributes:
        old_start: of the row of the old ruleset, with its version; empty: there was none.
        new_start: of the row of the new one.
        version: of the row of the old ruleset; it stays where nothing differs. -1: there was none.
        parts: what is published, see :func:`~streams.core.change.difference_parts`; None: nothing differs.
    """

    old_start: bytes
    new_start: bytes
    version: int
    parts: tuple[str, str, str] | None = None

    def holds_for(self, old: bytes | None, new: bytes) -> bool:
        """Whether the pair's rows are still those that were judged.

        Args:
            old: the row of the old ruleset; None: there is none.
            new: the row of the new one.
        """
        # The first byte is the array's length: it also counts what stands behind the start.
        if old is None:
            return not self.old_start and new.startswith(self.new_start, 1)
        return bool(self.old_start) and old.startswith(self.old_start, 1) and new.startswith(self.new_start, 1)
