"""A partition folded again beside the work: near the end, compared ahead, up to the adoption; interrupted, resumed."""

import json
import os
import threading
from contextlib import ExitStack, contextmanager

import msgspec
import pytest
import rocksdict

from models.errors import ContractError
from models.rows import HalfwayMark
from streams.core.rules import Rules
from streams.partition.partition_fold import PartitionFold
from streams.partition.state.row_codec import MARK_KEY, encode_row, is_pair_key
from streams.rulesets.catalogue_file import catalogue_json
from streams.worker.refold import process
from streams.worker.refold.messages import Answer, Report, Task, decode_report, encode
from streams.worker.refold.process import Refolding, StoppedError, Worker
from streams.worker.refold.table import RefoldDirectory, RefoldIdentity, RefoldTable
from tests.inputs.workloads import believable
from tests.oracle.adoptions import AdoptingWorker, adopted_sample, sample
from tests.oracle.folds import MAX_EVENT_BYTES, topics_of
from tests.real_kafka.worker_process import wait_until
from topics.records.erasure_authority import EveryErasure

LIMIT_S = 20
ITEMS = believable(7, 12)
AT = len(ITEMS) * 2 // 3


ADOPTED = adopted_sample(ITEMS, AT)


def task_in(directory, **other):
    task = Task(
        {}, topics_of(), 0, "topic-id", str(directory / "table"),
        catalogue_json(ADOPTED.before), catalogue_json(ADOPTED.after), MAX_EVENT_BYTES,
    )  # fmt: skip
    return msgspec.structs.replace(task, **other)


