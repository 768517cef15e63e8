"""Laws of a partition's fold: replay equals live, however the log is cut into batches and whatever is remembered."""

from collections import deque
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from consolidator.keys import partition_of
from models.rows import Row
from streams.partition.batch import Outgoing
from streams.partition.state.row_codec import decode_row
from tests.inputs.strategies import ADVERSARIAL_CATALOGUE, APPLICATION, OTHER_APPLICATION, batches, event_logs
from tests.inputs.workloads import Item, Rates, believable, load_catalogue, numbered
from tests.oracle.expected import Tombstone, expected
from tests.oracle.folds import Partition, Record, StoredRows, comparable_changes, record_of, records_of

PARTITIONS = 3
# The two applications of the strategies are in different partitions: one of them is always foreign.
HOME = partition_of(APPLICATION, PARTITIONS)
CACHES = st.sampled_from([0, 1, 100])
LAGS = st.sampled_from([0, 1, 3])

BAD = (
    Record(0, b"k", b""),
    Record(0, b"k", b'{"application_id":"app-1"}'),
    Record(0, b"k", b"\xff"),
    Record(0, b"not canonical", None),
    Record(0, None, None),
)


@st.composite
def early_tombstones(draw: st.DrawFn) -> list[Item]:
    """A log in which some events are erased, wherever the tombstone stands: also before the event."""
    log = draw(event_logs(max_pairs=3))
    named = [item for item in log if isinstance(item, dict) and "event_id" in item]
    for event in draw(st.lists(st.sampled_from(named), max_size=3)) if named else []:
        log.insert(draw(st.integers(0, len(log))), Tombstone(event["application_id"], event["event_id"]))
    return log


@st.composite
def source_logs(draw: st.DrawFn) -> list[Record]:
    """Records as a partition may hold them: bad ones and foreign keys between the others, gaps in the offsets."""
    records: list[Record] = []
    for item in draw(early_tombstones()):
        record = record_of(0, item)
        if record.value is not None and draw(st.integers(0, 9)) == 0:
            record = Record(0, b"foreign", record.value, headers=(("trace", b"1"),))
        records.append(record)
    for bad in draw(st.lists(st.sampled_from(BAD), max_size=3)):
        records.insert(draw(st.integers(0, len(records))), bad)
    offset = -1
    found = []
    for record in records:
        offset += draw(st.sampled_from([1, 1, 1, 2, 7]))
        found.append(Record(offset, record.key, record.value, record.timestamp, record.headers))
    return found


def run(batched: Sequence[Sequence[Record]], *, cached: int = 10, lag: int = 0) -> Partition:
    """Fold batch by batch; rows are written when ``lag`` further batches were folded, as in the worker."""
    partition = Partition(ADVERSARIAL_CATALOGUE, partition=HOME, partitions=PARTITIONS, cached_pairs=cached)
    pending: deque[Any] = deque()
    for batch in batched:
        pending.append(partition.begin(batch))
        while len(pending) > lag:
            partition.finish(pending.popleft())
    while pending:
        partition.finish(pending.popleft())
    return partition


def meaning(sent: Sequence[Outgoing]) -> tuple[list[Outgoing], dict[bytes, Outgoing]]:
    """Everything that was sent, in order, but for the ``factors``, of which a reader sees each key's last."""
    return (
        [outgoing for outgoing in sent if outgoing.topic != "factors"],
        {outgoing.key: outgoing for outgoing in sent if outgoing.topic == "factors"},
    )


def test_the_applications_of_the_strategies_are_apart() -> None:
    """One of the two is foreign to the partition that these laws fold."""
    assert partition_of(OTHER_APPLICATION, PARTITIONS) != HOME


@given(st.data(), CACHES, LAGS)
def test_replay_equals_live(data: st.DataObject, cached: int, lag: int) -> None:
    """The whole log at once and any split, cache and delay of writing give the same records and the same rows."""
    records = data.draw(source_logs())
    live = run(data.draw(batches(records)), cached=cached, lag=lag)
    replayed = run([records])
    assert meaning(live.sent) == meaning(replayed.sent)
    assert live.stored() == replayed.stored()


