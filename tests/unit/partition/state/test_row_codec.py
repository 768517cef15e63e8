"""Stored rows of formats that this program does not know are refused by name, and never read for less than they say."""

import msgspec
import pytest

from models.errors import ContractError
from models.events import Status
from models.rows import Entry, ErasedApplication, Erasures, PartitionMark, Row
from streams.partition.state.row_codec import KNOWN_FORMATS, MARK_KEY, decode_row, encode_row
from tests.inputs.cases import event
from tests.oracle.folds import Partition, StoredRows, record_of, records_of

HASH = bytes(range(16))
TODAY = {
    "row": Row("app", "p", "r@d", 7, 3, 9, {"e": (Entry("evt", HASH, Status.FAILED, 1, 2, 3, "f", "CODE"),)}),
    "erased": Erasures("app", 7, (HASH,)),
    "gone": ErasedApplication(HASH, HASH * 2, 7),
    "mark": PartitionMark(3, 7, "r@d", 1, "topic"),
}


class MarkOfOldWorkers(msgspec.Struct, frozen=True, array_like=True, tag="mark1", gc=False):
    """The mark as commit d333f77 declares it: a field more at its end is ignored, and lost where it is written back."""

    partition: int
    applied: int
    ruleset: str
    erasures: int = 0
    topic_id: str = ""


def members_of(row):
    return msgspec.msgpack.decode(encode_row(row))


@pytest.mark.parametrize("kind", TODAY)
def test_a_newer_format_is_refused_by_name(kind):
    """The error names partition, key, the format that was met, those that are known, and what to do."""
    _, *members = members_of(TODAY[kind])
    newer = f"{kind}{KNOWN_FORMATS[kind] + 1}"
    with pytest.raises(ContractError) as caught:
        decode_row(msgspec.msgpack.encode([newer, *members]), b"app/p", 5)
    for part in ("partition 5", "app/p", newer, f"{kind}{KNOWN_FORMATS[kind]}", "later version", "docs/upgrading.md"):
        assert part in str(caught.value)


@pytest.mark.parametrize("kind", TODAY)
def test_a_field_more_is_refused_under_todays_number_too(kind):
    """Whoever adds a field without raising the number is not misread: the field would be lost when it is written."""
    members = members_of(TODAY[kind])
    with pytest.raises(ContractError, match=rf"says that it has format {members[0]}, and is none"):
        decode_row(msgspec.msgpack.encode([*members, 1]), b"app/p", 5)


def test_a_field_more_of_an_entry_is_refused_too():
    """What stands inside a row is read as strictly as the row."""
    members = members_of(TODAY["row"])
    members[-1]["e"][0] = [*members[-1]["e"][0], False, {}, "one more"]
    with pytest.raises(ContractError, match="has format row1, and is none"):
        decode_row(msgspec.msgpack.encode(members), b"app/p", 5)


@pytest.mark.parametrize(
    "raw", [b"", b"\xc1", b"\x01", b"\x91", msgspec.msgpack.encode(["confirmed1", 1]), msgspec.msgpack.encode([7])]
)
def test_a_row_of_another_kind_is_refused(raw):
    """What is no row at all, or one of a kind that a later version has, ends no worker with a traceback."""
    with pytest.raises(ContractError, match="this program knows row1, erased1, gone1, mark3, halfway2"):
        decode_row(raw, b"key", 0)


@pytest.mark.parametrize("kind", ["mark", "row", "gone"])
def test_a_fold_refuses_the_rows_of_a_later_version(kind):
    """Whichever of them it meets first: the mark when it begins, an erasure too, a pair when an event asks for it."""
    catalogue = {"name": "c", "version": "1", "processors": {}}
    partition = Partition(catalogue)
    partition.take(*records_of([event("a", "requested", 1)]))
    rows = StoredRows(partition.rows)
    mark = decode_row(rows[MARK_KEY])
    later = msgspec.msgpack.encode([f"{kind}9", 1, 2, 3])
    if kind == "mark":
        rows[MARK_KEY] = later
    elif kind == "gone":
        rows[b"\x00erased-0"] = later
        rows[MARK_KEY] = encode_row(msgspec.structs.replace(mark, erasures=1))
    else:
        [key] = [key for key in rows if key != MARK_KEY]
        rows[key] = later
    with pytest.raises(ContractError, match=rf"{kind}9"):
        Partition(catalogue, rows=rows).take(record_of(7, event("a", "started", 2)))


def test_workers_of_d333f77_stop_at_a_mark_of_today():
    """They know no number, but no tag either: they halt at the mark, before anything is folded."""
    with pytest.raises(msgspec.ValidationError, match="mark3"):
        msgspec.msgpack.decode(encode_row(TODAY["mark"]), type=MarkOfOldWorkers | Row | Erasures | ErasedApplication)
    earlier = msgspec.msgpack.encode(MarkOfOldWorkers(3, 7, "r@d", 1, "topic"))
    assert decode_row(earlier) == TODAY["mark"]
    one_more = msgspec.msgpack.encode([*msgspec.msgpack.decode(earlier), "half-done"])
    assert msgspec.msgpack.decode(one_more, type=MarkOfOldWorkers).topic_id == "topic", "which is why the number rises"
    with pytest.raises(ContractError, match="has format mark1, and is none"):
        decode_row(one_more)
