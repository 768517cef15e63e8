"""Collect the evidence about an application from Kafka, without joining the worker's group."""

from collections.abc import Callable, Container, Iterator, Mapping

import msgspec

from consolidator.keys import application_prefix, parse_event_key
from models.catalogue import Catalogue
from models.errors import BadEventError
from streams.audit.evidence.bundle import Evidence, TopicNames
from streams.audit.history.as_of import erased_events
from streams.audit.published_head import head_of
from streams.audit.verification.in_kafka import consolidated_end, consolidated_offsets
from streams.replay.application_log import ApplicationLog, read_application, without_forgotten
from streams.replay.source_log import source_reader
from streams.rulesets.rule_book import RuleBook, book_of
from topics.contract.declared import Topics
from topics.reading.positions import Beginning
from topics.reading.ranges import Range
from topics.reading.reader import TopicReader
from topics.records.erasure_authority import ErasureAuthority, confirmed_erasure
from topics.records.erasures import ERASURE_PREFIX, Forgotten
from topics.records.record import Record

__all__ = ["ErasedError", "collect_evidence"]


def collect_evidence(
    config: Mapping[str, str | int],
    topics: Topics,
    catalogue: Catalogue,
    application_id: str,
    *,
    group: str,
    max_event_bytes: int,
    on_progress: Callable[[str], None] = lambda _: None,
) -> Evidence:
    """Read everything that is about an application.

    1. Read the committed offset of the worker's group.
    2. Read the published records first and the source after them: so the source has the cause of every change.
    3. Leave out the records that were caused at or after the group's offset, erased events, and records from before an
       erasure of the application. Unconfirmed erasures are left out as well: every record in evidence counts.

    Args:
        config: for librdkafka.
        topics: the declared topics.
        catalogue: the rules, if the partition never adopted a ruleset.
        application_id: the application.
        group: the worker's group; it is neither joined nor moved.
        max_event_bytes: larger events are dead letters.
        on_progress: called with the topic that is read.

    Raises:
        ContractError: a topic does not exist, or has other partitions than declared.
        ErasedError: the application is erased.
        InfrastructureError: Kafka does not answer.
    """
    # 1.
    committed = consolidated_offsets(config, topics, group)
    # 2.
    on_progress(topics.factor_changes.name)
    changes = _about(config, topics.factor_changes.name, application_id)
    on_progress(topics.factors.name)
    factors = _about(config, topics.factors.name, application_id)
    on_progress(topics.executions.name)
    with source_reader(config, topics, application_id) as reader:
        log = read_application(reader, topics, application_id)
    book = book_of(catalogue, config, topics, settled=[log.partition])
    book.erasures.fetched(log.partition, log.end)
    forgotten = book.erasures.forgotten(log.partition, application_id)
    if forgotten is not None and not forgotten.lifted:
        raise ErasedError(forgotten)
    # 3.
    span = Range(log.first, log.first, log.end)
    causes = [cause for record in changes if (cause := _cause_of(record)) is not None and cause < log.end]
    end = consolidated_end(span, committed.get(log.partition), max(causes, default=None))
    log = without_forgotten(log.cut(end), forgotten)
    since = 0 if forgotten is None else forgotten.offset
    erased = erased_events(log)
    kept = [record for record in log.records if _is_kept(record, log, erased) and _counts(record, book.erasures)]
    return Evidence(
        application_id,
        TopicNames.of(topics),
        log.partition,
        log.first,
        end,
        max_event_bytes,
        _rules_at_the_beginning(book, log.partition, catalogue),
        book.known_of(log.partition),
        kept,
        list(_between(changes, since, end, span.end)),
        list(_between(factors, since, end, span.end)),
        len(log.records) - len(kept) + log.hidden,
    )


class ErasedError(Exception):
    """The application is erased, so there is no evidence about it.

    Args:
        forgotten: its erasure.
    """

    def __init__(self, forgotten: Forgotten) -> None:
        super().__init__(str(forgotten))
        self.forgotten = forgotten


def _rules_at_the_beginning(book: RuleBook, partition: int, configured: Catalogue) -> Catalogue:
    """The first ruleset of a partition that adopted others since: so the seal does not depend on the settings."""
    adoptions = book.adoptions(partition)
    return book.kept(adoptions[0].before) if adoptions else configured


def _is_kept(record: Record, log: ApplicationLog, erased: Container[str]) -> bool:
    """Whether a record stays in evidence: it is not an event, or neither a tombstone nor an erasure has erased it."""
    event_id = _event_id(record)
    return record.value is None or event_id is None or (record.offset >= log.accepts_from and event_id not in erased)


def _counts(record: Record, authority: ErasureAuthority) -> bool:
    """Whether a record counts: an erasure (a key under ``/erasure/``) counts only if an entry confirms it."""
    if not (record.key or b"").startswith(ERASURE_PREFIX):
        return True
    try:
        confirmed_erasure(record, record.partition, authority)
    except BadEventError:
        return False
    return True


def _about(config: Mapping[str, str | int], topic: str, application_id: str) -> list[Record]:
    prefix = application_prefix(application_id)
    with TopicReader(config, topic, Beginning(), application_id=application_id) as reader:
        return [record for record in reader.until_end() if (record.key or b"").startswith(prefix)]


def _between(records: list[Record], since: int, end: int, behind: int) -> Iterator[Record]:
    """Leave out records that were caused later, or before an erasure. A record with a cause beyond the log's end stays.

    No worker writes such a record, so the check has to report it.
    """
    for record in records:
        cause = _cause_of(record)
        if cause is None or not (end <= cause < behind or cause < since):
            yield record


def _cause_of(record: Record) -> int | None:
    try:
        return None if record.value is None else head_of(record.value).version.offset
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _event_id(record: Record) -> str | None:
    identity = parse_event_key(record.key or b"")
    return None if identity is None else identity[1]
