"""The binding of a prefix's topics to an application id: a record in ``rulesets``, where only workers may write.

Two workers with different application ids on the same topics would publish every change twice, and neither would know
of the other. The first record of the log binds the topics. A later one counts only if it names the id that it moves
them from. Each has a key of its own, so that compaction removes none.
"""

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final
from uuid import uuid4

from topics.records.record import Record
from topics.records.schema_version import require_known_version

__all__ = ["Binding", "binding_in", "in_force"]

_BINDING: Final = b"binding/"

_SCHEMA_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Binding:
    """The binding of topics to an application id.

    Attributes:
        app_id: the application id.
        prefix: of the topics' names.
        moved_from: the id that they belonged to before; None: this is the first binding.
        taken_over: by partition of ``executions``, the offset up to which earlier versions had consolidated. In those
            versions, the record of an erasure counted without an entry. Empty: there was no earlier version.
    """

    app_id: str
    prefix: str
    moved_from: str | None = None
    taken_over: Mapping[int, int] = field(default_factory=dict)

    @property
    def key(self) -> bytes:
        """A new key, which no other record has."""
        return _BINDING + uuid4().hex.encode()

    @property
    def value(self) -> bytes:
        """The record's value."""
        members = {
            "schema_version": _SCHEMA_VERSION,
            "app_id": self.app_id,
            "prefix": self.prefix,
            "moved_from": self.moved_from,
            "taken_over": {str(partition): offset for partition, offset in self.taken_over.items()},
        }
        return json.dumps(members).encode()


def binding_in(record: Record) -> Binding | None:
    """The binding in a record; None: the record is no binding.

    Raises:
        ContractError: it is of a later version. If it were ignored, the topics would seem unbound.
    """
    if not (record.key or b"").startswith(_BINDING) or record.value is None:
        return None
    require_known_version(record, "a binding", _SCHEMA_VERSION)
    with suppress(ValueError, KeyError, TypeError, AttributeError):
        members = json.loads(record.value)
        taken_over = {int(partition): int(offset) for partition, offset in members["taken_over"].items()}
        return Binding(str(members["app_id"]), str(members["prefix"]), members["moved_from"], taken_over)
    return None


def in_force(bindings: Iterable[Binding]) -> Binding | None:
    """The present binding, from all bindings in the order of the log; None: there is none."""
    found = None
    for binding in bindings:
        if found is None or binding.moved_from == found.app_id:
            found = binding
    return found
