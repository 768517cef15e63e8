"""The comparison of one pair under two rulesets, before the adoption or while it is applied.

A judgement holds for one state of the pair's two rows, that of the old ruleset and that of the new one. Both rows begin
with the event that changed them last, so their first bytes show whether a judgement still holds.
"""

from typing import Final

import msgspec

from models.errors import ContractError
from models.judgement import Judgement
from models.rows import Row, RowHead
from streams.core.change import difference_parts
from streams.core.fold import Pair, events_of, load_pair
from streams.core.rules import Rules
from streams.partition.state.row_codec import decode_row, encode_row
from topics.contract.declared import Topics

__all__ = ["Judge", "decode_judgement", "head_of_row", "with_version"]

_encode: Final = msgspec.msgpack.Encoder().encode
decode_judgement: Final = msgspec.msgpack.Decoder(Judgement).decode
head_of_row: Final = msgspec.msgpack.Decoder(RowHead).decode
"""The first fields of a pair's row."""

_NOWHERE: Final = -1
"""The version of a missing row."""


class Judge:
    """Compares pairs under two rulesets.

    Args:
        partition: the source partition.
        topics: the declared topics.
        before: the ruleset of the partition's rows.
        after: the one that is adopted.
    """

    def __init__(self, partition: int, topics: Topics, before: Rules, after: Rules) -> None:
        self._partition = partition
        self._source_topic = topics.executions.name
        self.before: Final = before
        self.after: Final = after

    def judge(self, key: bytes, old_raw: bytes | None, new_raw: bytes) -> Judgement:
        """Compare one pair under both rulesets; arguments and errors are those of :meth:`compare`."""
        old, new, differs = self.compare(key, old_raw, new_raw)
        parts = None
        if differs:
            row = new.row
            kind = self.after.of(row.processor).processor_type
            before = None if old is None else old.tally
            parts = difference_parts(row.application_id, row.processor, kind, before, new.tally)
        if old_raw is None or old is None:
            return Judgement(b"", _start_of(new_raw), _NOWHERE, parts)
        return Judgement(_start_of(old_raw, with_version=True), _start_of(new_raw), old.row.version, parts)

    def compare(self, key: bytes, old_raw: bytes | None, new_raw: bytes) -> tuple[Pair | None, Pair, bool]:
        """A pair under both rulesets, and whether its published results differ.

        Args:
            key: the key of its row.
            old_raw: its row of the old ruleset; None: there is none.
            new_raw: its row of the new ruleset, folded from the same events.

        Raises:
            ContractError: the old row has an event that the new one lacks: the log no longer has it.
        """
        row = decode_row(new_raw)
        assert isinstance(row, Row)  # noqa: S101 - the key tells the kind
        new = load_pair(row, self.after)
        if old_raw is None:
            return None, new, True
        old_row = decode_row(old_raw)
        assert isinstance(old_row, Row)  # noqa: S101 - the key tells the kind
        old = load_pair(old_row, self.before)
        if not events_of(old) <= events_of(new):
            raise self.incomplete(key)
        kinds_differ = self.before.of(row.processor).processor_type != self.after.of(row.processor).processor_type
        return old, new, kinds_differ or new.tally.differs(old.tally)

    def ahead(self, key: bytes, old_raw: bytes | None, new_raw: bytes) -> tuple[bytes, bytes]:
        """Compare one pair before the adoption; arguments and errors are those of :meth:`judge`.

        Returns:
            Its row of the new ruleset, with the version that it will have if nothing differs, and the judgement.
        """
        judgement = self.judge(key, old_raw, new_raw)
        if judgement.parts is None:
            new_raw = with_version(new_raw, head_of_row(new_raw), judgement.version)
        return new_raw, _encode(judgement)

    def incomplete(self, key: bytes) -> ContractError:
        """The error that the log no longer has all events of a pair."""
        return ContractError(
            f"{self._source_topic} partition {self._partition}: the log no longer has all events of the state, such "
            f"as those of {key.decode(errors='backslashreplace')}, or they would now be dead letters. So another "
            "ruleset cannot be adopted, because their full output is not known. Continue with the ruleset of the "
            "state, or start over with another CONSOLIDATOR_APP_ID"
        )


def _start_of(raw: bytes, *, with_version: bool = False) -> bytes:
    """The first bytes of a row, after its length: up to the last event, or to the version."""
    head = head_of_row(raw)
    start: bytes = _encode(head)[1:]
    return start if with_version else start[: -len(_encode(head.version))]


def with_version(raw: bytes, head: RowHead, version: int) -> bytes:
    """A pair's row with another version.

    Most of a row is its executions. They are not decoded if the first fields are encoded in the way of this program.

    Args:
        raw: the row.
        head: its first fields.
        version: the version.
    """
    if head.version == version:
        return raw
    before = _encode(head)
    if raw[1 : len(before)] == before[1:]:
        # The first byte is the array's length. It counts all fields of the row, and not only those of the head, so it
        # is kept.
        return raw[:1] + _encode(msgspec.structs.replace(head, version=version))[1:] + raw[len(before) :]
    row = decode_row(raw)
    assert isinstance(row, Row)  # noqa: S101 - the key tells the kind
    return encode_row(msgspec.structs.replace(row, version=version))
