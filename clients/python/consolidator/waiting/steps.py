"""One wait, step by step."""

import threading
import time
from collections.abc import Mapping
from typing import Final

from confluent_kafka import Message, TopicPartition

from consolidator.connecting.publication_times import published_at
from consolidator.errors import InfrastructureError, UsageError, WaitTimeoutError
from consolidator.records import SourcePlace, decode_change
from consolidator.source_records import DEAD_LETTER_CLASS, DEAD_LETTER_MESSAGE
from consolidator.waiting.copies import CopyOf, SourceRecord, copy_of
from consolidator.waiting.questions import Names, Questions
from consolidator.waiting.result import WaitResult
from consolidator.waiting.scanning import (
    SOME_OFFSETS,
    Reading,
    Scan,
    headers_of,
    source_of_change,
    source_of_letter,
)

__all__ = ["Steps", "may_be_deleted"]

_ASK_S: Final = 0.005
"""Between two questions for the group's offset: a broker answers some thousand of them a second."""

_LATER_ASK_S: Final = 0.02
_OFTEN_S: Final = 2.0
"""For so long the group is asked often: most events are folded within a second."""

_CLOCKS_MS: Final = 60_000
"""How much brokers' clocks may differ: a copy has the time of another broker than its original."""

_KEPT_MS: Final = 29 * 86_400_000
"""Dead letters are kept for 30 days; a day less, as this machine's clock is another one than the broker's."""

_LOOK_S: Final = 2.0
"""For a look at an open transaction, once the wait's own time is over."""


