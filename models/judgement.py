"""The comparison of one (application, processor) under two rulesets."""

import msgspec

__all__ = ["Judgement"]


class Judgement(msgspec.Struct, frozen=True, array_like=True, tag="judged2", gc=False):
    """The comparison of a pair under two rulesets.

    It identifies the two compared rows by their first bytes, which hold the pair, the ruleset and the last event.

    Attributes:
        old_start: bytes of the old ruleset's row from the second one on, with its version; empty: there was none.
        new_start: the same bytes of the row of the new ruleset.
        version: the version of the row of the old ruleset, kept where nothing differs; -1: there was no such row.
        parts: the parts of the change to publish, see :func:`~streams.core.change.difference_parts`; None: nothing
            differs.
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
        # Byte 0 of a row is left out: it is the length of the whole array, but the compared bytes are only its first
        # members.
        if old is None:
            return not self.old_start and new.startswith(self.new_start, 1)
        return bool(self.old_start) and old.startswith(self.old_start, 1) and new.startswith(self.new_start, 1)
