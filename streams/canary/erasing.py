"""Erases an application of the canary, without searching for it: all of its keys are known.

The steps are those of :class:`streams.operations.erasure.ApplicationErasure`: see docs/decisions/0010 and 0026.
"""

import os
from collections.abc import Mapping
from typing import Final

from consolidator.records import SourcePlace
from consolidator.source_records import ERASURE_HEADER
from consolidator.waiting.waiter import Waiter
from streams.canary.residue import Remains
from topics.contract.declared import Topics
from topics.contract.permissions import erasing_transactions
from topics.reading.erasures import read_entries
from topics.records.erasures import SALT_BYTES, erasure_of, forgotten_in
from topics.writing.confirmed import ConfirmedWriter
from topics.writing.delivery import Written, write_records

__all__ = ["Eraser"]

_HEADERS: Final = ((ERASURE_HEADER, b"application"),)


class Eraser:
    """Erases applications of which everything is known.

    Args:
        config: for librdkafka.
        topics: the declared topics.
        app_id: the workers' application id.
        waiter: waits until the workers have taken an erasure in.
        limit_s: for how long it waits, in seconds.
    """

    def __init__(
        self, config: Mapping[str, str | int], topics: Topics, app_id: str, waiter: Waiter, limit_s: float
    ) -> None:
        self._config = config
        self._topics = topics
        self._app_id = app_id
        self._waiter = waiter
        self._limit_s = limit_s

    def erase(self, remains: Remains) -> None:
        """Erase an application. It may be given again, after whatever it ended with.

        1. Write the erasure, with the entry that confirms it, unless it is there already. It has the salt of the
           partition's last erasure: workers hash an application once for each salt.
        2. Wait until the workers have taken it in: they publish nothing about the application from there on, and have
           written the tombstones for its current factors.
        3. Write a tombstone for each of its events and changes.

        Args:
            remains: what there is of it.

        Raises:
            InfrastructureError: Kafka does not answer, or no worker takes the erasure in.
            AuthorizationError: a permission is missing.
        """
        # 1.
        entries = read_entries(self._config, self._topics, [remains.partition])[remains.partition]
        forgotten = forgotten_in(entries, remains.partition, remains.application_id)
        if forgotten is None:
            salt = entries[max(entries)].salt if entries else os.urandom(SALT_BYTES)
            offset = self._announced(remains, salt)
        else:
            offset = forgotten.offset
        # 2.
        self._waiter.wait_for(SourcePlace(remains.partition, offset), timeout_s=self._limit_s)
        # 3.
        source, changes = self._topics.executions.name, self._topics.factor_changes.name
        tombs = [Written(source, remains.partition, key, None) for key in remains.events]
        tombs += [Written(changes, remains.partition, key, None) for key in remains.events.values()]
        write_records(self._config, tombs, headers=_HEADERS)

    def _announced(self, remains: Remains, salt: bytes) -> int:
        """Write the erasure and its entry; return its offset."""
        # A new one each time: brokers forget a transactional id that was not used for a week.
        writer = ConfirmedWriter(self._config, erasing_transactions(self._app_id))
        erasure, partition, topics = erasure_of(remains.application_id, salt), remains.partition, self._topics
        return writer.write(
            Written(topics.executions.name, partition, erasure.key, erasure.value),
            lambda offset: Written(
                topics.erasures.name, partition, erasure.entry_key(partition, offset), erasure.entry_value
            ),
        )