class Steps:
    """The steps of one wait.

    Args:
        questions: asks Kafka.
        reading: reads, for this wait alone.
        names: the installation's.
        config: for librdkafka.
        timeout_s: the time limit, for messages.
        deadline: when it is over, as :func:`time.monotonic` has it.
        cancelled: set when nobody waits for the result any more.
    """

    def __init__(
        self,
        questions: Questions,
        reading: Reading,
        names: Names,
        config: Mapping[str, str | int],
        timeout_s: float,
        deadline: float,
        cancelled: threading.Event,
    ) -> None:
        self._questions = questions
        self._reading = reading
        self._names = names
        self._config = config
        self._timeout_s = timeout_s
        self._deadline = deadline
        self._cancelled = cancelled

    def result(self, place: SourcePlace, *, copy_of: SourcePlace | None = None) -> WaitResult:
        """Wait for a record's result.

        1. Begin to read changes and dead letters a little before their present ends, so that the result arrives while
           the worker's commit is waited for.
        2. Wait until the group has committed past the record. The commit is in the transaction of the results.
        3. *After that answer*, ask for the high watermarks of ``factor-changes``, ``factors`` and the dead letters. The
           results were written before the commit, so they are below them. They need not be readable yet, because the
           broker ends a transaction partition by partition.
        4. Read up to these, read committed, and wait until the last stable offset of ``factors`` has come to its own.
           Everything that was open below is decided then.
        5. If the record has no result, it may have been published again: look for its copy.

        Args:
            place: where the record stands.
            copy_of: the record that this one is the copy of.

        Raises:
            UsageError: no record is there.
            WaitTimeoutError: the time is over.
        """
        # 1.
        scans = self._scans(place)
        # 2.
        self._wait_committed(place, scans)
        # 3.
        names = self._names
        ends = self._questions.written((names.changes, names.factors, names.letters), place.partition, self._deadline)
        # 4.
        self._wait_read(scans, ends)
        self._wait_decided(place.partition, ends[names.factors])
        scans = [self._complete(scan, ends[scan.topic]) for scan in scans]
        changes, letters = scans
        found = _found(place, changes, letters, copy_of)
        if found is not None:
            return found
        # 5.
        record = self._record(place)
        self._require_kept(record, letters)
        copy = self._copy(record)
        if copy is None:
            return WaitResult("no_change", place, republished_at=None if copy_of is None else place)
        return WaitResult("republished_at", place, republished_at=copy)

    def _scans(self, place: SourcePlace) -> list[Scan]:
        partitions = self._questions.partitions(self._deadline)
        if place.partition >= partitions:
            raise UsageError(
                f"{_named(self._names.executions, place)}: there is no such partition: there are {partitions}, from 0"
            )
        topics = (self._names.changes, self._names.letters)
        firsts = self._questions.firsts((*topics, self._names.executions), place.partition, self._deadline)
        ends = self._questions.decided(topics, place.partition, self._deadline)
        [end] = self._questions.written((self._names.executions,), place.partition, self._deadline).values()
        if not firsts[self._names.executions] <= place.offset < end:
            raise UsageError(
                f"{_named(self._names.executions, place)}: there is no such record: the partition has the offsets "
                f"{firsts[self._names.executions]} to {end} (without {end})"
            )
        found = []
        for topic, source_of in zip(topics, (source_of_change, source_of_letter), strict=True):
            start = max(firsts[topic], ends[topic] - SOME_OFFSETS)
            found.append(Scan(topic, place.partition, place.offset, source_of, firsts[topic], start))
        self._reading.assign(scan.place for scan in found)
        return found

    def _wait_committed(self, place: SourcePlace, scans: list[Scan]) -> None:
        asked_until = time.monotonic() + _OFTEN_S
        while True:
            committed = self._questions.committed(place.partition, self._deadline)
            if committed is not None and committed > place.offset:
                return
            if time.monotonic() >= self._deadline:
                group, source = self._names.group, self._names.executions
                if committed is None:
                    reason = f"group {group} has committed nothing of {source} partition {place.partition}"
                else:
                    reason = (
                        f"group {group} has committed offset {committed} of {source} partition {place.partition}, "
                        f"{place.offset - committed} offsets before the record"
                    )
                raise self._late(f"{reason}: is a worker running?")
            pause_s = _ASK_S if time.monotonic() < asked_until else _LATER_ASK_S
            ask_again = time.monotonic() + pause_s
            while (rest_s := ask_again - time.monotonic()) > 0:
                self._take(scans, rest_s)

    def _wait_read(self, scans: list[Scan], ends: Mapping[str, int]) -> None:
        while behind := [scan for scan in scans if not scan.has_read(ends[scan.topic])]:
            if time.monotonic() >= self._deadline:
                raise self._late(self._open(behind[0].topic, behind[0].partition, ends[behind[0].topic]))
            self._take(scans, _ASK_S)

    def _wait_decided(self, partition: int, end: int) -> None:
        topic = self._names.factors
        while self._questions.decided((topic,), partition, self._deadline)[topic] < end:
            if time.monotonic() >= self._deadline:
                raise self._late(self._open(topic, partition, end))
            self._pause(_ASK_S)

    def _complete(self, scan: Scan, end: int) -> Scan:
        """The scan, or one of the same partition that began early enough."""
        if scan.is_complete_before:
            return scan
        earlier = self._reading.scan_start(scan, end, self._deadline)
        self._reading.assign([earlier.place])
        self._wait_read([earlier], {earlier.topic: end})
        return earlier

    def _record(self, place: SourcePlace) -> SourceRecord:
        """Read the record itself.

        Raises:
            UsageError: nothing is there: a marker, an aborted record, or one that compaction has removed.
        """
        topic = self._names.executions
        self._reading.assign([TopicPartition(topic, place.partition, place.offset)])
        while True:
            for message in self._reading.poll(_ASK_S):
                offset = message.offset() or 0
                if message.topic() != topic:
                    continue
                if message.error() is None and offset == place.offset:
                    return _source_record(message)
                if offset > place.offset:
                    raise UsageError(
                        f"{_named(topic, place)}: no record is there: its transaction was aborted, or compaction has "
                        "removed it"
                    )
            if time.monotonic() >= self._deadline:
                raise self._late(f"{_named(topic, place)} did not arrive")
            self._pause(0)

    def _require_kept(self, record: SourceRecord, letters: Scan) -> None:
        """Raise if the dead letters of the record's time may be deleted: whether it has one cannot be known then.

        Raises:
            UsageError: they may be.
        """
        if may_be_deleted(letters, record.timestamp_ms, now_ms=time.time() * 1000):
            raise UsageError(
                f"{self._names.executions} partition {record.partition} offset {record.offset}: what came of it is not "
                f"known any more: {letters.topic} partition {letters.partition} has no dead letter of that time, as "
                "they are deleted after 30 days"
            )

    def _copy(self, record: SourceRecord) -> SourcePlace | None:
        """Where the record's copy stands; None: it was not published again."""
        wanted = copy_of(record, self._questions.partitions(self._deadline))
        if wanted is None:
            return None
        found = self._find(wanted)
        if found is None and wanted.is_certain:
            raise InfrastructureError(
                f"{self._names.executions} partition {record.partition} offset {record.offset} stands under another "
                f"key or partition than its own, and no copy of it was found in partition {wanted.partition}"
            )
        return found

    def _find(self, wanted: CopyOf) -> SourcePlace | None:
        topic, partition, original = self._names.executions, wanted.partition, wanted.original
        [end] = self._questions.written((topic,), partition, self._deadline).values()
        if partition == original.partition:
            start: int | None = original.offset + 1
        else:
            since_ms = original.timestamp_ms - _CLOCKS_MS
            start = self._questions.offset_at(topic, partition, since_ms, self._deadline)
        if start is None or start >= end:
            return None
        self._reading.assign([TopicPartition(topic, partition, start)])
        position = start
        while position < end:
            for message in self._reading.poll(_ASK_S):
                if (message.topic(), message.partition()) != (topic, partition):
                    continue
                offset = message.offset() or 0
                position = offset + (message.error() is None)
                if message.error() is None and wanted.is_it(message.key(), message.value()):
                    return SourcePlace(partition, offset)
            if time.monotonic() >= self._deadline:
                raise self._late(self._open(topic, partition, end))
            self._pause(0)
        return None

    def _take(self, scans: list[Scan], limit_s: float) -> None:
        """Give what arrives within a time to its scan."""
        self._pause(0)
        for message in self._reading.poll(limit_s):
            for scan in scans:
                if (message.topic(), message.partition()) == (scan.topic, scan.partition):
                    scan.take(message)

    def _pause(self, pause_s: float) -> None:
        if self._cancelled.wait(pause_s) if pause_s else self._cancelled.is_set():
            raise InfrastructureError("the wait was cancelled")

    def _late(self, reason: str) -> WaitTimeoutError:
        return WaitTimeoutError(f"nothing is known after {self._timeout_s:g} s: {reason}")

    def _open(self, topic: str, partition: int, end: int) -> str:
        """What holds up reading to an end, in words: an open transaction, or nothing that is known."""
        late = time.monotonic() + _LOOK_S
        stable = self._questions.decided((topic,), partition, late)[topic]
        if stable >= end:
            return f"{topic} partition {partition} was not read to offset {end} in time"
        since = published_at(self._config, topic, {partition: stable}).get(partition)
        begun = "" if since is None else f" since {since:%Y-%m-%dT%H:%M:%SZ}"
        return (
            f"a transaction is open on {topic} partition {partition}{begun}: it is read to offset {stable}, and "
            f"offset {end} is waited for"
        )


