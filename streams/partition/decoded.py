"""A record of the source, decoded at the edge of the fold."""

from typing import Final

from models.errors import BadEventError
from models.events import LifecycleEvent
from streams.partition.batch import SourceRecord
from topics.records.adoptions import ADOPTION_PREFIX
from topics.records.decoding import decode_event
from topics.records.erasures import ERASURE_PREFIX

__all__ = ["decoded"]

_CONTROL_PREFIXES: Final = (ERASURE_PREFIX, ADOPTION_PREFIX)
"""What the keys of control records start with: a slash, as no application's, whose id is not empty."""


def decoded(record: SourceRecord, max_event_bytes: int) -> LifecycleEvent | BadEventError | None:
    """The event of a record, or what is wrong with it; None: it is a tombstone or a control record."""
    value = record.value
    if value is None or (record.key is not None and record.key.startswith(_CONTROL_PREFIXES)):
        return None
    try:
        return decode_event(value, max_bytes=max_event_bytes, recorded_at=record.timestamp * 1000)
    except BadEventError as error:
        # Without its traceback: that leads to the frame of the fold, whose list of events leads back here. Cycles are
        # looked for every few minutes only, and until then each would keep a batch.
        return BadEventError(error.defect, str(error))