@given(st.data())
def test_what_is_remembered_changes_no_byte(data: st.DataObject) -> None:
    """For one split, all that is sent is the same to the byte, with or without a cache, and so is the state."""
    split = data.draw(batches(data.draw(source_logs())))
    first, *others = [run(split, cached=cached, lag=lag) for cached, lag in ((0, 0), (1, 1), (100, 0), (1, 3))]
    assert all((other.sent, other.stored()) == (first.sent, first.stored()) for other in others)


@given(st.data())
def test_a_restart_with_redelivered_records_sends_nothing_twice(data: st.DataObject) -> None:
    """A new fold over the stored rows skips what they contain and goes on as if nothing had happened."""
    records = data.draw(source_logs())
    cut = data.draw(st.integers(1, len(records)))
    again = data.draw(st.integers(0, cut - 1))
    before = run([records[:cut]])
    after = Partition(ADVERSARIAL_CATALOGUE, rows=before.rows, partition=HOME, partitions=PARTITIONS)
    after.take(*records[again:])
    straight = run([records])
    assert meaning(before.sent + after.sent) == meaning(straight.sent)
    assert before.stored() == straight.stored()


@given(st.data())
def test_an_abandoned_batch_leaves_no_trace(data: st.DataObject) -> None:
    """Killed before its commit, a batch that is folded anew from the rows gives the same records again."""
    records = data.draw(source_logs())
    cut = data.draw(st.integers(0, len(records) - 1))
    stored = run([records[:cut]]).rows if cut else StoredRows()
    batch = records[cut:]
    killed, restarted = (
        Partition(ADVERSARIAL_CATALOGUE, rows=StoredRows(stored), partition=HOME, partitions=PARTITIONS)
        for _ in range(2)
    )
    assert killed.begin(batch).outgoing == restarted.take(*batch).outgoing
    assert killed.rows == stored


@given(early_tombstones())
def test_erased_is_erased_wherever_the_tombstone_stands(log: list[Item]) -> None:
    """Tombstones before the event, twice, or without one: changes are the oracle's and no erased event is in a row."""
    partition = Partition(ADVERSARIAL_CATALOGUE)
    partition.take(*records_of(log))
    derived = expected(ADVERSARIAL_CATALOGUE, numbered(log)).changes
    assert comparable_changes(partition.values("factor-changes"), log) == comparable_changes(derived, log)
    # Ids are unique over the applications of a log.
    erased = {item.event_id for item in log if isinstance(item, Tombstone)}
    rows = [row for raw in partition.rows.values() if isinstance(row := decode_row(raw), Row)]
    kept = {entry.event_id for row in rows for entries in row.executions.values() for entry in entries}
    assert not kept & erased


@given(st.integers(0, 2**32), st.data())
def test_a_believable_day_is_the_oracles(seed: int, data: st.DataObject) -> None:
    """Every event of the workload decodes, none is a dead letter, and its changes and last factors are the oracle's."""
    catalogue = load_catalogue()
    items = believable(seed, 3, executions=(1, 6), rates=Rates(erased=0.05, supersedes=0.3, missing_event_id=0.02))
    oracle = expected(catalogue, numbered(items))
    assert not oracle.dead_letters
    partition = Partition(catalogue, cached_pairs=data.draw(CACHES))
    for batch in data.draw(batches(records_of(items))):
        partition.take(*batch)
    assert {sent.topic for sent in partition.sent} == {"factor-changes", "factors"}
    published = partition.values("factor-changes")
    assert comparable_changes(published, items) == comparable_changes(oracle.changes, items)
    current = {(value["application_id"], value["processor"]): value for value in partition.values("factors")}
    assert {key: value["factors"] for key, value in current.items()} == {
        (*key,): state.factors for key, state in oracle.pairs.items()
    }
