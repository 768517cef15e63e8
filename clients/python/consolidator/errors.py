"""What this package raises on purpose."""

__all__ = ["SubscriberError", "UnreadableRecordError"]


class SubscriberError(Exception):
    """The root of every error that this package raises on purpose."""


class UnreadableRecordError(SubscriberError, ValueError):
    """A record's value is not what a worker publishes, or of a schema version that this package does not know.

    The message holds no factor's value. A record that cannot be read is no reason to go on with the next one: the
    state of its application would be wrong from there on.

    Args:
        reason: what is wrong, as the end of a sentence about the value.
        newer_version: the schema version, if it is later than this package knows: the package is then too old.
        detail: the decoder's message, or nothing.
    """

    def __init__(self, reason: str, *, newer_version: int | None = None, detail: str = "") -> None:
        super().__init__(f"the value {reason}" + (f" ({detail})" if detail else ""))
        self.reason = reason
        self.newer_version = newer_version
        self.detail = detail
