"""What a sink waits for, told to its figures, and to the log: at once, now and then, and when it is over."""

import time
from typing import Final

import structlog

from streams.sink.watching.figures import SinkFigures

__all__ = ["Waits"]

_REMIND_S: Final = 30.0

_log = structlog.get_logger()


class Waits:
    """Takes note of a database and of brokers that are away, and of the database's return.

    Args:
        figures: knows from then on whether the database answers.
    """

    def __init__(self, figures: SinkFigures) -> None:
        self._figures = figures
        self._away_since: float | None = None
        self._reminded = 0.0

    def database_away(self, error: Exception) -> None:
        """The database did not answer."""
        self._figures.database_lost()
        if self._away_since is None:
            self._away_since = time.monotonic()
        self._remind("database is away: waiting for it", error)

    def database_answered(self) -> None:
        """The database has answered."""
        self._figures.database_answered()
        if self._away_since is not None:
            _log.info("database is back", away_s=round(time.monotonic() - self._away_since, 1))
            self._away_since = None

    def database_unasked(self) -> None:
        """Nothing is asked of the database any more, so that nothing here would notice its return."""
        self._figures.database_unasked()
        self._away_since = None

    def kafka_silent(self, error: Exception) -> None:
        """Kafka did not answer a question."""
        self._remind("Kafka does not answer", error)

    def _remind(self, what: str, error: Exception) -> None:
        if time.monotonic() - self._reminded >= _REMIND_S or self._reminded == 0.0:
            self._reminded = time.monotonic()
            _log.warning(what, error=str(error))
