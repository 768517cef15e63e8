"""What every consumer has in common that reads committed records without a reset, and commits nothing by itself."""

from collections.abc import Mapping
from typing import Any, Final

__all__ = ["READING_SETTINGS"]

READING_SETTINGS: Final[Mapping[str, Any]] = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "enable.partition.eof": True,
    "isolation.level": "read_committed",
    # A position that is not there must be noticed: a reader that goes on elsewhere loses records.
    "auto.offset.reset": "error",
    "allow.auto.create.topics": False,
}
"""For librdkafka; they come after the user's own settings, which must not change them."""
