"""The sources of answers about one application: a protocol, and its implementation that reads Kafka."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from consolidator.records import CurrentFactors
from streams.audit.history.current import Current, Journalled, last_change, read_current
from streams.audit.history.inquiry import Inquiry, Moment, read_inquiry
from streams.audit.history.published_reasons import published_book
from streams.audit.live_ruleset import catalogue_in_force
from streams.configuration.settings import Settings
from streams.rulesets.catalogue_file import load_catalogue
from streams.rulesets.rule_book import RuleBook, book_of
from topics.contract.declared import Topics
from topics.reading.erasures import ConfirmedErasures, read_forgotten
from topics.reading.rulesets import read_rulesets
from topics.records.erasures import Forgotten

__all__ = ["AnswerSource", "KafkaAnswers", "Progress"]

Progress = Callable[[int, int], None]
"""Called with how many offsets were read since the last call, and how many there are."""


class AnswerSource(Protocol):
    """Gives answers about one application. All implementations give equal answers."""

    def current(self) -> list[CurrentFactors]:
        """The published factors of every processor, sorted by name; empty for an unknown application."""

    def forgotten(self) -> Forgotten | None:
        """The application's last erasure, to be read after :meth:`current`; None: it was never erased."""

    def last_change(self, current: CurrentFactors) -> Journalled | None:
        """The change that one of :meth:`current` comes from; None: it was erased."""

    def inquiry(self, moments: tuple[Moment, ...], on_progress: Progress) -> tuple[RuleBook, Inquiry]:
        """The application's log, and the rules of every offset, from the ruleset in force.

        Args:
            moments: the moments of all *known* questions.
            on_progress: see :data:`Progress`.
        """

    def published_inquiry(self, wanted: Sequence[CurrentFactors]) -> tuple[RuleBook, Inquiry]:
        """Like :meth:`inquiry`, from the rulesets that published factors name.

        Raises:
            AuthorizationError: this client may read factors, but not events.
        """


class KafkaAnswers:
    """An :class:`AnswerSource` that reads the application's partition in Kafka, without a consumer group.

    Args:
        settings: the settings.
        config: for librdkafka.
        topics: the declared topics.
        application_id: the application.

    Raises:
        ContractError: from every method: a topic does not exist, or has a record that cannot be read.
        InfrastructureError: from every method: Kafka does not answer.
    """

    def __init__(
        self, settings: Settings, config: Mapping[str, str | int], topics: Topics, application_id: str
    ) -> None:
        self._settings = settings
        self._config = config
        self._topics = topics
        self._application_id = application_id
        self._current: dict[str, Current] = {}

    def current(self) -> list[CurrentFactors]:
        """See :class:`AnswerSource`."""
        found = read_current(self._config, self._topics.factors.name, self._application_id)
        self._current = {one.value.processor: one for one in found}
        return [one.value for one in found]

    def forgotten(self) -> Forgotten | None:
        """See :class:`AnswerSource`."""
        return read_forgotten(self._config, self._topics, self._application_id)

    def last_change(self, current: CurrentFactors) -> Journalled | None:
        """See :class:`AnswerSource`."""
        return last_change(self._config, self._topics.factor_changes.name, self._current[current.processor])

    def inquiry(self, moments: tuple[Moment, ...], on_progress: Progress) -> tuple[RuleBook, Inquiry]:
        """See :class:`AnswerSource`."""
        config, topics = self._config, self._topics
        catalogue = catalogue_in_force(self._settings, config, topics)
        book = book_of(catalogue, config, topics, settled=range(topics.partitions))
        return book, self._read(book, moments, on_progress)

    def published_inquiry(self, wanted: Sequence[CurrentFactors]) -> tuple[RuleBook, Inquiry]:
        """See :class:`AnswerSource`."""
        config, topics = self._config, self._topics
        known = read_rulesets(config, topics, settled=range(topics.partitions))
        erasures = ConfirmedErasures(config, topics)
        book = published_book(load_catalogue(self._settings.catalogue), known, wanted, erasures)
        return book, self._read(book, (), lambda _, __: None)

    def _read(self, book: RuleBook, moments: tuple[Moment, ...], on_progress: Progress) -> Inquiry:
        return read_inquiry(
            self._config,
            self._topics,
            book,
            self._application_id,
            max_event_bytes=self._settings.max_event_bytes,
            moments=moments,
            on_progress=on_progress,
        )
