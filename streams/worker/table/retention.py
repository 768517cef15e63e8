"""How long the changelog keeps tombstones of removed rows: read from the brokers whenever partitions are assigned."""

import asyncio
from collections.abc import Mapping

import structlog

from models.errors import ConsolidatorError
from topics.cluster.admin_client import Cluster
from topics.contract.declared import Topic

__all__ = ["ChangelogRetention"]

_SETTING = "delete.retention.ms"

_ASK_LIMIT_S = 5.0
"""A recovery waits for the answer. Brokers that do not give it give no changelog either."""

_log = structlog.get_logger()


class ChangelogRetention:
    """The changelog's ``delete.retention.ms``.

    Args:
        config: for librdkafka.
        changelog: the topic's declaration; the topic was as declared when the worker started.

    Attributes:
        known_ms: the last answer, milliseconds.
    """

    def __init__(self, config: Mapping[str, str | int], changelog: Topic) -> None:
        self._config = config
        self._topic = changelog.name
        self.known_ms = int(changelog.config[_SETTING])

    async def ask(self) -> int:
        """Ask the brokers. If they do not answer, or no longer permit it, the last answer is used."""
        try:
            self.known_ms = await asyncio.get_running_loop().run_in_executor(None, self._ask)
        except ConsolidatorError as error:
            _log.warning(
                "cannot read the changelog's delete.retention.ms: using the last known value",
                error=str(error),
                taken_ms=self.known_ms,
            )
        return self.known_ms

    def _ask(self) -> int:
        found = Cluster(self._config, timeout_s=_ASK_LIMIT_S).find([self._topic]).get(self._topic)
        setting = None if found is None else found.settings.get(_SETTING)
        return self.known_ms if setting is None else int(setting.value)
