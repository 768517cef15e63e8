"""Which transactions were committed under an installation's ids, counted in the coordinator's own log."""

import struct
from collections import Counter
from collections.abc import Mapping
from typing import Final

from topics.reading.positions import Beginning
from topics.reading.reader import TopicReader

__all__ = ["committed_transactions"]

_TOPIC: Final = "__transaction_state"
_KEY: Final = struct.Struct(">hh")
"""Its version, then how long the transactional id is."""

_VALUE: Final = struct.Struct(">hqhib")
"""Its version, the producer's id and epoch, the timeout, the state; what follows differs between the versions."""

_COMPLETE_COMMIT: Final = 4
"""The state in which every marker of a commit is written (Kafka's ``TransactionState``)."""

_SMALL: Final = ("-a", "-b")
"""How the ids of small rounds end: docs/decisions/0017."""


def committed_transactions(config: Mapping[str, str | int], app_id: str) -> dict[str, int]:
    """Count the transactions that the broker has committed, by the kind of their producer.

    A transaction without anything in it changes no state, and is not counted.

    Args:
        config: for librdkafka.
        app_id: what the transactional ids start with.
    """
    found: Counter[str] = Counter()
    with TopicReader(config, _TOPIC, Beginning()) as reader:
        for record in reader.until_end():
            if record.key is None or record.value is None:
                continue
            _, length = _KEY.unpack_from(record.key)
            transactional_id = record.key[_KEY.size : _KEY.size + length].decode()
            *_, state = _VALUE.unpack_from(record.value)
            if state == _COMPLETE_COMMIT and transactional_id.startswith(f"{app_id}-"):
                found["small rounds" if transactional_id.endswith(_SMALL) else "large batches"] += 1
    return dict(found)
