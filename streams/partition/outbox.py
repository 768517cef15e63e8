"""What one batch says, in order, and how it becomes records.

Changes are written out when the whole batch is folded, not one by one in between: a CPU's caches hold the code that
decodes, that folds, or that writes, but not all of it at once (``docs/decisions/0013``).
"""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from streams.core.change import Change, common_parts, encode_change, encode_factors
from streams.partition.batch import Outgoing
from topics.contract.declared import Topics
from topics.contract.keys import change_key
from topics.records.cloudevents import CHANGE_TYPE, FACTORS_TYPE, SOURCE, cloudevent_headers

__all__ = ["Outbox"]

_CHANGE_TYPE: Final = CHANGE_TYPE.encode()
_FACTORS_TYPE: Final = FACTORS_TYPE.encode()
_SOURCE: Final = SOURCE.encode()


class _Told(NamedTuple):
    """A change of a pair, and the ruleset that it was made with, as JSON text."""

    row_key: bytes
    change: Change
    ruleset_json: str


@dataclass(slots=True)
class Outbox:
    """What one batch says, in order."""

    _said: list[Outgoing | _Told] = field(default_factory=list)
    _latest: dict[bytes, _Told] = field(default_factory=dict)

    def add(self, record: Outgoing) -> None:
        """Say something that is a record already."""
        self._said.append(record)

    def tell(self, row_key: bytes, change: Change, ruleset_json: str) -> None:
        """Say what has changed in a pair; its last change in the batch gives its ``factors`` record."""
        told = _Told(row_key, change, ruleset_json)
        self._said.append(told)
        self._latest[row_key] = told

    def withdraw_factors(self, row_key: bytes) -> None:
        """A pair is gone: it has no ``factors`` record, whatever was told of it before."""
        self._latest.pop(row_key, None)

    def drained(self, topics: Topics, partition: int) -> list[Outgoing]:
        """Everything as records: what was said, then the ``factors`` of each pair that changed. Nothing is left here.

        They come in the order of the pairs' last changes, so that the versions of an application never go back.
        """
        changes_topic, factors_topic = topics.factor_changes.name, topics.factors.name
        records: list[Outgoing] = []
        factors: list[Outgoing] = []
        for said in self._said:
            if isinstance(said, Outgoing):
                records.append(said)
                continue
            row_key, change, ruleset_json = said
            identity = change.id
            common = common_parts(change, ruleset_json)
            ce_id, subject = identity.encode(), change.application_id.encode()
            records.append(
                Outgoing(
                    changes_topic,
                    partition,
                    change_key(change.application_id, identity),
                    encode_change(change, identity, common),
                    cloudevent_headers(ce_id, _CHANGE_TYPE, _SOURCE, subject),
                )
            )
            if self._latest.get(row_key) is said:
                headers = cloudevent_headers(ce_id, _FACTORS_TYPE, _SOURCE, subject)
                factors.append(Outgoing(factors_topic, partition, row_key, encode_factors(common), headers))
        self._said.clear()
        self._latest.clear()
        return records + factors
