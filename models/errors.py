"""The error tree: one root, and three branches that say who has to act.

* :class:`BadEventError` - the event is bad: it becomes a dead letter and the partition goes on.
* :class:`ContractError` - a topic, catalogue or state is not what was agreed: halt, and say what to do.
* :class:`InfrastructureError` - Kafka, the disk or the network failed: stop, nothing acknowledged.

Messages name the topic, partition, offset and setting, never a factor's value.
"""

from enum import StrEnum

# The client raises them as well, so they are defined there; everything above it takes them from here.
from consolidator.errors import (
    AuthorizationError,
    ConsolidatorError,
    ContractError,
    InfrastructureError,
    SettingsError,
)

__all__ = [
    "AuthorizationError",
    "BadEventError",
    "CatalogueError",
    "ConsolidatorError",
    "ContractError",
    "Defect",
    "InfrastructureError",
    "SettingsError",
]


class Defect(StrEnum):
    """Why an event is a dead letter: the ``error_class`` header of ``executions.dlq``.

    The values are part of the contract: dashboards and redrive filters use them.
    """

    EMPTY = "empty"
    TOO_LARGE = "too_large"
    TOO_LONG = "too_long"
    INVALID_UTF8 = "invalid_utf8"
    INVALID_JSON = "invalid_json"
    NOT_AN_OBJECT = "not_an_object"
    DUPLICATE_KEY = "duplicate_key"
    TOO_DEEP = "too_deep"
    NUMBER_LIMIT = "number_limit"
    MISSING_FIELD = "missing_field"
    INVALID_FIELD = "invalid_field"
    INVALID_OUTPUT = "invalid_output"
    UNKNOWN_STATUS = "unknown_status"
    UNKNOWN_SCHEMA_VERSION = "unknown_schema_version"
    INVALID_TIME = "invalid_time"
    FAR_FUTURE = "far_future"
    TOMBSTONE_KEY = "tombstone_key"
    EXECUTION_LIMIT = "execution_limit"
    APPLICATION_ERASED = "application_erased"
    INVALID_ERASURE = "invalid_erasure"
    UNCONFIRMED_ERASURE = "unconfirmed_erasure"
    INVALID_ADOPTION = "invalid_adoption"


class BadEventError(ConsolidatorError):
    """The event itself is bad; it goes to the dead-letter topic and the next one is read.

    Args:
        defect: the machine-readable reason.
        message: the reason in words, naming fields but never their values.

    Attributes:
        defect: the machine-readable reason.
        processor: the processor of an event that could be read, but not be folded; None: it could not be read.
    """

    def __init__(self, defect: Defect, message: str) -> None:
        super().__init__(message)
        self.defect = defect
        self.processor: str | None = None


class CatalogueError(ContractError):
    """A processor catalogue cannot be used; the message lists every problem with its place in the file."""