def may_be_deleted(letters: Scan, timestamp_ms: int, *, now_ms: float) -> bool:
    """Whether a record's dead letter may have been there once, and be deleted by now.

    Args:
        letters: a scan without a result.
        timestamp_ms: the record's timestamp, milliseconds since the epoch.
        now_ms: the present time, likewise.
    """
    return letters.first > 0 and not letters.has_earlier and now_ms - timestamp_ms > _KEPT_MS


def _found(place: SourcePlace, changes: Scan, letters: Scan, copy_of: SourcePlace | None) -> WaitResult | None:
    """The result that a record has in ``factor-changes`` or among the dead letters; None: it has none."""
    republished_at = None if copy_of is None else place
    if letters.found:
        headers = headers_of(letters.found[-1])
        code, reason = (
            headers.get(name, b"").decode(errors="replace") for name in (DEAD_LETTER_CLASS, DEAD_LETTER_MESSAGE)
        )
        return WaitResult("dead_letter", place, code=code, reason=reason, republished_at=republished_at)
    if changes.found:
        values = tuple(decode_change(message.value() or b"") for message in changes.found)
        return WaitResult("applied", place, values, republished_at=republished_at)
    return None


def _source_record(message: Message) -> SourceRecord:
    return SourceRecord(
        message.partition() or 0,
        message.offset() or 0,
        message.timestamp()[1],
        message.key() or b"",
        message.value(),
        tuple(headers_of(message)),
    )


def _named(topic: str, place: SourcePlace) -> str:
    return f"{topic} partition {place.partition} offset {place.offset}"
