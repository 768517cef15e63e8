"""The ruleset of the live partitions: a log is folded with it, and a new ruleset is compared with it.

A partition has the ruleset that it adopted last. If it never adopted one, it has the ruleset that its newest published
change names. The settings may name another one than the workers run.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Final

from models.catalogue import Catalogue
from models.errors import AuthorizationError, ContractError
from streams.audit.published import change_of
from streams.configuration.settings import Settings
from streams.core.rules import Rules
from streams.rulesets.catalogue_file import load_catalogue
from streams.rulesets.rule_book import RuleBook
from topics.contract.declared import Topics
from topics.reading.positions import Beginning, Span
from topics.reading.reader import TopicReader
from topics.reading.rulesets import read_rulesets
from topics.records.adoptions import KnownRulesets
from topics.records.record import Record

__all__ = ["catalogue_in_force", "live_catalogue", "live_digests", "unless_published"]

_FIRST_LOOK: Final = 16
"""How many offsets before a partition's end are read first; the last one is a transaction's marker, and no record."""

_NEXT_LOOK: Final = 32
"""If the last records are all tombstones, which name no ruleset, the next read goes back this many times as far."""


def catalogue_in_force(settings: Settings, config: Mapping[str, str | int], topics: Topics) -> Catalogue:
    """The catalogue with which a command folds the log up to the first adoption: the one that the settings name.

    If the settings name none, it is the catalogue of the live partitions, and not the built-in sample.

    Args:
        settings: the settings.
        config: for librdkafka.
        topics: the declared topics.

    Raises:
        CatalogueError: the file cannot be used.
        ContractError: a topic does not exist, or the catalogue is not to be had.
        InfrastructureError: Kafka does not answer.
    """
    configured = load_catalogue(settings.catalogue)
    if settings.catalogue is not None:
        return configured
    try:
        published = dict(_published(config, topics, range(topics.partitions)))
    except AuthorizationError:
        # A user who may read only the events can fold them, with the built-in catalogue.
        return configured
    return unless_published(
        configured, published, lambda: read_rulesets(config, topics, settled=range(topics.partitions))
    )


def unless_published(
    configured: Catalogue, published: Mapping[int, str], read: Callable[[], KnownRulesets]
) -> Catalogue:
    """The catalogue that every partition has which never adopted any; else what the settings say.

    Args:
        configured: what the settings say.
        published: by partition the digest of the ruleset that its newest change names.
        read: gives what is kept of rulesets; called where something else than the settings' was published.

    Raises:
        ContractError: the catalogue is not what its digest says.
    """
    if set(published.values()) <= {configured.digest}:
        return configured
    book = RuleBook(Rules(configured), read)
    digests = {digest for partition, digest in published.items() if not book.adoptions(partition)}
    # A forged change may name any ruleset. The verification must not fail here, so that it can report the change.
    return book.kept(*digests) if len(digests) == 1 and digests <= book.digests else configured


def live_catalogue(config: Mapping[str, str | int], topics: Topics, configured: Catalogue, book: RuleBook) -> Catalogue:
    """The catalogue of the live partitions; if nothing has been consolidated yet, the settings' catalogue.

    Args:
        config: for librdkafka.
        topics: the declared topics.
        configured: what the settings say.
        book: the rules of every offset.

    Raises:
        ContractError: partitions have different ones, or the catalogue is not to be had.
        InfrastructureError: Kafka does not answer.
    """
    digests = live_digests(config, topics, book)
    found = set(digests.values())
    if not found:
        return configured
    if len(found) > 1:
        each = ", ".join(f"partition {partition} has {digest}" for partition, digest in sorted(digests.items()))
        raise ContractError(
            f"an adoption is under way: {each}. Wait until it is over, or name what to compare with: --current FILE"
        )
    [digest] = found
    return configured if digest == configured.digest else book.kept(digest)


def live_digests(config: Mapping[str, str | int], topics: Topics, book: RuleBook) -> dict[int, str]:
    """The digest of each partition's ruleset; a partition without published changes is left out."""
    found = {}
    unknown = []
    for partition in range(topics.partitions):
        adoptions = book.adoptions(partition)
        if adoptions:
            found[partition] = adoptions[-1].after
        else:
            unknown.append(partition)
    return found | (dict(_published(config, topics, unknown)) if unknown else {})


def _digest_of(record: Record) -> str | None:
    """The digest of the ruleset that a change names; None: the record is a tombstone, or no change."""
    if record.value is None:
        return None
    with suppress(ContractError):
        return change_of(record).ruleset.digest
    return None


def _published(config: Mapping[str, str | int], topics: Topics, partitions: Iterable[int]) -> Iterator[tuple[int, str]]:
    with TopicReader(config, topics.factor_changes.name, Beginning()) as reader:
        left = {partition: reader.spans[partition] for partition in partitions if partition in reader.spans}
        look = _FIRST_LOOK
        while left:
            spans = {partition: Span(max(span.start, span.end - look), span.end) for partition, span in left.items()}
            for partition, records in reader.by_partition(spans):
                digest = None
                for record in records:
                    digest = _digest_of(record) or digest
                if digest is not None:
                    yield partition, digest
                if digest is not None or spans[partition].start == left[partition].start:
                    del left[partition]
                else:
                    left[partition] = Span(left[partition].start, spans[partition].start)
            look *= _NEXT_LOOK