class Owner:
    """The worker at the other end of the process's pipes: has the partition's table, and says where the record is.

    Args:
        directory: for the table.
        records: how many records of the log its table has.
        silent_after: after how many reports of progress it is gone; None: it stays.
        has_announced: whether the record is in the source.
    """

    def __init__(self, directory, records=AT, silent_after=None, *, has_announced=False):
        self.has_announced = has_announced
        self.live = AdoptingWorker(ADOPTED, 3)
        self.live.live(-(-records // 4))
        self.reports = []
        self.copies = 0
        self._directory = directory
        self._silent_after = silent_after
        (hears, self._says), (self._hears, says) = os.pipe(), os.pipe()
        self._ends = os.fdopen(hears, "rb"), os.fdopen(says, "wb", 0)
        self.process = Worker(*self._ends)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self):
        """Go away."""
        hears, says = self._ends
        says.close()
        self._thread.join(LIMIT_S)
        # The process's own thread reads to the end.
        wait_until(lambda: self.process.is_alone, "the worker to be missed", limit_s=LIMIT_S)
        hears.close()

    def _serve(self):
        progress = 0
        with os.fdopen(self._hears, "rb") as lines, os.fdopen(self._says, "wb", 0) as out:
            for line in lines:
                report = decode_report(line)
                self.reports.append(report)
                progress += report.done is not None
                if progress == self._silent_after:
                    return
                if report.wants_table:
                    out.write(encode(Answer(table=self._copy())))
                elif report.is_near:
                    self.has_announced = True
                    out.write(encode(Answer(until=AT)))

    def _copy(self):
        self.copies += 1
        path = str(self._directory / f"live-{self.copies}")
        db = rocksdict.Rdict(path, options=_options())
        for key, raw in self.live.rows.items():
            db[key] = raw
        db.close()
        return path


@pytest.fixture
def owner_of():
    """Makes owners, and lets them go at the end."""
    with ExitStack() as stack:

        def make(*arguments, **other):
            owner = Owner(*arguments, **other)
            stack.callback(owner.close)
            return owner

        yield make


def _options():
    options = rocksdict.Options(raw_mode=True)
    options.create_if_missing(create_if_missing=True)
    return options


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Every few records it is looked whether to go on; and nobody ends the tests' own process."""
    monkeypatch.setattr(process, "_BLOCK_RECORDS", 5)
    monkeypatch.setattr(process, "_GRACE_S", 10_000)


def reading(log, asked, owner):
    """The source: the record is written when it is asked for, and everything behind it comes later."""

    @contextmanager
    def read(offset):
        asked.append(offset)
        end = len(ITEMS) + 1 if owner.has_announced else AT
        yield (record for record in log.records if offset <= record.offset < end), end

    return read


def refolded(directory, owner, log=ADOPTED.log, **other):
    """Run it; the offsets at which it began to read."""
    asked = []
    Refolding(task_in(directory, **other), owner.process, reading(log, asked, owner), EveryErasure()).run()
    return asked


def table_of(directory):
    digests = ADOPTED.before.digest, ADOPTED.after.digest
    return RefoldTable(directory / "table", RefoldIdentity.of(task_in(directory), *digests))


def gone_over(owner, table):
    """What the partition comes to when it goes over with what was folded."""
    fold = PartitionFold(
        0, topics_of(), Rules(ADOPTED.before), owner.live.rows,
        max_event_bytes=MAX_EVENT_BYTES, cached_pairs=1, cached_weight=1, switches=owner.live.switches(),
    )  # fmt: skip
    batch = owner.live.batch_at(AT)
    return [(part.outgoing, list(part.rows())) for part in fold.go_over(fold.adoption_in(batch), table)]


def test_it_ends_at_the_record_with_every_pair_compared(tmp_path, owner_of):
    """The partition goes over with it as it would if it folded and compared everything at the record itself."""
    owner = owner_of(tmp_path)
    refolded(tmp_path, owner)
    with table_of(tmp_path) as table:
        found = list(table.pairs_after(b""))
        assert found
        assert all(judgement is not None for _, _, judgement in found)
        rest = [pair for pair, _, _ in found[3:]]
        assert [pair for pair, _, _ in table.pairs_after(found[2][0])] == rest
        ahead = gone_over(owner, table)
    with owner.live.switches().refolded(AT, Rules(ADOPTED.after)) as at_the_record:
        assert ahead == gone_over(owner, at_the_record)
    assert [report.is_near for report in owner.reports].count(True) == 1
    assert not list(tmp_path.glob("live-*"))


def test_interrupted_it_goes_on_from_there(tmp_path, owner_of):
    """The worker goes away in the middle: the next one reads from where the first one ended."""
    first = owner_of(tmp_path, silent_after=2)
    with pytest.raises(StoppedError):
        refolded(tmp_path, first)
    done = max(report.done or 0 for report in first.reports)
    asked = refolded(tmp_path, owner_of(tmp_path))
    assert 0 < done < AT
    assert asked[0] >= done


@pytest.mark.parametrize(
    "other",
    [{"topic_id": "another"}, {"max_event_bytes": 1_000_000}, {"after": catalogue_json(sample("3"))}],
    ids=["topic", "limit", "ruleset"],
)
def test_of_anything_else_it_is_begun_anew(tmp_path, owner_of, other):
    """What lies there is of another topic, another limit or another ruleset: it is thrown away."""
    refolded(tmp_path, owner_of(tmp_path))
    assert refolded(tmp_path, owner_of(tmp_path), **other)[0] == 0


def test_a_damaged_one_is_begun_anew(tmp_path, owner_of):
    """There is nothing in it that could not be folded again."""
    refolded(tmp_path, owner_of(tmp_path))
    for found in (tmp_path / "table").glob("CURRENT"):
        found.write_bytes(b"nothing")
    assert refolded(tmp_path, owner_of(tmp_path))[0] == 0


def test_where_the_record_is_known_nothing_is_announced(tmp_path, owner_of):
    """It was written by an earlier owner: the fold ends there, whatever came behind it."""
    owner = owner_of(tmp_path, has_announced=True)
    refolded(tmp_path, owner, until=AT)
    assert not any(report.is_near for report in owner.reports)
    with table_of(tmp_path) as table:
        fold = PartitionFold(
            0, topics_of(), Rules(ADOPTED.after), table, max_event_bytes=1, cached_pairs=1, cached_weight=1
        )
        assert fold.mark.applied == AT - 1


def test_what_went_beyond_the_record_is_begun_anew(tmp_path, owner_of):
    """The process of an earlier owner went on while another one wrote the record: its pairs have events from behind."""
    refolded(tmp_path, owner_of(tmp_path))
    assert refolded(tmp_path, owner_of(tmp_path, has_announced=True), until=AT) == []
    assert refolded(tmp_path, owner_of(tmp_path, records=AT // 2, has_announced=True), until=AT // 2)[0] == 0


def test_events_that_are_gone_are_noticed_before_anything_is_adopted(tmp_path, owner_of):
    """The state has what the log has not any more: the process says so, and no adoption is asked for."""
    log = ADOPTED.log
    shortened = type(log)(log.topic, 1, [record for record in log.records if record.offset > 3])
    owner = owner_of(tmp_path)
    with pytest.raises(ContractError, match="the log no longer has all events of the state"):
        refolded(tmp_path, owner, shortened)
    assert not any(report.is_near for report in owner.reports)


def test_half_way_only_the_rest_is_compared(tmp_path, owner_of):
    """Pairs that have gone over already are of the other ruleset: beside them there is nothing to be put."""
    owner = owner_of(tmp_path)
    keys = sorted(filter(is_pair_key, owner.live.rows))
    middle = keys[len(keys) // 2]
    fold = PartitionFold(
        0, topics_of(), Rules(ADOPTED.before), owner.live.rows, max_event_bytes=1, cached_pairs=1, cached_weight=1
    )
    owner.live.rows[MARK_KEY] = encode_row(HalfwayMark.of(fold.mark, AT, middle))
    refolded(tmp_path, owner, until=AT, gone_over=middle.hex())
    with table_of(tmp_path) as table:
        judged = [pair for pair, _, judgement in table.pairs_after(b"") if judgement is not None]
    assert judged == [key for key in keys if key > middle]


def test_a_directory_is_one_owners_at_a_time(tmp_path):
    """A second one is given only where it is asked for; what is released can be had again."""
    first = RefoldDirectory.free(tmp_path, 3, range(1))
    assert first is not None
    assert RefoldDirectory.free(tmp_path, 3, range(1)) is None
    second = RefoldDirectory.free(tmp_path, 3, range(2))
    assert second is not None
    assert second.path != first.path
    first.release()
    again = RefoldDirectory.free(tmp_path, 3, range(1))
    assert again is not None
    assert again.path == first.path
    again.remove()
    assert not again.path.exists()
    second.release()


def test_what_nobody_will_go_on_with_is_removed(tmp_path):
    """Of partitions that have gone over, perhaps elsewhere, and what is old; not what somebody has, or may want."""
    held = RefoldDirectory.free(tmp_path, 0, range(1))
    for partition in range(1, 4):
        directory = RefoldDirectory.free(tmp_path, partition, range(1))
        (directory.path / "table").mkdir()
        (directory.path / "table" / "CURRENT").touch()
        directory.release()
    os.utime(tmp_path / "3" / "0" / "table" / "CURRENT", (0, 0))
    RefoldDirectory.sweep(tmp_path, {0, 1})
    assert sorted(path.parent.name for path in tmp_path.glob("*/0")) == ["0", "2"]
    held.release()
    RefoldDirectory.sweep(tmp_path / "nothing is there", {0})


def test_passwords_are_no_argument(tmp_path):
    """The task goes through the pipe, where no list of processes shows it."""
    line = encode(task_in(tmp_path, config={"sasl.password": "secret"}))
    assert json.loads(line)["config"] == {"sasl.password": "secret"}
    assert line.endswith(b"\n")
    assert encode(Report(is_near=True)) == b'{"is_near":true}\n'
