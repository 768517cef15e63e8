"""The size of a change, known before the event is applied, so that an event with too large a change is a dead letter.

The weight of a row bounds the factors in its changes, before and after (:mod:`models.weights`). A change also has the
quality issues of the causing event, which only the event's own size bounds: 1 MiB of nulls makes 4 MB of quality
issues.
"""

from typing import Final

from models.errors import BadEventError, Defect
from models.quality import QualityIssue
from streams.core.change import Change, common_parts, encode_change
from streams.partition.sizes import BATCH_BYTES
from topics.contract.declared import Topics

__all__ = ["CHANGE_BYTES", "CHANGE_FACTOR", "ChangeLimit", "issues_size"]

CHANGE_BYTES: Final = 2 * 1024
CHANGE_FACTOR: Final = 5
"""The upper bound of a change without quality issues: some bytes, plus five times the greater weight of the pair's row,
before or after. Long ids add a little. The weights are defined for this (models.weights). The bytes are those of ids,
the ruleset, the cause, the key, and the headers of a CloudEvent. The fold computes this sum itself."""

_LONG_IDS_BYTES: Final = 16 * 1024
"""Bytes of the rest of a change with the longest ids."""

_ISSUE_BYTES: Final = 64
_WIDEST_CHARACTER: Final = 6
"""Bytes of a quality issue, and of a character of the factor's name in it: a control character becomes ``\\u0000``."""


def issues_size(issues: tuple[QualityIssue, ...]) -> int:
    """At most the bytes that quality issues add to a change.

    Args:
        issues: the quality issues of the causing event.
    """
    size = 0
    for issue in issues:
        size += _ISSUE_BYTES + (0 if issue.factor is None else _WIDEST_CHARACTER * len(issue.factor))
    return size


class ChangeLimit:
    """The greatest change that ``factor-changes`` takes, uncompressed.

    Args:
        topics: the declared topics.

    Attributes:
        most_bytes: the limit.
        unseen_bytes: a change with at most this upper bound certainly fits, and need not be measured.
    """

    def __init__(self, topics: Topics) -> None:
        self.most_bytes: Final = int(topics.factor_changes.config["max.message.bytes"]) - BATCH_BYTES
        self.unseen_bytes: Final = self.most_bytes - _LONG_IDS_BYTES

    def require(self, change: Change, ruleset_json: str) -> None:
        """Refuse a change that is too large. It is encoded to measure it, because only an upper bound was known.

        Args:
            change: the change.
            ruleset_json: the ruleset that it was made with, as JSON text.

        Raises:
            BadEventError: ``too_large``.
        """
        size = _LONG_IDS_BYTES + len(encode_change(change, change.id, common_parts(change, ruleset_json)))
        if size > self.most_bytes:
            raise BadEventError(
                Defect.TOO_LARGE,
                f"the change that the event makes would have {size} bytes, the limit is {self.most_bytes}",
            )
