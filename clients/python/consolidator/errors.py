"""What this package raises on purpose: a tree with one root, whose branches say who has to act.

* :class:`ContractError`: something that was agreed upon does not hold: a setting, a topic, a token. Mend it.
* :class:`InfrastructureError`: Kafka or the network failed. Begin again where the last token is.

Messages name topic, partition, offset and setting, never a factor's value.
"""

__all__ = [
    "AuthorizationError",
    "ConsolidatorError",
    "ContractError",
    "InfrastructureError",
    "SettingsError",
    "StalledError",
    "SubscriberError",
    "TokenError",
    "UnreadableRecordError",
    "UsageError",
    "WaitTimeoutError",
]


class ConsolidatorError(Exception):
    """The root of every error that this project raises on purpose."""


SubscriberError = ConsolidatorError
"""The root under its name for subscribers."""


class ContractError(ConsolidatorError):
    """Something agreed upon does not hold (topics, catalogue, state): halt and say what to do."""


class SettingsError(ContractError):
    """A setting is missing or wrong; the message names it."""


class AuthorizationError(ContractError):
    """The cluster does not permit an operation; the message names it, its resource and what to do."""


class InfrastructureError(ConsolidatorError):
    """Kafka, the disk or the network failed: the worker stops and acknowledges nothing."""


class UsageError(ContractError, ValueError):
    """An argument cannot be what is meant; the message names it."""


class TokenError(ContractError):
    """A token cannot be used here: it is damaged, or of another cluster, of other topics or of another filter.

    It is never used in part. Take the token that belongs here, or a snapshot.
    """


class StalledError(InfrastructureError):
    """Reading did not get on for too long; the message says what it waits for."""


class WaitTimeoutError(InfrastructureError, TimeoutError):
    """What came of an event is not known in time; the message says what was waited for."""


class UnreadableRecordError(ConsolidatorError, ValueError):
    """A record's value is not what a worker publishes, or of a schema version that this package does not know.

    The message holds no factor's value. A record that cannot be read is no reason to go on with the next one: the
    state of its application would be wrong from there on.

    Args:
        reason: what is wrong, as the end of a sentence about the value.
        newer_version: the schema version, if it is later than this package knows: the package is then too old.
        detail: the decoder's message, or nothing.
        place: where the record stands; "" where only a value was given.
        advice: what to do, if it is known.
    """

    def __init__(
        self, reason: str, *, newer_version: int | None = None, detail: str = "", place: str = "", advice: str = ""
    ) -> None:
        whole = f"the value {reason}" + (f" ({detail})" if detail else "")
        super().__init__((f"{place}: " if place else "") + whole + (f". To do: {advice}" if advice else ""))
        self.reason = reason
        self.newer_version = newer_version
        self.detail = detail
        self.place = place
