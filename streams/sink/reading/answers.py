"""Answers about one application from the database, made from the same values as the answers from Kafka."""

from collections.abc import Sequence
from functools import cached_property

from sqlalchemy.engine import URL

from consolidator.records import CurrentFactors
from models.catalogue import Catalogue
from streams.audit.history.current import Journalled
from streams.audit.history.inquiry import Inquiry, Moment
from streams.audit.history.published_reasons import published_book
from streams.audit.history.sources import Progress
from streams.audit.live_ruleset import unless_published
from streams.configuration.settings import Settings
from streams.core.rules import Rules
from streams.rulesets.catalogue_file import catalogue_json, load_catalogue
from streams.rulesets.rule_book import RuleBook
from streams.sink.reading.snapshot import NotStoredError, snapshot
from streams.sink.reading.stored import Stored, read_stored
from topics.contract.declared import Topics
from topics.records.adoptions import KnownRulesets
from topics.records.erasures import Forgotten
from topics.writing.catalogues import require_one_content

__all__ = ["StoredAnswers", "stored_answers"]


class StoredAnswers:
    """An :class:`~streams.audit.history.sources.AnswerSource` with one application as it was read from the database.

    The application's log has no tombstones, erasures and dead letters:
    :func:`~streams.sink.reading.stored.read_stored` refuses such an application.

    Args:
        settings: the settings.
        topics: the declared topics.
        stored: the application, as it was read.

    Attributes:
        stored: likewise.
    """

    def __init__(self, settings: Settings, topics: Topics, stored: Stored) -> None:
        self.stored = stored
        self._settings = settings
        self._topics = topics
        self._require_rulesets()

    @cached_property
    def _configured(self) -> Catalogue:
        return load_catalogue(self._settings.catalogue)

    def current(self) -> list[CurrentFactors]:
        """See :class:`~streams.audit.history.sources.AnswerSource`."""
        return [one.value for one in self.stored.changes]

    def forgotten(self) -> Forgotten | None:
        """See :class:`~streams.audit.history.sources.AnswerSource`."""
        return None

    def last_change(self, current: CurrentFactors) -> Journalled | None:
        """See :class:`~streams.audit.history.sources.AnswerSource`."""
        return next((one for one in self.stored.changes if one.value.processor == current.processor), None)

    def inquiry(self, moments: tuple[Moment, ...], on_progress: Progress) -> tuple[RuleBook, Inquiry]:  # noqa: ARG002 - everything was read before
        """See :class:`~streams.audit.history.sources.AnswerSource`; the moments are those of :func:`stored_answers`."""
        catalogue = self._configured
        if self._settings.catalogue is None:
            catalogue = unless_published(catalogue, self.stored.published, lambda: self.stored.known)
        book = RuleBook(Rules(catalogue), lambda: self._known(catalogue))
        return book, self._inquiry(book)

    def published_inquiry(self, wanted: Sequence[CurrentFactors]) -> tuple[RuleBook, Inquiry]:
        """See :class:`~streams.audit.history.sources.AnswerSource`."""
        book = published_book(self._configured, self.stored.known, wanted)
        return book, self._inquiry(book)

    def _inquiry(self, book: RuleBook) -> Inquiry:
        stored = self.stored
        return Inquiry(stored.log, stored.ends, self._topics, book, max_event_bytes=self._settings.max_event_bytes)

    def _known(self, catalogue: Catalogue) -> KnownRulesets:
        known = self.stored.known
        require_one_content(known.catalogues, catalogue.digest, catalogue_json(catalogue))
        return known

    def _require_rulesets(self) -> None:
        """Refuse if a ruleset is not in the database: Kafka can have it."""
        stored = self.stored
        named = {one.value.ruleset.digest for one in stored.changes} | {*stored.published.values()}
        for adoptions in stored.known.adoptions.values():
            named |= {digest for one in adoptions for digest in (one.before, one.after)}
        missing = named - {*stored.known.catalogues}
        if missing and missing != {self._configured.digest}:
            raise NotStoredError("a ruleset is not in the database")


def stored_answers(
    url: URL, settings: Settings, topics: Topics, application_id: str, moments: tuple[Moment, ...] = ()
) -> StoredAnswers:
    """Read one application from the database.

    Args:
        url: the database.
        settings: the settings.
        topics: the declared topics.
        application_id: the application.
        moments: the moments of all *known* questions.

    Raises:
        NotStoredError: it does not have the answer, and Kafka can have it.
        DatabaseAwayError: it does not answer.
        ContractError: it has other tables, or a given offset is of another partition.
    """
    with snapshot(url) as connection:
        stored = read_stored(connection, topics, settings.app_id, application_id, moments)
    return StoredAnswers(settings, topics, stored)
